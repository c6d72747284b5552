// `session_store` with a URL: checked and resolved while the configuration is read.
#include "provider_conf.hpp"
#include "store_redis.hpp"
#include "store_redis_ops.hpp"
#include "store_redis_tls.hpp"

namespace auth_oidc {
namespace {

std::string shown(const RedisUrl &url) {
    if (url.socket) {
        return "unix:" + url.host;
    }
    return (url.tls ? "rediss://" : "redis://") + url.host + ":" + std::to_string(url.port);
}

bool resolve(ngx_conf_t *cf, const Provider &provider, RedisServer &server, const std::string &directive) {
    ngx_url_t url{};
    const RedisUrl &where = server.url;
    url.url = copy(cf->pool, where.socket ? "unix:" + where.host : where.host + ":" + std::to_string(where.port));
    if (ngx_parse_url(cf->pool, &url) != NGX_OK || url.naddrs == 0) {
        refuse(cf, provider,
               std::string(url.err ? url.err : "no address") + " for \"" + text(server.shown) + "\" of \"" + directive +
                   "\"",
               directive);
        return false;
    }
    server.addresses.assign(url.addrs, url.addrs + url.naddrs);
    return true;
}

void warn_without_secret(ngx_conf_t *cf, const Provider &provider) {
    if (provider.secrets.empty()) {
        conf_log(cf, NGX_LOG_WARN, provider.line_of("session_store"),
                 "sessions in Redis are lost when nginx restarts, and other hosts cannot read them: write "
                 "\"cookie_secret\" in oidc_provider \"" +
                     text(provider.name) + "\"");
    }
}

}  // namespace

Redis *connect_redis(ngx_conf_t *cf, Provider &provider, const RedisDirective &directive) {
    const std::string name(directive.name);
    auto url = parse_redis_url(directive.url);
    if (!url) {
        refuse(cf, provider,
               "invalid URL in \"" + name + "\": " + url.error().text +
                   "; write redis://[user:password@]host[:port][/db], rediss://... or unix:/path",
               name);
        return nullptr;
    }
    auto *redis = pool_new<Redis>(cf->pool);
    redis->provider = &provider;
    redis->server.url = *url;
    redis->server.shown = copy(cf->pool, shown(*url));
    redis->server.timeout = provider.store_timeout;
    if (!resolve(cf, provider, redis->server, name)) {
        return nullptr;
    }
    if (url->tls) {
        std::string ca = url->ca;
        if (!ca.empty()) {
            ngx_str_t file = copy(cf->pool, ca);
            if (ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
                return nullptr;
            }
            ca = text(file);
        }
        redis->server.ssl = redis_tls(cf, ca);
        if (redis->server.ssl == nullptr) {
            refuse(cf, provider, "the certificates of \"" + name + "\" cannot be used", name);
            return nullptr;
        }
    }
    return redis;
}

Store *redis_store(ngx_conf_t *cf, Provider &provider) {
    Redis *redis = connect_redis(cf, provider, {"session_store", view(provider.session_store)});
    if (redis == nullptr) {
        return nullptr;
    }
    warn_without_secret(cf, provider);
    return pool_new<Store>(cf->pool, Store{&redis_ops, redis});
}

}  // namespace auth_oidc
