// session_revocation: where it is kept who signed out of a session that is in a cookie.
#include "provider_conf.hpp"
#include "store_cookie.hpp"
#include "store_redis_url.hpp"

extern "C" ngx_module_t ngx_http_auth_oidc_filter_module;

namespace auth_oidc {
namespace {

constexpr size_t default_size = 1024 * 1024;

char *refuse_value(ngx_conf_t *cf, const Provider &provider, const std::string &word) {
    return refuse(cf, provider,
                  "invalid value \"" + word +
                      "\" in \"session_revocation\", write zone=name, zone=name:size, either with state=file behind "
                      "it, or redis://host",
                  "session_revocation");
}

bool is_used_for_sessions(const MainConf &main, std::string_view zone) {
    return std::any_of(main.providers.begin(), main.providers.end(),
                       [&](const Provider *provider) { return view(provider->session_store) == zone; });
}

// One that keyval_zone has declared becomes a list; any other is made.
ngx_shm_zone_t *find_zone(ngx_conf_t *cf, std::string_view name) {
    ngx_list_part_t *part = &cf->cycle->shared_memory.part;
    for (; part != nullptr; part = part->next) {
        auto *zones = static_cast<ngx_shm_zone_t *>(part->elts);
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            const bool ours =
                zones[i].tag == &ngx_http_auth_oidc_module || zones[i].tag == &ngx_http_auth_oidc_filter_module;
            if (ours && view(zones[i].shm.name) == name) {
                return &zones[i];
            }
        }
    }
    return nullptr;
}

struct Wish {
    std::string name, state;
    size_t size = default_size;
};

ngx_shm_zone_t *zone_of(ngx_conf_t *cf, const Wish &wish) {
    // A tag of its own: what was a list never becomes a zone of sessions when the configuration changes, or back.
    if (ngx_shm_zone_t *declared = find_zone(cf, wish.name)) {
        declared->tag = &ngx_http_auth_oidc_filter_module;
        return declared;
    }
    ngx_str_t name = copy(cf->pool, wish.name);
    return ngx_shared_memory_add(cf, &name, wish.size, &ngx_http_auth_oidc_filter_module);
}

char *make_list(ngx_conf_t *cf, const Provider &provider, const Wish &wish, CookieStore &store) {
    RevocationOptions options;
    options.zone = zone_of(cf, wish);
    if (options.zone == nullptr) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    options.state = wish.state;
    options.secrets = provider.secrets;
    store.revocations = std::make_unique<Revocations>(options);
    return static_cast<char *>(NGX_CONF_OK);
}

// name or name:size
bool read_zone(std::string_view word, Wish &wish) {
    const size_t colon = word.find(':');
    wish.name = std::string(word.substr(0, colon));
    if (colon == std::string_view::npos) {
        return !wish.name.empty();
    }
    ngx_str_t text = borrow(word.substr(colon + 1));
    const ssize_t size = ngx_parse_size(&text);
    wish.size = static_cast<size_t>(size);
    return !wish.name.empty() && size >= static_cast<ssize_t>(8 * ngx_pagesize);
}

char *read_list(ngx_conf_t *cf, const Provider &provider, Wish &wish) {
    const std::vector<std::string> given = words(provider.session_revocation);
    for (size_t i = 0; i < given.size(); i++) {
        const std::string &word = given[i];
        const bool is_zone = i == 0 && oidc::starts_with(word, "zone=") && read_zone(word.substr(5), wish);
        const bool is_state = i == 1 && oidc::starts_with(word, "state=") && word.size() > 6;
        if (!is_zone && !is_state) {
            return refuse_value(cf, provider, word);
        }
    }
    auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_auth_oidc_module));
    if (is_used_for_sessions(*main, wish.name)) {
        return refuse(cf, provider,
                      "the zone \"" + wish.name + "\" of \"session_revocation\" holds sessions: name another one",
                      "session_revocation");
    }
    if (given.size() == 2) {
        ngx_str_t file = copy(cf->pool, given[1].substr(6));
        if (ngx_conf_full_name(cf->cycle, &file, 0) != NGX_OK) {
            return static_cast<char *>(NGX_CONF_ERROR);
        }
        wish.state = text(file);
    }
    return static_cast<char *>(NGX_CONF_OK);
}

void warn_what_a_restart_loses(ngx_conf_t *cf, const Provider &provider, bool is_kept) {
    const std::string block = " in oidc_provider \"" + text(provider.name) + "\"";
    if (provider.secrets.empty()) {
        conf_log(cf, NGX_LOG_WARN, provider.line_of("session_store"),
                 "sessions in cookies are lost when nginx restarts, and other hosts cannot read them: write "
                 "\"cookie_secret\" (and \"session_revocation\", for a restart forgets who signed out)" +
                     block);
    } else if (!is_kept) {
        conf_log(cf, NGX_LOG_WARN, provider.line_of("session_store"),
                 "a restart forgets who signed out of a session in a cookie: write \"session_revocation zone=" +
                     text(provider.name) + "_signed_out state=FILE;\" or \"session_revocation redis://...;\"" + block);
    }
}

}  // namespace

char *complete_revocation(ngx_conf_t *cf, Provider &provider, CookieStore &store) {
    const std::vector<std::string> given = words(provider.session_revocation);
    if (given.size() == 1 && is_redis_url(given[0])) {
        Redis *redis = connect_redis(cf, provider, {"session_revocation", given[0]});
        if (redis == nullptr) {
            return static_cast<char *>(NGX_CONF_ERROR);
        }
        store.remote = std::make_unique<RemoteRevocations>(*redis);
        warn_what_a_restart_loses(cf, provider, true);
        return static_cast<char *>(NGX_CONF_OK);
    }
    Wish wish;
    wish.name = "oidc_revoked_" + text(provider.name);
    if (char *status = read_list(cf, provider, wish); status != NGX_CONF_OK) {
        return status;
    }
    if (provider.secrets.empty()) {
        wish.state.clear();  // nothing that it could be about opens after a restart
    }
    warn_what_a_restart_loses(cf, provider, !wish.state.empty());
    return make_list(cf, provider, wish, store);
}

}  // namespace auth_oidc
