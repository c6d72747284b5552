// The oidc_provider block: mistakes that only the whole block shows.
#include "../oidc/http.hpp"
#include "cookies.hpp"
#include "provider_conf.hpp"

namespace auth_oidc {
namespace {

bool is_path(const std::string &value) {
    return !value.empty() && value[0] == '/' && value.find_first_of("?# \t\"\\") == std::string::npos &&
           (value.size() == 1 || value[1] != '/');
}

// https anywhere, http on a loopback host, any other http only with insecure_http on.
char *check_url(ngx_conf_t *cf, const Provider &provider, const char *directive, const std::string &value) {
    auto url = oidc::http::parse_url(value);
    if (!url) {
        return refuse(cf, provider,
                      std::string("invalid URL \"") + value + "\" in \"" + directive + "\", write https://host/path",
                      directive);
    }
    if (url->scheme == "http" && !oidc::http::is_loopback_host(url->host) && provider.insecure_http != 1) {
        return refuse(cf, provider,
                      std::string("\"") + directive + "\" must begin with https:// (\"" + value +
                          "\"), or write \"insecure_http on\" for a test set-up",
                      directive);
    }
    return static_cast<char *>(NGX_CONF_OK);
}

char *check_endpoints(ngx_conf_t *cf, const Provider &provider) {
    struct {
        const char *directive;
        const ngx_str_t &value;
    } rows[] = {
        {"authorization_endpoint", provider.authorization_endpoint},
        {"token_endpoint", provider.token_endpoint},
        {"userinfo_endpoint", provider.userinfo_endpoint},
        {"end_session_endpoint", provider.end_session_endpoint},
        {"revocation_endpoint", provider.revocation_endpoint},
        {"introspection_endpoint", provider.introspection_endpoint},
        {"jwks_uri", provider.jwks_uri},
    };
    for (const auto &row : rows) {
        if (row.value.len == 0) {
            continue;
        }
        if (char *status = check_url(cf, provider, row.directive, text(row.value)); status != NGX_CONF_OK) {
            return status;
        }
    }
    if (provider.jwks_uri.len != 0 && provider.jwks_file.len != 0) {
        return refuse(cf, provider, "\"jwks_uri\" and \"jwks_file\" exclude each other: remove one of them",
                      "jwks_file");
    }
    return static_cast<char *>(NGX_CONF_OK);
}

char *check_paths(ngx_conf_t *cf, const Provider &provider) {
    struct {
        const char *directive;
        const ngx_str_t &value;
        bool absolute;
    } rows[] = {
        {"redirect_uri", provider.redirect_uri, true},
        {"logout_uri", provider.logout_uri, false},
        {"post_logout_uri", provider.post_logout_uri, true},
        {"login_uri", provider.login_uri, false},
        {"session_uri", provider.session_uri, false},
        {"cookie_path", provider.cookie_path, false},
        {"proxy_location", provider.proxy_location, false},
        {"frontchannel_logout_uri", provider.frontchannel_logout_uri, false},
        {"backchannel_logout_uri", provider.backchannel_logout_uri, false},
    };
    for (const auto &row : rows) {
        std::string value = text(row.value);
        if (row.value.len == 0 || is_path(value)) {
            continue;
        }
        if (!row.absolute || !oidc::http::parse_url(value)) {
            return refuse(cf, provider,
                          std::string("invalid value \"") + value + "\" in \"" + row.directive + "\", write a path" +
                              (row.absolute ? " or an absolute URL" : " that begins with \"/\""),
                          row.directive);
        }
    }
    if (provider.redirect_uri.len && oidc::http::parse_url(view(provider.redirect_uri)) &&
        view(provider.redirect_uri).find('?') != std::string_view::npos) {
        return refuse(cf, provider, "\"redirect_uri\" has a query, write it without one", "redirect_uri");
    }
    auto absolute = oidc::http::parse_url(view(provider.redirect_uri));
    if (provider.posts_back() && absolute && absolute->scheme == "http" &&
        !oidc::http::is_loopback_host(absolute->host)) {
        return refuse(cf, provider,
                      "\"response_mode form_post\" needs https or a loopback name, and \"redirect_uri\" has neither",
                      "response_mode");
    }
    return static_cast<char *>(NGX_CONF_OK);
}

// A session under a name of our own short-lived cookies would be deleted as one of them.
char *check_cookie_name(ngx_conf_t *cf, const Provider &provider) {
    std::string_view name = view(provider.cookie_name);
    if (!name.empty() && !is_token(name)) {
        return refuse(cf, provider,
                      "invalid value \"" + std::string(name) +
                          "\" in \"cookie_name\", use letters, digits, \"-\", \"_\" and \".\"",
                      "cookie_name");
    }
    if (is_reserved_cookie(name)) {
        return refuse(cf, provider,
                      "\"" + std::string(name) +
                          "\" in \"cookie_name\" belongs to another cookie of this module, "
                          "write another name",
                      "cookie_name");
    }
    return static_cast<char *>(NGX_CONF_OK);
}

// A registrable name with at most a leading dot, as browsers take it.
bool is_cookie_domain(std::string_view domain) {
    if (oidc::starts_with(domain, ".")) {
        domain.remove_prefix(1);
    }
    return is_token(domain) && domain.find('.') != std::string_view::npos && domain.find('_') == std::string_view::npos;
}

char *check_cookie_attributes(ngx_conf_t *cf, const Provider &provider) {
    if (provider.cookie_domain.len && !is_cookie_domain(view(provider.cookie_domain))) {
        return refuse(
            cf, provider,
            "invalid value \"" + text(provider.cookie_domain) + "\" in \"cookie_domain\", write a domain: example.com",
            "cookie_domain");
    }
    auto absolute = oidc::http::parse_url(view(provider.redirect_uri));
    if (provider.cookie_samesite == 2 && absolute && absolute->scheme == "http") {
        return refuse(cf, provider,
                      "\"cookie_samesite None\" needs https, and \"redirect_uri\" is http: browsers drop such a cookie",
                      "cookie_samesite");
    }
    return static_cast<char *>(NGX_CONF_OK);
}

bool is_proxy(std::string_view value) {
    for (std::string_view scheme : {"http://", "https://", "socks5://", "socks5h://"}) {
        if (oidc::starts_with(value, scheme) && value.size() > scheme.size()) {
            return true;
        }
    }
    return false;
}

// Entra ID's addresses for more than one organisation.
bool is_for_tenants(const Provider &provider) {
    std::string_view issuer = view(provider.issuer);
    auto url = oidc::http::parse_url(issuer);
    bool common = url && oidc::starts_with(url->host, "login.microsoftonline.") &&
                  (oidc::starts_with(url->target, "/common/") || oidc::starts_with(url->target, "/organizations/"));
    return common || issuer.find("{tenantid}") != std::string_view::npos;
}

}  // namespace

bool is_token(std::string_view value) {
    for (char c : value) {
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '_' || c == '.';
        if (!fits) {
            return false;
        }
    }
    return !value.empty();
}

std::vector<std::string> words(const ngx_array_t *list) {
    std::vector<std::string> result;
    for (ngx_uint_t i = 0; list && i < list->nelts; i++) {
        result.push_back(text(static_cast<ngx_str_t *>(list->elts)[i]));
    }
    return result;
}

// One message of a provider's block, at the line of its directive: which one, what is wrong, what to write.
char *refuse(ngx_conf_t *cf, const Provider &provider, const std::string &message, std::string_view directive) {
    return conf_log(cf, NGX_LOG_EMERG, provider.line_of(directive),
                    message + " in oidc_provider \"" + text(provider.name) + "\"");
}

char *check_required(ngx_conf_t *cf, const Provider &provider) {
    if (provider.issuer.len == 0) {
        return refuse(cf, provider, "\"issuer\" is missing: write \"issuer https://...;\"");
    }
    if (provider.issuer_tenants == nullptr && !provider.client.issuer_slash && is_for_tenants(provider)) {
        return refuse(
            cf, provider,
            "\"issuer\" stands for every organisation of the world: write \"issuer_tenants ID ...;\" with those "
            "that may come in, or \"issuer_tenants any;\"",
            "issuer");
    }
    if (provider.client_id.len == 0) {
        return refuse(cf, provider, "\"client_id\" is missing: write \"client_id ...;\" as registered at the provider");
    }
    if (provider.client_secret.len && provider.client_secret_file.len) {
        return refuse(cf, provider,
                      "\"client_secret\" and \"client_secret_file\" exclude each other: remove one of them",
                      "client_secret_file");
    }
    char *status = check_cookie_name(cf, provider);
    if (status == NGX_CONF_OK) {
        status = check_url(cf, provider, "issuer", text(provider.issuer));
    }
    // D 3: an issuer has neither a query nor a fragment.
    if (status == NGX_CONF_OK && view(provider.issuer).find('?') != std::string_view::npos) {
        return refuse(cf, provider, "\"issuer\" has a query, write it as the metadata of the provider has it",
                      "issuer");
    }
    if (status == NGX_CONF_OK && provider.config_url.len) {
        status = check_url(cf, provider, "config_url", text(provider.config_url));
    }
    if (status == NGX_CONF_OK) {
        status = check_endpoints(cf, provider);
    }
    return status == NGX_CONF_OK ? check_paths(cf, provider) : status;
}

char *check_values(ngx_conf_t *cf, const Provider &provider) {
    if (char *status = check_cookie_attributes(cf, provider); status != NGX_CONF_OK) {
        return status;
    }
    if (char *status = check_keep(cf, provider); status != NGX_CONF_OK) {
        return status;
    }
    for (const std::string &alg : words(provider.id_token_signing_algs)) {
        if (!oidc::is_known_signing_alg(alg)) {
            return refuse(cf, provider,
                          "invalid value \"" + alg +
                              "\" in \"id_token_signing_algs\", it must be RS256, RS384, RS512, "
                              "PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, HS256, HS384 or HS512",
                          "id_token_signing_algs");
        }
    }
    auto method = static_cast<oidc::ClientAuth>(provider.client_auth_method);
    if (method == oidc::ClientAuth::private_key_jwt && provider.client_key.len == 0) {
        return refuse(cf, provider, "\"client_auth_method private_key_jwt\" needs a key: write \"client_key FILE;\"",
                      "client_auth_method");
    }
    bool tls = method == oidc::ClientAuth::tls || method == oidc::ClientAuth::self_signed_tls;
    if (tls && provider.ssl_certificate.len == 0) {
        return refuse(cf, provider,
                      "\"client_auth_method\" by TLS needs a certificate: write \"ssl_certificate FILE;\"",
                      "client_auth_method");
    }
    if (provider.ssl_certificate.len != 0 && provider.ssl_certificate_key.len == 0) {
        return refuse(cf, provider, "\"ssl_certificate\" needs \"ssl_certificate_key FILE;\" beside it",
                      "ssl_certificate");
    }
    bool secret = provider.client_secret.len != 0 || provider.client_secret_file.len != 0;
    bool by_secret =
        method == oidc::ClientAuth::basic || method == oidc::ClientAuth::post || method == oidc::ClientAuth::secret_jwt;
    if (by_secret && !secret) {
        return refuse(cf, provider,
                      "\"client_auth_method\" by secret needs \"client_secret\" or \"client_secret_file\"",
                      "client_auth_method");
    }
    if (!secret && provider.pkce == static_cast<ngx_uint_t>(oidc::Pkce::off) && provider.client_key.len == 0 && !tls) {
        return refuse(cf, provider, "\"pkce off\" needs a \"client_secret\": a public client is safe with PKCE only",
                      "pkce");
    }
    if (provider.http_proxy.len && !is_proxy(view(provider.http_proxy))) {
        return refuse(cf, provider,
                      "invalid value \"" + text(provider.http_proxy) + "\" in \"http_proxy\", write http://host:port",
                      "http_proxy");
    }
    if (provider.session_timeout <= 0) {
        return refuse(cf, provider, "invalid value in \"session_timeout\", it must be at least 1s", "session_timeout");
    }
    if (provider.login_timeout <= 0) {
        return refuse(cf, provider, "invalid value in \"login_timeout\", it must be at least 1s", "login_timeout");
    }
    return static_cast<char *>(NGX_CONF_OK);
}

}  // namespace auth_oidc
