// Variables of the site's own making: auth_oidc_claim_set looks into claims, auth_oidc_remote_user fills $remote_user.
#include "../oidc/claims.hpp"
#include "config_values.hpp"
#include "lookup.hpp"
#include "module.hpp"

namespace auth_oidc {
namespace {

// The member's names as one path, each as it is written.
std::string path_of(ngx_conf_t *cf) {
    std::string path;
    for (ngx_uint_t i = 2; i < cf->args->nelts; i++) {
        path += i == 2 ? "" : ".";
        for (char c : view(arguments(cf)[i])) {
            path += c == '.' || c == '\\' ? std::string{'\\', c} : std::string{c};
        }
    }
    return path;
}

ngx_int_t get_claim_variable(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t data) {
    value->not_found = 1;
    Context *context = get_context(r);
    const oidc::SessionView *session = context ? load_session(r, *context) : nullptr;
    std::string key = oidc::nested_key(view(*reinterpret_cast<ngx_str_t *>(data)));
    if (auto found = session ? session->claim(key) : std::nullopt) {
        ngx_str_t text = borrow(*found);
        value->data = text.data;
        value->len = static_cast<unsigned>(text.len);
        value->valid = 1;
        value->no_cacheable = 0;
        value->not_found = 0;
    }
    return NGX_OK;
}

ngx_http_get_variable_pt basic_remote_user;

// nginx's own is that of auth_basic: it stays for requests that nobody signed in for here.
ngx_int_t get_remote_user(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t data) {
    ngx_http_complex_value_t *wanted = location_conf(r->main)->remote_user;
    Context *context = get_context(r);
    if (wanted == nullptr || context == nullptr || context->session.provider == nullptr) {
        return basic_remote_user(r, value, data);
    }
    ngx_str_t text = copy(r->pool, evaluate(r, wanted));
    value->data = text.data;
    value->len = static_cast<unsigned>(text.len);
    value->valid = 1;
    value->no_cacheable = 0;
    value->not_found = text.len == 0;
    return NGX_OK;
}

}  // namespace

char *set_claim_variable(ngx_conf_t *cf, ngx_command_t *, void *conf) {
    ngx_str_t name = arguments(cf)[1];
    if (name.len < 2 || name.data[0] != '$') {
        return conf_error(cf,
                          "invalid variable name " + quoted(name) + " in \"auth_oidc_claim_set\", write $name claim");
    }
    name.data++;
    name.len--;
    ngx_http_variable_t *variable = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);
    if (variable == nullptr) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    auto *path = static_cast<ngx_str_t *>(pool_alloc(cf->pool, sizeof(ngx_str_t)));
    *path = copy(cf->pool, path_of(cf));
    variable->get_handler = entry<&get_claim_variable, NGX_ERROR>;
    variable->data = reinterpret_cast<uintptr_t>(path);
    static_cast<MainConf *>(conf)->nested_claims.emplace_back(view(*path));
    return static_cast<char *>(NGX_CONF_OK);
}

ngx_int_t take_over_remote_user(ngx_conf_t *cf) {
    auto *core = static_cast<ngx_http_core_main_conf_t *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    auto *keys = static_cast<ngx_hash_key_t *>(core->variables_keys->keys.elts);
    for (ngx_uint_t i = 0; i < core->variables_keys->keys.nelts; i++) {
        auto *variable = static_cast<ngx_http_variable_t *>(keys[i].value);
        if (view(keys[i].key) == "remote_user" && variable->get_handler != entry<&get_remote_user, NGX_ERROR>) {
            basic_remote_user = variable->get_handler;
            variable->get_handler = entry<&get_remote_user, NGX_ERROR>;
        }
    }
    return NGX_OK;
}

}  // namespace auth_oidc
