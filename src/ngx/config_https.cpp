// What needs https, held against the servers that use it: a browser would drop the cookie, and nobody would know why.
#include "config_https.hpp"

#include "../oidc/http.hpp"
#include "provider_conf.hpp"

#if (NGX_HTTP_SSL)
extern "C" {
#include <ngx_http_ssl_module.h>
}
#endif

namespace auth_oidc {
namespace {

template <class Item>
std::pair<Item *, Item *> items(const ngx_array_t *array) {
    auto *first = array ? static_cast<Item *>(array->elts) : nullptr;
    return {first, array ? first + array->nelts : nullptr};
}

bool is_tls(const ngx_http_listen_opt_t &listen) {
#if (nginx_version >= 1025000)
    return listen.ssl || listen.quic;
#elif (NGX_HTTP_SSL)
    return listen.ssl;
#else
    return static_cast<void>(listen), false;
#endif
}

// `ssl on;` of before 1.25.
bool is_all_tls(const ngx_http_core_srv_conf_t &core) {
#if (NGX_HTTP_SSL && nginx_version < 1025001)
    auto *ssl = static_cast<ngx_http_ssl_srv_conf_t *>(core.ctx->srv_conf[ngx_http_ssl_module.ctx_index]);
    return ssl != nullptr && ssl->enable == 1;
#else
    return static_cast<void>(core), false;
#endif
}

bool listens_with_tls(const ngx_http_core_main_conf_t &main, const ngx_http_core_srv_conf_t &core) {
    auto [port, last_port] = items<ngx_http_conf_port_t>(main.ports);
    for (; port != last_port; port++) {
        auto [address, last_address] = items<ngx_http_conf_addr_t>(&port->addrs);
        for (; address != last_address; address++) {
            auto [server, last_server] = items<ngx_http_core_srv_conf_t *>(&address->servers);
            if (is_tls(address->opt) && std::find(server, last_server, &core) != last_server) {
                return true;
            }
        }
    }
    return is_all_tls(core);
}

// What browsers see may be https though nginx speaks http: then the configuration says so. A variable may hold
// anything.
bool may_be_https(const ServerConf &server, const ngx_http_core_srv_conf_t &core) {
    auto *location = static_cast<LocationConf *>(core.ctx->loc_conf[ngx_http_auth_oidc_module.ctx_index]);
    const ngx_http_complex_value_t *base = location ? location->base_url : nullptr;
    return server.many_base_urls ||
           (base != nullptr && (base->lengths != nullptr || oidc::starts_with(view(base->value), "https:")));
}

// A browser on this machine trusts a loopback name without https.
bool may_be_loopback(const ServerConf &server) {
    return server.names.empty() || std::any_of(server.names.begin(), server.names.end(), [](const ServerName &name) {
               return name.regex != nullptr || name.text == "_" || oidc::http::is_loopback_host(name.text);
           });
}

std::string shown(const ServerConf &server) {
    return server.names.empty() ? "a server without a name" : "server \"" + server.names[0].text + "\"";
}

constexpr const char *advice =
    " has only http: write \"listen ... ssl\", or \"auth_oidc_base_url https://...\" where TLS ends before nginx";

}  // namespace

char *check_https(ngx_conf_t *cf, const ServerConf &server, const ngx_http_core_srv_conf_t &core) {
    auto *main = static_cast<ngx_http_core_main_conf_t *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    if (listens_with_tls(*main, core) || may_be_https(server, core)) {
        return static_cast<char *>(NGX_CONF_OK);
    }
    for (const Provider *provider : server.providers) {
        auto absolute = oidc::http::parse_url(provider->client.redirect_uri);
        if (absolute && absolute->scheme == "https") {
            continue;
        }
        if (provider->cookie_samesite == 2) {
            return refuse(cf, *provider, "\"cookie_samesite None\" needs https, and " + shown(server) + advice,
                          "cookie_samesite");
        }
        // Under a loopback name, which every server has, both go: a login under another one is refused when it begins.
        if (provider->posts_back() && !may_be_loopback(server)) {
            conf_log(cf, NGX_LOG_WARN, provider->line_of("response_mode"),
                     "\"response_mode form_post\" needs https or a loopback name, and " + shown(server) + advice);
        }
        if (provider->cookie_partitioned == 1) {
            conf_log(cf, NGX_LOG_WARN, provider->line_of("cookie_partitioned"),
                     "\"cookie_partitioned on\" makes the session cookie Secure, and " + shown(server) + advice);
        }
    }
    return static_cast<char *>(NGX_CONF_OK);
}

}  // namespace auth_oidc
