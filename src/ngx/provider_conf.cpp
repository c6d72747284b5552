// The oidc_provider block: what it holds is checked here, and becomes plain values for the protocol.
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "../oidc/http.hpp"
#include "provider_conf.hpp"
#include "store_cookie.hpp"
#include "store_redis.hpp"
#include "store_zone.hpp"

namespace auth_oidc {
namespace {

constexpr size_t default_zone_size = 8 * 1024 * 1024;

char *check_file(ngx_conf_t *cf, const Provider &provider, const char *directive, ngx_str_t *file) {
    if (file->len == 0) {
        return static_cast<char *>(NGX_CONF_OK);
    }
    if (ngx_conf_full_name(cf->cycle, file, 1) != NGX_OK) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    std::ifstream stream(text(*file));
    if (!stream.good()) {
        return refuse(cf, provider, std::string("cannot read \"") + text(*file) + "\" of \"" + directive + "\"",
                      directive);
    }
    return static_cast<char *>(NGX_CONF_OK);
}

void merge_defaults(Provider &provider) {
    auto or_default = [](ngx_str_t &value, const char *fallback) {
        if (value.len == 0) {
            value = borrow(fallback);
        }
    };
    or_default(provider.cookie_name, "NGX_OIDC_SESSION");
    or_default(provider.redirect_uri, "/oidc_callback");
    or_default(provider.login_uri, "/oidc_login");
    or_default(provider.scope, "openid");
    ngx_conf_init_value(provider.logout_token_hint, 0);
    ngx_conf_init_value(provider.userinfo, 0);
    ngx_conf_init_value(provider.cookie_partitioned, 0);
    ngx_conf_init_value(provider.cookie_prefix, 0);
    ngx_conf_init_value(provider.cookie_lifetime, 0);
    ngx_conf_init_value(provider.session_idle_timeout, 0);
    ngx_conf_init_uint_value(provider.cookie_samesite, 0);
    or_default(provider.cookie_path, "/");
    ngx_conf_init_value(provider.revoke_on_logout, 0);
    ngx_conf_init_value(provider.insecure_http, 0);
    ngx_conf_init_value(provider.ssl_verify, 1);
    ngx_conf_init_uint_value(provider.pkce, static_cast<ngx_uint_t>(oidc::Pkce::automatic));
    ngx_conf_init_uint_value(provider.response_mode, 0);
    ngx_conf_init_uint_value(provider.client_auth_method, static_cast<ngx_uint_t>(oidc::ClientAuth::automatic));
    ngx_conf_init_value(provider.session_timeout, 8 * 3600);
    ngx_conf_init_value(provider.session_max_age, 0);
    ngx_conf_init_value(provider.clock_skew, 60);
    ngx_conf_init_value(provider.max_age, -1);
    ngx_conf_init_value(provider.login_timeout, 600);
    ngx_conf_init_msec_value(provider.connect_timeout, 5000);
    ngx_conf_init_msec_value(provider.read_timeout, 10000);
    ngx_conf_init_msec_value(provider.store_timeout, 2000);
}

char *load_client_key(ngx_conf_t *cf, Provider &provider) {
    if (provider.client_key.len == 0) {
        return static_cast<char *>(NGX_CONF_OK);
    }
    auto pem = read_secret_file(cf, provider.line_of("client_key"), provider.client_key, "client_key");
    if (!pem) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    auto key = oidc::SigningKey::from_pem(*pem, view(provider.client_key_alg), view(provider.client_key_kid));
    if (!key) {
        return refuse(cf, provider, "\"client_key\" is of no use: " + key.error().text, "client_key");
    }
    provider.client.key.emplace(std::move(*key));
    return static_cast<char *>(NGX_CONF_OK);
}

void fill_static(Provider &provider) {
    oidc::StaticData &fixed = provider.client.fixed;
    fixed.authorization_endpoint = text(provider.authorization_endpoint);
    fixed.token_endpoint = text(provider.token_endpoint);
    fixed.userinfo_endpoint = text(provider.userinfo_endpoint);
    fixed.end_session_endpoint = text(provider.end_session_endpoint);
    fixed.revocation_endpoint = text(provider.revocation_endpoint);
    fixed.introspection_endpoint = text(provider.introspection_endpoint);
    fixed.jwks_uri = text(provider.jwks_uri);
}

char *load_keys(ngx_conf_t *cf, Provider &provider) {
    if (provider.jwks_file.len == 0) {
        return static_cast<char *>(NGX_CONF_OK);
    }
    if (char *status = check_file(cf, provider, "jwks_file", &provider.jwks_file); status != NGX_CONF_OK) {
        return status;
    }
    std::ifstream stream(text(provider.jwks_file), std::ios::binary);
    std::string keys((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    auto set = oidc::KeySet::parse(keys);
    if (!set || set->size() == 0) {
        return refuse(cf, provider,
                      "\"jwks_file\" holds no key set: " + (set ? "there is no usable key in it" : set.error().text),
                      "jwks_file");
    }
    provider.client.fixed.keys = std::move(keys);
    return static_cast<char *>(NGX_CONF_OK);
}

void fill_client(Provider &provider) {
    oidc::Client &client = provider.client;
    client.name = text(provider.name);
    client.issuer = text(provider.issuer);
    client.client_id = text(provider.client_id);
    client.config_url = text(provider.config_url);
    client.scope = text(provider.scope);
    client.redirect_uri = text(provider.redirect_uri);
    client.post_logout_uri = text(provider.post_logout_uri);
    client.logout_token_hint = provider.logout_token_hint;
    client.userinfo = provider.userinfo;
    client.response_mode = provider.posts_back() ? "form_post" : "";
    client.insecure_http = provider.insecure_http;
    client.pkce = static_cast<oidc::Pkce>(provider.pkce);
    client.auth = static_cast<oidc::ClientAuth>(provider.client_auth_method);
    client.id_token_algs = words(provider.id_token_signing_algs);
    client.acr_values = words(provider.acr_values);
    provider.passed_on = words(provider.login_args);
    client.tenants = words(provider.issuer_tenants);
    client.clock_skew = provider.clock_skew;
    client.max_age = provider.max_age;
    client.session_timeout = provider.session_timeout;
    client.session_max_age = provider.session_max_age;
    fill_static(provider);
    provider.binding = client.binding();
    provider.cookie = text(provider.cookie_name);
    auto url = oidc::http::parse_url(client.redirect_uri);
    provider.callback_path = url ? url->path() : client.redirect_uri;
    url = oidc::http::parse_url(client.post_logout_uri);
    provider.signed_out_path = url ? url->path() : client.post_logout_uri;
}

void fill_fetch(Provider &provider) {
    FetchOptions &fetch = provider.fetch;
    fetch.ca_file = text(provider.ssl_trusted_certificate);
    fetch.crl_file = text(provider.ssl_crl);
    fetch.proxy = text(provider.http_proxy);
    fetch.location = text(provider.proxy_location);
    fetch.ssl_name = text(provider.ssl_name);
    fetch.verify = provider.ssl_verify;
    fetch.connect_timeout = provider.connect_timeout;
    fetch.read_timeout = provider.read_timeout;
}

// By keyval_zone, which may stand behind its use.
bool is_declared(ngx_conf_t *cf, const ngx_str_t &zone) {
    auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_auth_oidc_module));
    return std::any_of(main->zones.begin(), main->zones.end(),
                       [&](const ZoneName &declared) { return view(declared.name) == view(zone); });
}

Store *make_store(ngx_conf_t *cf, Provider &provider) {
    if (is_redis_url(view(provider.session_store))) {
        return redis_store(cf, provider);
    }
    if (view(provider.session_store) == "cookie") {
        return cookie_store(cf, provider);
    }
    if (provider.session_store.len != 0) {
        if (!is_declared(cf, provider.session_store)) {
            refuse(cf, provider,
                   "unknown zone \"" + text(provider.session_store) +
                       "\" in \"session_store\", declare it: "
                       "\"keyval_zone zone=" +
                       text(provider.session_store) + ":8m;\"",
                   "session_store");
            return nullptr;
        }
        Store *store = zone_store(cf, {provider.session_store, 0});
        if (store != nullptr) {
            seal_state_with(*store, provider.secrets);
        }
        return store;
    }
    std::string name = "oidc_default_store_" + text(provider.name);
    return zone_store(cf, {copy(cf->pool, name), default_zone_size});
}

char *check_files(ngx_conf_t *cf, Provider &provider) {
    struct {
        const char *directive;
        ngx_str_t &file;
    } rows[] = {
        {"ssl_trusted_certificate", provider.ssl_trusted_certificate},
        {"ssl_crl", provider.ssl_crl},
        {"ssl_certificate", provider.ssl_certificate},
        {"ssl_certificate_key", provider.ssl_certificate_key},
    };
    for (auto &row : rows) {
        if (char *status = check_file(cf, provider, row.directive, &row.file); status != NGX_CONF_OK) {
            return status;
        }
    }
    if (provider.client_secret_file.len) {
        auto secret = read_secret_file(cf, provider.line_of("client_secret_file"), provider.client_secret_file,
                                       "client_secret_file");
        if (!secret) {
            return static_cast<char *>(NGX_CONF_ERROR);
        }
        provider.client.client_secret = *secret;
    } else {
        provider.client.client_secret = text(provider.client_secret);
    }
    char *status = load_keys(cf, provider);
    if (status == NGX_CONF_OK) {
        status = load_client_certificate(cf, provider);
    }
    return status == NGX_CONF_OK ? load_client_key(cf, provider) : status;
}

}  // namespace

std::optional<std::string> read_secret_file(ngx_conf_t *cf, const Where &where, const ngx_str_t &path,
                                            const char *directive) {
    ngx_str_t file = path;
    if (ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
        return std::nullopt;
    }
    std::ifstream stream(text(file), std::ios::binary);
    std::string content((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    if (!stream.good() && !stream.eof()) {
        conf_log(cf, NGX_LOG_EMERG, where, "cannot read \"" + text(file) + "\" of \"" + directive + "\"");
        return std::nullopt;
    }
    struct stat facts {};
    if (stat(text(file).c_str(), &facts) == 0 && (facts.st_mode & S_IROTH) != 0) {
        conf_log(cf, NGX_LOG_WARN, where,
                 "\"" + text(file) + "\" of \"" + directive + "\" can be read by everybody: chmod 600");
    }
    while (!content.empty() && (content.back() == '\n' || content.back() == '\r')) {
        content.pop_back();
    }
    if (content.empty()) {
        conf_log(cf, NGX_LOG_EMERG, where, "\"" + text(file) + "\" of \"" + directive + "\" is empty");
        return std::nullopt;
    }
    return content;
}

// The block's directives are ours alone: nginx finds them by the private context bit and writes into the provider,
// which takes the place of our location configuration for the time being.
char *parse_provider(ngx_conf_t *cf, Provider *provider) {
    auto *outer = static_cast<ngx_http_conf_ctx_t *>(cf->ctx);
    ngx_http_conf_ctx_t inner = *outer;
    std::vector<void *> slots(outer->loc_conf, outer->loc_conf + ngx_http_max_module);
    slots[ngx_http_auth_oidc_module.ctx_index] = provider;
    inner.loc_conf = slots.data();
    ngx_conf_t saved = *cf;
    // cppcheck-suppress autoVariables ; taken back below, before `inner` goes
    cf->ctx = &inner;
    cf->cmd_type = provider_context;
    char *status = ngx_conf_parse(cf, nullptr);
    *cf = saved;
    return status;
}

char *provider_block(ngx_conf_t *cf, ngx_command_t *, void *conf) {
    auto *main = static_cast<MainConf *>(conf);
    ngx_str_t name = static_cast<ngx_str_t *>(cf->args->elts)[1];
    if (!is_token(view(name)) || view(name) == "off") {
        return conf_log(cf, NGX_LOG_EMERG, here(cf),
                        "invalid provider name \"" + text(name) +
                            "\", use letters, digits, \"-\", \"_\" and \".\", and not \"off\"");
    }
    Provider *provider = main->find(view(name));
    if (provider != nullptr && provider->has_block) {
        return conf_log(cf, NGX_LOG_EMERG, here(cf), "duplicate oidc_provider \"" + text(name) + "\"");
    }
    if (provider == nullptr) {
        provider = pool_new<Provider>(cf->pool);
        provider->name = name;
        main->providers.push_back(provider);
    }
    provider->where = here(cf);
    provider->has_block = true;
    return parse_provider(cf, provider);
}

char *complete_provider(ngx_conf_t *cf, Provider *provider) {
    char *status = say_common(cf, *provider);
    if (status == NGX_CONF_OK) {
        fill_from_secrets(cf, *provider);
        status = check_required(cf, *provider);
    }
    if (status == NGX_CONF_OK) {
        merge_defaults(*provider);
        status = check_values(cf, *provider);
    }
    if (status == NGX_CONF_OK) {
        status = check_files(cf, *provider);
    }
    if (status != NGX_CONF_OK) {
        return status;
    }
    fill_client(*provider);
    fill_fetch(*provider);
    provider->store = make_store(cf, *provider);
    if (provider->store == nullptr) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    provider->keyring = std::make_unique<Keyring>(cf, provider->client, provider->fetch);
    return static_cast<char *>(NGX_CONF_OK);
}

}  // namespace auth_oidc
