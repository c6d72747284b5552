// Configurations of http, server and location: made, merged, and at the end held together: which server uses which
// providers, and at which paths they answer there.
#include <algorithm>
#include <cctype>

#include "../oidc/http.hpp"
#include "bearer.hpp"
#include "config.hpp"
#include "config_https.hpp"
#include "config_values.hpp"
#include "module.hpp"
#include "open_requests.hpp"
#include "post_pages.hpp"
#include "provider_conf.hpp"
#include "refresher.hpp"
#include "require.hpp"
#include "session_size.hpp"
#include "site_page.hpp"

// Weak: an nginx without the rewrite module must load us too.
extern "C" __attribute__((weak)) ngx_module_t ngx_http_rewrite_module;

namespace auth_oidc {
namespace {

void *create_main(ngx_conf_t *cf) {
    return pool_new<MainConf>(cf->pool);
}
void *create_server(ngx_conf_t *cf) {
    return pool_new<ServerConf>(cf->pool);
}

void *create_location(ngx_conf_t *cf) {
    auto *location = pool_new<LocationConf>(cf->pool);
    location->auth_oidc = static_cast<ngx_array_t *>(NGX_CONF_UNSET_PTR);
    return location;
}

// What auth_oidc of this location names. Runs after all of http { } was read, so providers may stand behind their use.
char *resolve_providers(ngx_conf_t *cf, LocationConf &location, ServerConf &server, const MainConf &main) {
    for (ngx_uint_t i = 0; i < location.auth_oidc->nelts; i++) {
        auto &value = static_cast<ngx_http_complex_value_t *>(location.auth_oidc->elts)[i];
        if (value.lengths != nullptr) {
            location.constant = false;
            server.any_provider = true;
            continue;
        }
        Provider *provider = main.find(view(value.value));
        if (provider == nullptr) {
            return conf_log(cf, NGX_LOG_EMERG, location.auth_oidc_where,
                            "unknown provider \"" + std::string(view(value.value)) +
                                "\" in \"auth_oidc\": there is no oidc_provider of that name");
        }
        add_once(location.providers, provider);
        add_once(server.providers, provider);
    }
    return static_cast<char *>(NGX_CONF_OK);
}

// `location { return ...; }` answers in the rewrite phase, before the access phase: what stands there is open to
// everybody. The rewrite module keeps its compiled code as the first member of its configuration.
void warn_return(ngx_conf_t *cf, const LocationConf &location) {
    if (&ngx_http_rewrite_module == nullptr) {
        return;
    }
    void *rewrite = ngx_http_conf_get_module_loc_conf(cf, ngx_http_rewrite_module);
    ngx_array_t *codes = rewrite ? *static_cast<ngx_array_t **>(rewrite) : nullptr;
    if (codes == nullptr || codes->nelts < sizeof(ngx_http_script_code_pt)) {
        return;
    }
    if (*static_cast<ngx_http_script_code_pt *>(codes->elts) == ngx_http_script_return_code) {
        conf_log(cf, NGX_LOG_WARN, location.auth_oidc_where,
                 "\"return\" beside \"auth_oidc\" answers before anybody is asked to "
                 "sign in: move it into a location with \"auth_oidc off\", or serve a file");
    }
}

// The endpoints of a server see the server's own auth_oidc_base_url, not that of a location.
void note_base_url(ngx_conf_t *cf, const LocationConf &location) {
    auto *core = static_cast<ngx_http_core_srv_conf_t *>(ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module));
    if (location.base_url != nullptr && core->ctx->loc_conf[ngx_http_auth_oidc_module.ctx_index] != &location) {
        static_cast<ServerConf *>(ngx_http_conf_get_module_srv_conf(cf, ngx_http_auth_oidc_module))->many_base_urls =
            true;
    }
}

// The identity is signed with the secret of Streamlit's own file.
char *check_streamlit(ngx_conf_t *cf, const LocationConf &location, ServerConf &server, MainConf &main) {
    for (const Provider *provider : location.providers) {
        if (!provider->entry) {
            return conf_log(cf, NGX_LOG_EMERG, location.auth_oidc_where,
                            "\"auth_oidc_streamlit\" needs providers of \"oidc_secrets\", and \"" +
                                std::string(view(provider->name)) + "\" in \"auth_oidc\" is none");
        }
    }
    server.streamlit = main.streamlit = true;
    return static_cast<char *>(NGX_CONF_OK);
}

char *merge_location(ngx_conf_t *cf, void *parent, void *child) {
    auto &above = *static_cast<LocationConf *>(parent);
    auto &here = *static_cast<LocationConf *>(child);
    if (here.auth_oidc == NGX_CONF_UNSET_PTR) {
        here.auth_oidc = above.auth_oidc == NGX_CONF_UNSET_PTR ? nullptr : above.auth_oidc;
        here.auth_oidc_where = above.auth_oidc_where;
    } else if (here.auth_oidc->nelts != 0) {
        warn_return(cf, here);
    }
    if (here.anonymous == nullptr) {
        here.anonymous = above.anonymous;
    }
    note_base_url(cf, here);
    if (merge_rules(cf, above, here) != NGX_CONF_OK) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    ngx_conf_merge_value(here.touch, above.touch, 1);
    ngx_conf_merge_value(here.streamlit, above.streamlit, 0);
    merge_pages(above, here);
    ngx_conf_merge_value(here.preserve_post, above.preserve_post, 0);
    ngx_conf_merge_value(here.close_connections, above.close_connections, 0);
    if (here.remote_user == nullptr) {
        here.remote_user = above.remote_user;
    }
    if (here.require_values == nullptr) {
        here.require_values = above.require_values;
    }
    if (here.base_url == nullptr) {
        here.base_url = above.base_url;
    }
    if (here.bearer == nullptr) {
        here.bearer = above.bearer;
    }
    if (here.auth_oidc == nullptr) {
        return static_cast<char *>(NGX_CONF_OK);
    }
    auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_auth_oidc_module));
    auto *server = static_cast<ServerConf *>(ngx_http_conf_get_module_srv_conf(cf, ngx_http_auth_oidc_module));
    server->preserves_post = server->preserves_post || here.preserve_post == 1;
    if (resolve_providers(cf, here, *server, *main) != NGX_CONF_OK) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    merge_bearer(cf, here);
    return here.streamlit == 1 ? check_streamlit(cf, here, *server, *main) : static_cast<char *>(NGX_CONF_OK);
}

void add_endpoint(ServerConf &server, const std::string &path, EndpointKind kind, Provider *provider) {
    if (path.empty()) {
        return;
    }
    for (Endpoint &endpoint : server.endpoints) {
        if (endpoint.path == path && endpoint.kind == kind) {
            add_once(endpoint.providers, provider);
            return;
        }
    }
    server.endpoints.push_back({path, kind, {provider}});
}

// One path cannot mean two things in one server.
char *check_endpoints(ngx_conf_t *cf, const ServerConf &server) {
    for (const Endpoint &one : server.endpoints) {
        for (const Endpoint &other : server.endpoints) {
            if (&one != &other && one.path == other.path) {
                return conf_log(
                    cf, NGX_LOG_EMERG, one.providers[0]->where,
                    "the path \"" + one.path +
                        "\" is used for two purposes (redirect_uri, logout_uri, login_uri): give each its own");
            }
        }
    }
    return static_cast<char *>(NGX_CONF_OK);
}

// Some providers register the path with a slash behind it, or without.
std::string other_slash(std::string path) {
    if (path.size() < 2) {
        return {};
    }
    if (path.back() == '/') {
        path.pop_back();
        return path;
    }
    return path + "/";
}

char *make_endpoints(ngx_conf_t *cf, ServerConf &server, const MainConf &main) {
    if (server.any_provider) {
        for (Provider *provider : main.providers) {
            add_once(server.providers, provider);
        }
    }
    for (Provider *provider : server.providers) {
        add_endpoint(server, provider->callback_path, EndpointKind::callback, provider);
        add_endpoint(server, std::string(view(provider->login_uri)), EndpointKind::login, provider);
        add_endpoint(server, std::string(view(provider->logout_uri)), EndpointKind::logout, provider);
        add_endpoint(server, std::string(view(provider->backchannel_logout_uri)), EndpointKind::backchannel, provider);
        add_endpoint(server, std::string(view(provider->session_uri)), EndpointKind::session, provider);
        add_endpoint(server, std::string(view(provider->proxy_location)), EndpointKind::provider_calls, provider);
        if (server.preserves_post) {
            std::string login(view(provider->login_uri));
            add_endpoint(server, login + std::string(post_path), EndpointKind::post, provider);
            add_endpoint(server, login + std::string(post_script_path), EndpointKind::post_script, provider);
        }
        std::string front(view(provider->frontchannel_logout_uri));
        add_endpoint(server, front, EndpointKind::frontchannel, provider);
        add_endpoint(server, other_slash(front), EndpointKind::frontchannel, provider);
    }
    if (add_resources(cf, server) != NGX_CONF_OK) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    return check_endpoints(cf, server);
}

// Providers of one server must not overwrite each other's cookie.
void name_cookies(const ServerConf &server) {
    for (Provider *provider : server.providers) {
        for (Provider *other : server.providers) {
            if (provider != other && view(provider->cookie_name) == view(other->cookie_name)) {
                provider->cookie = std::string(view(provider->cookie_name)) + "_" + std::string(view(provider->name));
            }
        }
    }
}

// `server_name _;` is the custom for "no name at all": what has no letter and no digit is no host.
bool is_name(const std::string &text, const ngx_http_regex_t *regex) {
    return regex != nullptr || std::any_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c); });
}

void copy_names(ServerConf &server, const ngx_http_core_srv_conf_t &core) {
    auto *names = static_cast<ngx_http_server_name_t *>(core.server_names.elts);
    for (ngx_uint_t i = 0; i < core.server_names.nelts; i++) {
        std::string text(view(names[i].name));
        std::transform(text.begin(), text.end(), text.begin(),
                       [](char c) { return static_cast<char>(ngx_tolower(c)); });
        ngx_http_regex_t *regex = nullptr;
#if (NGX_PCRE)
        regex = names[i].regex;
#endif
        if (is_name(text, regex)) {
            server.names.push_back({std::move(text), regex});
        }
    }
}

void warn_nameless(ngx_conf_t *cf, const ServerConf &server, ngx_http_core_srv_conf_t &core) {
    auto *location = static_cast<LocationConf *>(core.ctx->loc_conf[ngx_http_auth_oidc_module.ctx_index]);
    if (server.providers.empty() || !server.names.empty() || (location != nullptr && location->base_url != nullptr)) {
        return;
    }
    Where where{borrow({reinterpret_cast<char *>(core.file_name),
                        core.file_name ? std::strlen(reinterpret_cast<char *>(core.file_name)) : 0}),
                core.line};
    conf_log(cf, NGX_LOG_WARN, where,
             "this server with \"auth_oidc\" has no \"server_name\" and no \"auth_oidc_base_url\": "
             "it builds its redirect_uri from whatever Host a client sends");
}

ngx_int_t prepare(ngx_conf_t *cf) {
    find_secrets_blocks(cf,
                        *static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_auth_oidc_module)));
    return add_variables(cf);
}

ngx_int_t complete(ngx_conf_t *cf) {
    auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_auth_oidc_module));
    auto *core = static_cast<ngx_http_core_main_conf_t *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    auto **servers = static_cast<ngx_http_core_srv_conf_t **>(core->servers.elts);
    if (main->providers.empty()) {
        // A variable in auth_oidc that names nobody is refused at run time: that takes the handlers.
        bool used = std::any_of(servers, servers + core->servers.nelts, [](ngx_http_core_srv_conf_t *server) {
            return static_cast<ServerConf *>(server->ctx->srv_conf[ngx_http_auth_oidc_module.ctx_index])->any_provider;
        });
        return used ? install_handlers(cf) : NGX_OK;
    }
    main->state = std::make_unique<SharedState>(cf);
    main->refresher = std::make_shared<Refresher>(cf, *main->state);
    complete_bearer(cf, *main);
    main->open = std::make_shared<OpenRequests>(*main->state);
    for (Provider *provider : main->providers) {
        if (complete_provider(cf, provider) != NGX_CONF_OK) {
            return NGX_ERROR;
        }
        provider->store->state = main->state.get();
        complete_refresh(cf, *provider);
        complete_keep(cf, *main, *provider);
    }
    for (ngx_uint_t i = 0; i < core->servers.nelts; i++) {
        auto &server = *static_cast<ServerConf *>(servers[i]->ctx->srv_conf[ngx_http_auth_oidc_module.ctx_index]);
        if (make_endpoints(cf, server, *main) != NGX_CONF_OK) {
            return NGX_ERROR;
        }
        name_cookies(server);
        copy_names(server, *servers[i]);
        warn_nameless(cf, server, *servers[i]);
        if (check_https(cf, server, *servers[i]) != NGX_CONF_OK ||
            check_header_buffers(cf, server, *servers[i]) != NGX_CONF_OK) {
            return NGX_ERROR;
        }
    }
    for (Provider *provider : main->providers) {
        find_home(cf, *provider);
        for (const char *prefix : {"", "__Host-", "__Secure-"}) {
            add_once(main->cookies, prefix + provider->cookie);
        }
    }
    return install_handlers(cf);
}

}  // namespace

ngx_http_module_t http_module = {
    entry<&prepare, NGX_ERROR>, entry<&complete, NGX_ERROR>,
    entry<&create_main>,        nullptr,
    entry<&create_server>,      nullptr,
    entry<&create_location>,    entry<&merge_location, -1>,
};

}  // namespace auth_oidc
