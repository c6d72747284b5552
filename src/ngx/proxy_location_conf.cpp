// proxy_location when everything is read: in which server it is, and what is missing there.
#include "../oidc/http.hpp"
#include "provider_conf.hpp"

namespace auth_oidc {
namespace {

using Location = ngx_http_core_loc_conf_t;

// As nginx's own search among the locations without a regex.
Location *find_location(ngx_http_location_tree_node_t *node, std::string_view path) {
    Location *found = nullptr;
    while (node != nullptr) {
        std::string_view name(reinterpret_cast<char *>(node->name), node->len);
        size_t common = std::min(path.size(), name.size());
        int order = path.substr(0, common).compare(name.substr(0, common));
        if (order != 0) {
            node = order < 0 ? node->left : node->right;
        } else if (path.size() > name.size()) {
            found = node->inclusive ? node->inclusive : found;
            path.remove_prefix(node->inclusive ? common : 0);
            node = node->inclusive ? node->tree : node->right;
        } else if (path.size() == name.size()) {
            return node->exact ? node->exact : node->inclusive;
        } else {
            node = node->left;
        }
    }
    return found;
}

// What the whole site is in belongs to others.
Location *own_location(const ngx_http_core_srv_conf_t &server, const Provider &provider) {
    auto *root = static_cast<Location *>(server.ctx->loc_conf[ngx_http_core_module.ctx_index]);
    Location *found = find_location(root->static_locations, view(provider.proxy_location));
    return found != nullptr && view(found->name) != "/" ? found : nullptr;
}

bool has_regex_locations(const ngx_http_core_srv_conf_t &server) {
#if (NGX_PCRE)
    return static_cast<Location *>(server.ctx->loc_conf[ngx_http_core_module.ctx_index])->regex_locations != nullptr;
#else
    static_cast<void>(server);
    return false;
#endif
}

// "proxy_pass $variable" looks names up with nginx's own resolver. Addresses need none.
void warn_resolver(ngx_conf_t *cf, const Provider &provider, const Location &location) {
    bool any = location.resolver != nullptr && location.resolver->connections.nelts != 0;
    auto url = oidc::http::parse_url(provider.client.discovery_url());
    if (any || !url || url->host.find_first_not_of("0123456789.[]:abcdef") == std::string::npos) {
        return;
    }
    conf_log(cf, NGX_LOG_WARN, provider.line_of("proxy_location"),
             "the location of \"proxy_location " + text(provider.proxy_location) +
                 "\" has no \"resolver\": \"proxy_pass $oidc_idp_request_uri\" needs one for every name that is no "
                 "upstream block, write \"resolver ADDRESS;\"");
}

bool uses(const ngx_http_core_srv_conf_t &server, Provider *provider) {
    auto *ours = static_cast<ServerConf *>(server.ctx->srv_conf[ngx_http_auth_oidc_module.ctx_index]);
    return std::find(ours->providers.begin(), ours->providers.end(), provider) != ours->providers.end();
}

}  // namespace

void find_home(ngx_conf_t *cf, Provider &provider) {
    if (provider.proxy_location.len == 0) {
        return;
    }
    auto *core = static_cast<ngx_http_core_main_conf_t *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    auto **servers = static_cast<ngx_http_core_srv_conf_t **>(core->servers.elts);
    bool maybe = false;
    for (ngx_uint_t i = 0; i < core->servers.nelts; i++) {
        if (!uses(*servers[i], &provider)) {
            continue;
        }
        if (Location *location = own_location(*servers[i], provider)) {
            provider.fetch.home = servers[i]->ctx;
            return warn_resolver(cf, provider, *location);
        }
        maybe = maybe || has_regex_locations(*servers[i]);
        if (provider.fetch.home == nullptr) {
            provider.fetch.home = servers[i]->ctx;
        }
    }
    if (provider.fetch.home != nullptr && !maybe) {
        conf_log(cf, NGX_LOG_WARN, provider.line_of("proxy_location"),
                 "no server that uses oidc_provider \"" + text(provider.name) +
                     "\" has a location for \"proxy_location " + text(provider.proxy_location) +
                     "\": write \"location = " + text(provider.proxy_location) +
                     " { proxy_pass $oidc_idp_request_uri; }\"");
    }
}

}  // namespace auth_oidc
