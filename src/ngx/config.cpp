#include "config.hpp"

#include <algorithm>

#include "../oidc/http.hpp"
#include "bearer.hpp"
#include "config_values.hpp"
#include "module.hpp"
#include "provider_conf.hpp"
#include "refresher.hpp"
#include "require.hpp"
#include "site_page.hpp"
#include "status.hpp"
#include "store_zone.hpp"

namespace auth_oidc {
namespace {

char *set_auth_oidc(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *set_anonymous(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *set_base_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *set_scope(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *set_words(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *set_cookie_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *set_tenants(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *set_client_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

ngx_conf_enum_t pkce_words[] = {{ngx_string("on"), static_cast<ngx_uint_t>(oidc::Pkce::on)},
                                {ngx_string("off"), static_cast<ngx_uint_t>(oidc::Pkce::off)},
                                {ngx_null_string, 0}};

ngx_conf_enum_t samesite_words[] = {
    {ngx_string("Lax"), 0}, {ngx_string("Strict"), 1}, {ngx_string("None"), 2}, {ngx_null_string, 0}};

ngx_conf_enum_t response_mode_words[] = {{ngx_string("query"), 0}, {ngx_string("form_post"), 1}, {ngx_null_string, 0}};

ngx_conf_enum_t client_auth_words[] = {
    {ngx_string("client_secret_basic"), static_cast<ngx_uint_t>(oidc::ClientAuth::basic)},
    {ngx_string("client_secret_post"), static_cast<ngx_uint_t>(oidc::ClientAuth::post)},
    {ngx_string("client_secret_jwt"), static_cast<ngx_uint_t>(oidc::ClientAuth::secret_jwt)},
    {ngx_string("private_key_jwt"), static_cast<ngx_uint_t>(oidc::ClientAuth::private_key_jwt)},
    {ngx_string("tls_client_auth"), static_cast<ngx_uint_t>(oidc::ClientAuth::tls)},
    {ngx_string("self_signed_tls_client_auth"), static_cast<ngx_uint_t>(oidc::ClientAuth::self_signed_tls)},
    {ngx_string("none"), static_cast<ngx_uint_t>(oidc::ClientAuth::none)},
    {ngx_null_string, 0}};

constexpr ngx_uint_t anywhere = NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF;

// A directive of the provider block with one value, which a setter handles as it is.
#define PROVIDER(name, setter, member, post)                                                           \
    {                                                                                                  \
        ngx_string(name), provider_context | NGX_CONF_TAKE1, noting<setter>, NGX_HTTP_LOC_CONF_OFFSET, \
            offsetof(Provider, member), post                                                           \
    }
#define PROVIDER_TEXT(name) PROVIDER(#name, set_text, name, nullptr)
#define PROVIDER_FLAG(name) PROVIDER(#name, ngx_conf_set_flag_slot, name, nullptr)
#define PROVIDER_TIME(name) PROVIDER(#name, set_time, name, nullptr)
#define PROVIDER_MSEC(name) PROVIDER(#name, set_msec, name, nullptr)

}  // namespace

ngx_command_t commands[] = {
    {ngx_string("oidc_provider"), NGX_HTTP_MAIN_CONF | NGX_CONF_BLOCK | NGX_CONF_TAKE1, provider_block,
     NGX_HTTP_MAIN_CONF_OFFSET, 0, nullptr},
    {ngx_string("oidc_secrets"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, set_secrets, NGX_HTTP_MAIN_CONF_OFFSET, 0,
     nullptr},
    {ngx_string("keyval_zone"), NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE, set_keyval_zone, NGX_HTTP_MAIN_CONF_OFFSET, 0,
     nullptr},
    {ngx_string("auth_oidc"), anywhere | NGX_CONF_1MORE, set_auth_oidc, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("auth_require"), anywhere | NGX_CONF_1MORE, set_require_values, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(LocationConf, require_values), nullptr},
    {ngx_string("auth_oidc_claim_set"), NGX_HTTP_MAIN_CONF | NGX_CONF_2MORE, set_claim_variable,
     NGX_HTTP_MAIN_CONF_OFFSET, 0, nullptr},
    {ngx_string("auth_oidc_require"), anywhere | NGX_CONF_2MORE, set_require, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(LocationConf, policy), nullptr},
    {ngx_string("auth_oidc_set_header"), anywhere | NGX_CONF_TAKE2, set_set_header, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(LocationConf, headers), nullptr},
    {ngx_string("auth_oidc_max_age"), anywhere | NGX_CONF_TAKE1, set_max_age, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(LocationConf, max_age), nullptr},
    {ngx_string("auth_oidc_bearer"), anywhere | NGX_CONF_1MORE, set_bearer, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(LocationConf, bearer), nullptr},
    {ngx_string("auth_oidc_remote_user"), anywhere | NGX_CONF_TAKE1, ngx_http_set_complex_value_slot,
     NGX_HTTP_LOC_CONF_OFFSET, offsetof(LocationConf, remote_user), nullptr},
    {ngx_string("auth_oidc_touch"), anywhere | NGX_CONF_FLAG, ngx_conf_set_flag_slot, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(LocationConf, touch), nullptr},
    {ngx_string("auth_oidc_streamlit"), anywhere | NGX_CONF_FLAG, ngx_conf_set_flag_slot, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(LocationConf, streamlit), nullptr},
    {ngx_string("auth_oidc_page"), anywhere | NGX_CONF_TAKE2, set_page, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(LocationConf, pages), nullptr},
    {ngx_string("auth_oidc_close_connections"), anywhere | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
     NGX_HTTP_LOC_CONF_OFFSET, offsetof(LocationConf, close_connections), nullptr},
    {ngx_string("auth_oidc_preserve_post"), anywhere | NGX_CONF_FLAG, ngx_conf_set_flag_slot, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(LocationConf, preserve_post), nullptr},
    {ngx_string("auth_oidc_status"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, set_status, NGX_HTTP_LOC_CONF_OFFSET, 0,
     nullptr},
    {ngx_string("auth_oidc_anonymous"), anywhere | NGX_CONF_TAKE1, set_anonymous, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(LocationConf, anonymous), nullptr},
    {ngx_string("auth_oidc_base_url"), anywhere | NGX_CONF_TAKE1, set_base_url, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(LocationConf, base_url), nullptr},

    PROVIDER_TEXT(issuer),
    PROVIDER_TEXT(client_id),
    PROVIDER_TEXT(client_secret),
    PROVIDER_TEXT(client_secret_file),
    PROVIDER_TEXT(config_url),
    PROVIDER_TEXT(cookie_name),
    PROVIDER_TEXT(redirect_uri),
    PROVIDER_TEXT(logout_uri),
    PROVIDER_TEXT(post_logout_uri),
    PROVIDER("logout_args", set_arguments, logout_args, nullptr),
    PROVIDER_TEXT(authorization_endpoint),
    PROVIDER_TEXT(token_endpoint),
    PROVIDER_TEXT(userinfo_endpoint),
    PROVIDER_TEXT(end_session_endpoint),
    PROVIDER_TEXT(revocation_endpoint),
    PROVIDER_TEXT(introspection_endpoint),
    PROVIDER_TEXT(jwks_uri),
    PROVIDER_TEXT(jwks_file),
    PROVIDER_TEXT(login_uri),
    PROVIDER_TEXT(session_uri),
    PROVIDER_TEXT(cookie_domain),
    PROVIDER_TEXT(cookie_path),
    PROVIDER_FLAG(cookie_partitioned),
    PROVIDER_FLAG(cookie_prefix),
    PROVIDER_TIME(session_idle_timeout),
    PROVIDER("cookie_samesite", set_word, cookie_samesite, samesite_words),
    PROVIDER("cookie_lifetime", set_lifetime, cookie_lifetime, nullptr),
    PROVIDER_TEXT(frontchannel_logout_uri),
    PROVIDER_TEXT(backchannel_logout_uri),
    PROVIDER_FLAG(revoke_on_logout),
    PROVIDER_TEXT(display_name),
    PROVIDER_TEXT(session_store),
    PROVIDER_TEXT(ssl_trusted_certificate),
    PROVIDER_TEXT(ssl_crl),
    PROVIDER_TEXT(ssl_name),
    PROVIDER_TEXT(ssl_certificate),
    PROVIDER_TEXT(ssl_certificate_key),
    PROVIDER_TEXT(http_proxy),
    PROVIDER_TEXT(proxy_location),
    PROVIDER_FLAG(logout_token_hint),
    PROVIDER_FLAG(userinfo),
    PROVIDER_FLAG(insecure_http),
    PROVIDER_FLAG(ssl_verify),
    PROVIDER_TIME(session_timeout),
    PROVIDER_TIME(session_max_age),
    PROVIDER_TIME(session_recheck),
    PROVIDER_TIME(clock_skew),
    PROVIDER_TIME(max_age),
    PROVIDER_TIME(login_timeout),
    PROVIDER_MSEC(connect_timeout),
    PROVIDER_MSEC(read_timeout),
    PROVIDER_MSEC(store_timeout),
    PROVIDER("pkce", set_word, pkce, pkce_words),
    PROVIDER("response_mode", set_word, response_mode, response_mode_words),
    PROVIDER("client_auth_method", set_word, client_auth_method, client_auth_words),
    PROVIDER("extra_auth_args", set_arguments, extra_auth_args, nullptr),
    {ngx_string("scope"), provider_context | NGX_CONF_1MORE, noting<set_scope>, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("id_token_signing_algs"), provider_context | NGX_CONF_1MORE, noting<set_words>,
     NGX_HTTP_LOC_CONF_OFFSET, offsetof(Provider, id_token_signing_algs), nullptr},
    {ngx_string("session_keep"), provider_context | NGX_CONF_1MORE, noting<set_words>, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(Provider, session_keep), nullptr},
    {ngx_string("session_revocation"), provider_context | NGX_CONF_TAKE12, noting<set_words>, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(Provider, session_revocation), nullptr},
    {ngx_string("issuer_tenants"), provider_context | NGX_CONF_1MORE, noting<set_tenants>, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(Provider, issuer_tenants), nullptr},
    {ngx_string("login_args"), provider_context | NGX_CONF_1MORE, noting<set_words>, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(Provider, login_args), nullptr},
    {ngx_string("acr_values"), provider_context | NGX_CONF_1MORE, noting<set_words>, NGX_HTTP_LOC_CONF_OFFSET,
     offsetof(Provider, acr_values), nullptr},
    {ngx_string("cookie_secret"), provider_context | NGX_CONF_TAKE1, noting<set_cookie_secret>,
     NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("cookie_secret_file"), provider_context | NGX_CONF_TAKE1, noting<set_cookie_secret>,
     NGX_HTTP_LOC_CONF_OFFSET, 1, nullptr},
    {ngx_string("session_refresh"), provider_context | NGX_CONF_TAKE12, noting<set_session_refresh>,
     NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("client_key"), provider_context | NGX_CONF_TAKE123, noting<set_client_key>, NGX_HTTP_LOC_CONF_OFFSET, 0,
     nullptr},
    // nginx's own `include` is not allowed in a context that nginx does not know.
    {ngx_string("include"), provider_context | NGX_CONF_TAKE1, ngx_conf_include, 0, 0, nullptr},
    ngx_null_command};

Where here(ngx_conf_t *cf) {
    Where where;
    where.file = cf->conf_file->file.name;
    where.line = cf->conf_file->line;
    return where;
}

char *conf_log(ngx_conf_t *cf, ngx_uint_t level, const Where &where, const std::string &message) {
    ngx_str_t text = borrow(message);
    ngx_str_t file = where.file;
    ngx_log_error(level, cf->log, 0, "%V in %V:%ui", &text, &file, where.line);
    return static_cast<char *>(NGX_CONF_ERROR);
}

Provider *MainConf::find(std::string_view name) const {
    for (Provider *provider : providers) {
        if (view(provider->name) == name) {
            return provider;
        }
    }
    return nullptr;
}

MainConf *main_conf(ngx_http_request_t *r) {
    return static_cast<MainConf *>(ngx_http_get_module_main_conf(r, ngx_http_auth_oidc_module));
}
ServerConf *server_conf(ngx_http_request_t *r) {
    return static_cast<ServerConf *>(ngx_http_get_module_srv_conf(r, ngx_http_auth_oidc_module));
}
LocationConf *location_conf(ngx_http_request_t *r) {
    return static_cast<LocationConf *>(ngx_http_get_module_loc_conf(r, ngx_http_auth_oidc_module));
}

namespace {

bool has_variable(const ngx_str_t &text) {
    return view(text).find('$') != std::string_view::npos;
}

bool compile(ngx_conf_t *cf, ngx_str_t *text, ngx_http_complex_value_t *value) {
    ngx_http_compile_complex_value_t compiler{};
    compiler.cf = cf;
    compiler.value = text;
    compiler.complex_value = value;
    return ngx_http_compile_complex_value(&compiler) == NGX_OK;
}

char *set_auth_oidc(ngx_conf_t *cf, ngx_command_t *, void *conf) {
    auto *location = static_cast<LocationConf *>(conf);
    if (location->auth_oidc != NGX_CONF_UNSET_PTR) {
        return const_cast<char *>("is duplicate");
    }
    ngx_str_t *words = arguments(cf);
    location->auth_oidc = ngx_array_create(cf->pool, cf->args->nelts - 1, sizeof(ngx_http_complex_value_t));
    location->auth_oidc_where = here(cf);
    if (location->auth_oidc == nullptr) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        if (view(words[i]) == "off") {
            if (cf->args->nelts != 2) {
                return conf_error(cf, "\"auth_oidc off\" stands alone: remove \"off\" or the provider names beside it");
            }
            return static_cast<char *>(NGX_CONF_OK);
        }
        auto *value = static_cast<ngx_http_complex_value_t *>(ngx_array_push(location->auth_oidc));
        if (value == nullptr || !compile(cf, &words[i], value)) {
            return static_cast<char *>(NGX_CONF_ERROR);
        }
    }
    return static_cast<char *>(NGX_CONF_OK);
}

char *set_anonymous(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    ngx_str_t value = arguments(cf)[1];
    std::string_view word = view(value);
    if (!has_variable(value) && word != "auto" && word != "login" && word != "deny" && word != "allow") {
        return conf_error(cf, "invalid value " + quoted(value) +
                                  " in \"auth_oidc_anonymous\", it must be \"auto\", \"login\", \"deny\" or \"allow\"");
    }
    return ngx_http_set_complex_value_slot(cf, cmd, conf);
}

char *set_base_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    ngx_str_t value = arguments(cf)[1];
    if (!has_variable(value)) {
        auto url = oidc::http::parse_url(view(value));
        if (!url || url->target != "/") {
            return conf_error(cf,
                              "invalid URL " + quoted(value) +
                                  " in \"auth_oidc_base_url\", write scheme and host only: https://app.example.com");
        }
    }
    return ngx_http_set_complex_value_slot(cf, cmd, conf);
}

char *set_scope(ngx_conf_t *cf, ngx_command_t *, void *conf) {
    auto *provider = static_cast<Provider *>(conf);
    if (provider->scope.data != nullptr) {
        return const_cast<char *>("is duplicate");
    }
    std::vector<std::string> words;
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        std::string text(view(arguments(cf)[i]));
        std::replace(text.begin(), text.end(), '+', ' ');
        for (std::string &word : oidc::split_words(text)) {
            words.push_back(std::move(word));
        }
    }
    std::string scope = oidc::contains(words, "openid") ? "" : "openid";
    for (const std::string &word : words) {
        scope += (scope.empty() ? "" : " ") + word;
    }
    if (scope.find_first_of("\"\\") != std::string::npos) {
        return conf_error(cf, "invalid value in \"scope\", a scope has neither quotes nor backslashes");
    }
    provider->scope = copy(cf->pool, scope);
    return static_cast<char *>(NGX_CONF_OK);
}

char *set_words(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    auto **list = reinterpret_cast<ngx_array_t **>(static_cast<char *>(conf) + cmd->offset);
    if (*list != nullptr) {
        return const_cast<char *>("is duplicate");
    }
    *list = ngx_array_create(cf->pool, cf->args->nelts - 1, sizeof(ngx_str_t));
    for (ngx_uint_t i = 1; *list && i < cf->args->nelts; i++) {
        for (const std::string &text :
             oidc::split_words(view(arguments(cf)[i]))) {  // several words may be quoted together
            auto *word = static_cast<ngx_str_t *>(ngx_array_push(*list));
            if (word == nullptr) {
                return static_cast<char *>(NGX_CONF_ERROR);
            }
            *word = copy(cf->pool, text);
        }
    }
    if (*list && (*list)->nelts == 0) {
        return conf_error(cf, "invalid value \"\" in " + quoted(cmd->name) + ", give it a value or remove the line");
    }
    return static_cast<char *>(*list ? NGX_CONF_OK : NGX_CONF_ERROR);
}

// cookie_secret and cookie_secret_file (offset 1) fill one list, in the order they are written: the first seals, both
// open.
char *set_cookie_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    auto *provider = static_cast<Provider *>(conf);
    const std::string directive(view(cmd->name));
    std::string secret(view(arguments(cf)[1]));
    if (cmd->offset == 1) {
        auto content = read_secret_file(cf, here(cf), arguments(cf)[1], directive.c_str());
        if (!content) {
            return static_cast<char *>(NGX_CONF_ERROR);
        }
        secret = *content;
    }
    if (secret.size() < 32) {
        return conf_error(cf, "\"" + directive +
                                  "\" is too short: a secret has at least 32 bytes, for example the output of "
                                  "\"openssl rand -base64 32\"");
    }
    if (provider->secrets.size() == 2) {
        return conf_error(cf,
                          "\"" + directive + "\" is given more than twice: the first seals, the second still opens");
    }
    provider->secrets.push_back(std::move(secret));
    return static_cast<char *>(NGX_CONF_OK);
}

// Identifiers or verified domains as Entra ID has them; "any" stands alone.
char *set_tenants(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    char *status = set_words(cf, cmd, conf);
    if (status != NGX_CONF_OK) {
        return status;
    }
    auto *list = static_cast<Provider *>(conf)->issuer_tenants;
    for (const std::string &word : words(list)) {
        if (!is_token(word)) {
            return conf_error(cf, "invalid value \"" + word +
                                      "\" in \"issuer_tenants\", write tenant IDs as in the claim \"tid\", or \"any\"");
        }
        if (word == "any" && list->nelts != 1) {
            return conf_error(cf, "\"any\" in \"issuer_tenants\" stands alone: remove it or the IDs beside it");
        }
    }
    return status;
}

char *set_client_key(ngx_conf_t *cf, ngx_command_t *, void *conf) {
    auto *provider = static_cast<Provider *>(conf);
    if (provider->client_key.data != nullptr) {
        return const_cast<char *>("is duplicate");
    }
    provider->client_key = arguments(cf)[1];
    for (ngx_uint_t i = 2; i < cf->args->nelts; i++) {
        std::string_view word = view(arguments(cf)[i]);
        if (oidc::starts_with(word, "kid=")) {
            provider->client_key_kid = borrow(word.substr(4));
        } else if (oidc::starts_with(word, "alg=")) {
            provider->client_key_alg = borrow(word.substr(4));
        } else {
            return conf_error(
                cf, "invalid parameter " + quoted(arguments(cf)[i]) + " in \"client_key\", write kid=... or alg=...");
        }
    }
    return static_cast<char *>(NGX_CONF_OK);
}

}  // namespace
}  // namespace auth_oidc
