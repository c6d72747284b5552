// auth_require: a stand-in for the directive of NGINX Plus. Each value must be there and not "0".
#include "config_values.hpp"
#include "module.hpp"
#include "request.hpp"

namespace auth_oidc {
namespace {

// error=401, error=403, or another status of refusal or failure.
ngx_int_t read_status(std::string_view text) {
    ngx_int_t status = ngx_atoi(borrow(text).data, text.size());
    return status >= 400 && status <= 599 ? status : static_cast<ngx_int_t>(NGX_ERROR);
}

bool add_value(ngx_conf_t *cf, ValueRule &rule, ngx_str_t *text) {
    auto *value = static_cast<ngx_http_complex_value_t *>(ngx_array_push(rule.values));
    ngx_http_compile_complex_value_t compiler{};
    compiler.cf = cf;
    compiler.value = text;
    compiler.complex_value = value;
    return value != nullptr && ngx_http_compile_complex_value(&compiler) == NGX_OK;
}

bool holds(ngx_http_request_t *r, const ValueRule &rule) {
    auto *values = static_cast<ngx_http_complex_value_t *>(rule.values->elts);
    for (ngx_uint_t i = 0; i < rule.values->nelts; i++) {
        std::string value = evaluate(r, &values[i]);
        if (value.empty() || value == "0") {
            return false;
        }
    }
    return true;
}

}  // namespace

char *set_require_values(ngx_conf_t *cf, ngx_command_t *, void *conf) {
    auto &location = *static_cast<LocationConf *>(conf);
    ValueRule rule{ngx_array_create(cf->pool, 2, sizeof(ngx_http_complex_value_t)), NGX_HTTP_FORBIDDEN};
    if (location.require_values == nullptr) {
        location.require_values = ngx_array_create(cf->pool, 2, sizeof(ValueRule));
    }
    if (rule.values == nullptr || location.require_values == nullptr) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        ngx_str_t *word = &arguments(cf)[i];
        if (oidc::starts_with(view(*word), "error=")) {
            rule.status = read_status(view(*word).substr(6));
            if (rule.status == NGX_ERROR) {
                return conf_error(cf, "invalid parameter " + quoted(*word) +
                                          " in \"auth_require\", write error=401, error=403 or "
                                          "another status from 400 to 599");
            }
        } else if (!add_value(cf, rule, word)) {
            return static_cast<char *>(NGX_CONF_ERROR);
        }
    }
    if (rule.values->nelts == 0) {
        return conf_error(cf, "\"auth_require\" needs at least one value to look at: auth_require $oidc_claim_name");
    }
    auto *place = static_cast<ValueRule *>(ngx_array_push(location.require_values));
    if (place == nullptr) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    *place = rule;
    return static_cast<char *>(NGX_CONF_OK);
}

ngx_int_t check_values_required(ngx_http_request_t *r) {
    ngx_array_t *rules = location_conf(r)->require_values;
    for (ngx_uint_t i = 0; rules && i < rules->nelts; i++) {
        const auto &rule = static_cast<ValueRule *>(rules->elts)[i];
        if (!holds(r, rule)) {
            add_header(r, "Cache-Control", "no-store");  // it holds for this account alone
            return rule.status;
        }
    }
    return NGX_OK;
}

}  // namespace auth_oidc
