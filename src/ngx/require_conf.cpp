// The directives about rules and identity headers: read, checked and inherited.
#include <algorithm>
#include <fstream>
#include <iterator>

#include "config_values.hpp"
#include "require.hpp"

namespace auth_oidc {
namespace {

char *compile_pattern(ngx_conf_t *cf, oidc::Pattern &pattern) {
#if (NGX_PCRE)
    u_char message[NGX_MAX_CONF_ERRSTR];
    ngx_regex_compile_t compiler{};
    compiler.pattern = copy(cf->pool, pattern.text);
    compiler.pool = cf->pool;
    compiler.options = pattern.caseless ? NGX_REGEX_CASELESS : 0;
    compiler.err.len = NGX_MAX_CONF_ERRSTR;
    compiler.err.data = message;
    if (ngx_regex_compile(&compiler) != NGX_OK) {
        return conf_error(cf, "\"auth_oidc_require\": " + std::string(view(compiler.err)));
    }
    pattern.compiled = compiler.regex;
    return static_cast<char *>(NGX_CONF_OK);
#else
    return conf_error(cf, "\"auth_oidc_require\": this nginx has no regular expressions, write plain values");
#endif
}

char *read_list(ngx_conf_t *cf, oidc::Rule &rule, const std::string &name) {
    ngx_str_t file = copy(cf->pool, name);
    if (ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    std::ifstream stream(std::string(view(file)), std::ios::binary);
    if (!stream.is_open()) {
        return conf_error(cf, "cannot read \"" + std::string(view(file)) + "\" of \"auth_oidc_require\"");
    }
    oidc::add_listed(rule, std::string((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>()));
    return static_cast<char *>(NGX_CONF_OK);
}

char *complete_rule(ngx_conf_t *cf, oidc::Rule &rule) {
    for (oidc::Pattern &pattern : rule.patterns) {
        if (char *status = compile_pattern(cf, pattern); status != NGX_CONF_OK) {
            return status;
        }
    }
    for (const std::string &file : rule.files) {
        if (char *status = read_list(cf, rule, file); status != NGX_CONF_OK) {
            return status;
        }
    }
    return static_cast<char *>(NGX_CONF_OK);
}

// What frames the message, or says where it goes, is nobody's identity.
bool is_reserved_header(const std::string &folded) {
    for (const char *name : {"host", "content-length", "content-type", "connection", "transfer-encoding", "upgrade",
                             "te", "trailer", "keep-alive", "expect", "cookie", "proxy-connection", "http2-settings"}) {
        if (folded == name) {
            return true;
        }
    }
    return false;
}

bool is_header_name(std::string_view name) {
    for (char c : name) {
        if ((c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_') {
            return false;
        }
    }
    return !name.empty();
}

}  // namespace

char *set_require(ngx_conf_t *cf, ngx_command_t *, void *conf) {
    auto &location = *static_cast<LocationConf *>(conf);
    std::vector<std::string> words;
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        words.emplace_back(view(arguments(cf)[i]));
    }
    auto requirement = oidc::read_requirement(words);
    if (!requirement) {
        return conf_error(cf, "\"auth_oidc_require\": " + requirement.error().text);
    }
    for (oidc::Rule &rule : requirement->any) {
        if (char *status = complete_rule(cf, rule); status != NGX_CONF_OK) {
            return status;
        }
    }
    if (location.policy == nullptr) {
        location.policy = pool_new<oidc::Policy>(cf->pool);
        location.policy_where = here(cf);
    }
    location.policy->push_back(std::move(*requirement));
    return static_cast<char *>(NGX_CONF_OK);
}

char *set_set_header(ngx_conf_t *cf, ngx_command_t *, void *conf) {
    auto &location = *static_cast<LocationConf *>(conf);
    SetHeader set;
    set.name = arguments(cf)[1];
    set.folded = fold_header(view(set.name));
    if (!is_header_name(view(set.name))) {
        return conf_error(cf, "invalid name " + quoted(set.name) +
                                  " in \"auth_oidc_set_header\", use letters, digits, \"-\" and \"_\"");
    }
    if (is_reserved_header(set.folded)) {
        return conf_error(
            cf, quoted(set.name) + " in \"auth_oidc_set_header\" steers the request itself, write another name");
    }
    std::string lower(view(set.name));
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return static_cast<char>(ngx_tolower(c)); });
    set.lower_case = copy(cf->pool, lower);
    ngx_http_compile_complex_value_t compiler{};
    compiler.cf = cf;
    compiler.value = &arguments(cf)[2];
    compiler.complex_value = &set.value;
    if (ngx_http_compile_complex_value(&compiler) != NGX_OK) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    if (location.headers == nullptr) {
        location.headers = pool_new<std::vector<SetHeader>>(cf->pool);
    }
    for (const SetHeader &other : *location.headers) {
        if (other.folded == set.folded) {
            return conf_error(cf, "duplicate header " + quoted(set.name) + " in \"auth_oidc_set_header\"");
        }
    }
    location.headers->push_back(std::move(set));
    return static_cast<char *>(NGX_CONF_OK);
}

char *set_max_age(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    ngx_str_t value = arguments(cf)[1];
    if (view(value).find('$') == std::string_view::npos && ngx_parse_time(&value, 1) == NGX_ERROR) {
        return conf_error(cf, "invalid value " + quoted(value) + " in \"auth_oidc_max_age\", write a time: 5m");
    }
    return ngx_http_set_complex_value_slot(cf, cmd, conf);
}

char *merge_rules(ngx_conf_t *cf, const LocationConf &above, LocationConf &here) {
    auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_auth_oidc_module));
    auto *server = static_cast<ServerConf *>(ngx_http_conf_get_module_srv_conf(cf, ngx_http_auth_oidc_module));
    bool off = here.auth_oidc == nullptr || here.auth_oidc->nelts == 0;
    if (here.policy != nullptr && off && above.policy != here.policy) {
        bool inner = above.auth_oidc != nullptr && above.auth_oidc != NGX_CONF_UNSET_PTR;
        if (inner || here.auth_oidc != nullptr) {
            conf_log(cf, NGX_LOG_WARN, here.policy_where,
                     "\"auth_oidc_require\" does nothing where \"auth_oidc\" is off");
        }
    }
    if (here.policy == nullptr) {
        here.policy = above.policy;
    }
    if (here.headers == nullptr) {
        here.headers = above.headers;
    }
    if (here.max_age == nullptr) {
        here.max_age = above.max_age;
    }
    for (size_t i = 0; here.policy && i < here.policy->size(); i++) {
        for (const oidc::Rule &rule : (*here.policy)[i].any) {
            add_once(main->rule_claims, rule.claim);
        }
    }
    for (size_t i = 0; here.headers && i < here.headers->size(); i++) {
        add_once(server->headers, (*here.headers)[i].folded);
    }
    return static_cast<char *>(NGX_CONF_OK);
}

}  // namespace auth_oidc
