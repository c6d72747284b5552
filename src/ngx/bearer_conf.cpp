// auth_oidc_bearer: read, checked and inherited; and the metadata of protected resources (RFC 9728), which follows from
// it.
#include "../oidc/http.hpp"
#include "bearer.hpp"
#include "config_values.hpp"
#include "endpoints.hpp"
#include "introspector.hpp"

namespace auth_oidc {
namespace {

constexpr const char *well_known = "/.well-known/oauth-protected-resource";

std::string bad(const ngx_str_t &word, const char *advice) {
    return "invalid parameter " + quoted(word) + " in \"auth_oidc_bearer\", " + advice;
}

// RFC 6749 A.4
bool is_scope(std::string_view text) {
    for (unsigned char c : text) {
        if (c <= 0x20 || c == '"' || c == '\\' || c >= 0x7f) {
            return false;
        }
    }
    return !text.empty();
}

// RFC 9728 3: the well-known part stands between the host and the resource's own path.
std::optional<std::string> set_resource(BearerConf &bearer, std::string_view value) {
    auto url = oidc::http::parse_url(value);
    if (!url || url->target.find('?') != std::string::npos || !bearer.resource.empty()) {
        return bearer.resource.empty() ? "write an URL without query: resource=https://api.example.com/v1"
                                       : "it is given twice";
    }
    bearer.resource = value;
    bearer.metadata_url = url->origin() + well_known + (url->target == "/" ? "" : url->target);
    return std::nullopt;
}

std::optional<std::string> set_parameter(BearerConf &bearer, std::string_view word) {
    const size_t equals = std::min(word.find('='), word.size());
    const std::string_view name = word.substr(0, equals);
    const std::string_view value = word.substr(std::min(equals + 1, word.size()));
    if (name == "audience" && !value.empty()) {
        bearer.audiences.emplace_back(value);
        return std::nullopt;
    }
    if (name == "typ" && value == "jwt") {
        bearer.jwt_type = true;
        return std::nullopt;
    }
    if (name == "resource") {
        return set_resource(bearer, value);
    }
    if (name == "scope") {
        const size_t before = bearer.scopes.size();
        for (const std::string &scope : oidc::split_words(value)) {
            if (!is_scope(scope)) {
                return "a scope has neither quotes nor backslashes";
            }
            add_once(bearer.scopes, scope);
        }
        return bearer.scopes.size() > before ? std::nullopt : std::optional<std::string>("name one scope or more");
    }
    return name == "typ" ? "only \"typ=jwt\" is known"
                         : "write audience=NAME, typ=jwt, resource=URL or \"scope=NAME NAME\"";
}

// What a cached verdict depends on beside token and provider.
std::string rules_of(const BearerConf &bearer) {
    std::string text = bearer.jwt_type ? "jwt" : "at+jwt";
    for (const std::string &audience : bearer.audiences) {
        text += '\0' + audience;
    }
    return text + std::string(2, '\0');
}

Resource *find_resource(ServerConf &server, const std::string &path) {
    for (Resource &resource : server.resources) {
        if (resource.path == path) {
            return &resource;
        }
    }
    return nullptr;
}

// Locations may share a resource; what they ask for adds up. Another resource of the same path is found later.
void note_resource(ServerConf &server, const LocationConf &location) {
    const BearerConf &bearer = *location.bearer;
    const std::string path = oidc::http::parse_url(bearer.metadata_url)->path();
    Resource *resource = find_resource(server, path);
    if (resource == nullptr || resource->url != bearer.resource) {
        server.resources.push_back({bearer.resource, path, {}, {}, bearer.where});
        resource = &server.resources.back();
    }
    for (const std::string &scope : bearer.scopes) {
        add_once(resource->scopes, scope);
    }
    for (Provider *provider : location.providers) {
        add_once(resource->providers, provider);
    }
}

}  // namespace

char *set_bearer(ngx_conf_t *cf, ngx_command_t *, void *conf) {
    auto &location = *static_cast<LocationConf *>(conf);
    if (location.bearer != nullptr) {
        return const_cast<char *>("is duplicate");
    }
    ngx_str_t *words = arguments(cf);
    const std::string_view mode = view(words[1]);
    if (mode != "off" && mode != "on" && mode != "only") {
        return conf_error(cf, "invalid value " + quoted(words[1]) +
                                  " in \"auth_oidc_bearer\", it must be \"off\", \"on\" or \"only\"");
    }
    if (mode == "off" && cf->args->nelts > 2) {
        return conf_error(cf, bad(words[2], "nothing may follow \"off\""));
    }
    auto *bearer = pool_new<BearerConf>(cf->pool);
    bearer->on = mode != "off";
    bearer->only = mode == "only";
    bearer->where = here(cf);
    for (ngx_uint_t i = 2; i < cf->args->nelts; i++) {
        if (auto advice = set_parameter(*bearer, view(words[i]))) {
            return conf_error(cf, bad(words[i], advice->c_str()));
        }
    }
    bearer->rules = rules_of(*bearer);
    location.bearer = bearer;
    return static_cast<char *>(NGX_CONF_OK);
}

void merge_bearer(ngx_conf_t *cf, LocationConf &location) {
    const BearerConf *bearer = location.bearer;
    if (bearer == nullptr || !bearer->on) {
        location.bearer = nullptr;
        return;
    }
    static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_auth_oidc_module))->any_bearer = true;
    if (!bearer->resource.empty()) {
        note_resource(*static_cast<ServerConf *>(ngx_http_conf_get_module_srv_conf(cf, ngx_http_auth_oidc_module)),
                      location);
    }
}

char *add_resources(ngx_conf_t *cf, ServerConf &server) {
    for (Resource &resource : server.resources) {
        if (find_resource(server, resource.path) != &resource) {
            return conf_log(cf, NGX_LOG_EMERG, resource.where,
                            "two resources of \"auth_oidc_bearer\" have their metadata at \"" + resource.path +
                                "\" in this server: give one of them another path");
        }
        // A variable in auth_oidc may name any of them.
        const std::vector<Provider *> &providers = resource.providers.empty() ? server.providers : resource.providers;
        server.endpoints.push_back({resource.path, EndpointKind::resource, providers});
    }
    return static_cast<char *>(NGX_CONF_OK);
}

// RFC 9728 2 and 3.2. Scripts of other sites may read it: there is nothing in it that they could not ask for
// themselves.
ngx_int_t serve_resource(ngx_http_request_t *r, Context &context) {
    if (r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD && r->method != NGX_HTTP_OPTIONS) {
        return refuse_method(r, "GET, HEAD, OPTIONS");
    }
    add_header(r, "Access-Control-Allow-Origin", "*");
    if (r->method == NGX_HTTP_OPTIONS) {
        add_header(r, "Access-Control-Allow-Methods", "GET, HEAD");
        add_header(r, "Access-Control-Allow-Headers", "*");
        return send_answer(r, {NGX_HTTP_NO_CONTENT, "text/plain", "", {}});
    }
    const Resource &resource = *find_resource(*server_conf(r), context.endpoint->path);
    const auto list = [](const std::vector<std::string> &items) {
        std::string text;
        for (const std::string &item : items) {
            text += (text.empty() ? "\"" : ",\"") + oidc::json_escape(item) + "\"";
        }
        return "[" + text + "]";
    };
    std::vector<std::string> issuers;
    for (const Provider *provider : context.endpoint->providers) {
        issuers.push_back(provider->client.issuer);
    }
    std::string body = "{\"resource\":\"" + oidc::json_escape(resource.url) +
                       "\",\"authorization_servers\":" + list(issuers) + ",\"bearer_methods_supported\":[\"header\"]";
    body += resource.scopes.empty() ? "}" : ",\"scopes_supported\":" + list(resource.scopes) + "}";
    return send_answer(r, {NGX_HTTP_OK, "application/json", std::move(body), {}});
}

}  // namespace auth_oidc
