// oidc_secrets: each entry of a Streamlit secrets.toml becomes a provider, to which a block of the same name may add.
#include "../oidc/secrets.hpp"

#include "config_values.hpp"
#include "provider_conf.hpp"

namespace auth_oidc {
namespace {

void text_or(ngx_conf_t *cf, ngx_str_t &value, const std::string &text) {
    if (value.len == 0) {
        value = copy(cf->pool, text);
    }
}

ngx_uint_t auth_method(std::string_view word) {
    constexpr std::pair<std::string_view, oidc::ClientAuth> words[] = {
        {"client_secret_basic", oidc::ClientAuth::basic},
        {"client_secret_post", oidc::ClientAuth::post},
        {"client_secret_jwt", oidc::ClientAuth::secret_jwt},
    };
    for (const auto &[name, method] : words) {
        if (name == word) {
            return static_cast<ngx_uint_t>(method);
        }
    }
    return NGX_CONF_UNSET_UINT;
}

// Everything is encoded, "$" too: the file has no variables.
ngx_http_complex_value_t *constant_value(ngx_conf_t *cf, const oidc::Parameters &parameters) {
    auto *value = static_cast<ngx_http_complex_value_t *>(ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t)));
    if (value != nullptr) {
        value->value = copy(cf->pool, oidc::form_encode(parameters));
    }
    return value;
}

}  // namespace

void fill_from_secrets(ngx_conf_t *cf, Provider &provider) {
    if (!provider.entry) {
        return;
    }
    const oidc::SecretsEntry &entry = *provider.entry;
    if (provider.issuer.len == 0) {
        provider.issuer = copy(cf->pool, entry.issuer);
        provider.client.issuer_slash = true;
    }
    text_or(cf, provider.config_url, entry.metadata_url);
    text_or(cf, provider.client_id, entry.client_id);
    if (provider.client_secret_file.len == 0) {
        text_or(cf, provider.client_secret, entry.client_secret);
    }
    text_or(cf, provider.redirect_uri, entry.redirect_uri);
    text_or(cf, provider.login_uri, entry.base_path() + "/auth/login");
    text_or(cf, provider.logout_uri, entry.base_path() + "/auth/logout");
    text_or(cf, provider.scope, entry.scope);
    if (provider.extra_auth_args == nullptr) {
        provider.extra_auth_args = constant_value(cf, entry.arguments);
    }
    if (entry.pkce) {
        ngx_conf_init_uint_value(provider.pkce, static_cast<ngx_uint_t>(oidc::Pkce::on));
    }
    if (entry.response_mode == "form_post") {
        ngx_conf_init_uint_value(provider.response_mode, 1);
    }
    ngx_conf_init_uint_value(provider.client_auth_method, auth_method(entry.client_auth_method));
    ngx_conf_init_value(provider.session_timeout, 30 * 24 * 3600);
    if (provider.secrets.empty()) {
        provider.secrets.push_back(entry.cookie_secret);
    }
}

char *set_secrets(ngx_conf_t *cf, ngx_command_t *, void *conf) {
    auto *main = static_cast<MainConf *>(conf);
    ngx_str_t file = arguments(cf)[1];
    auto content = read_secret_file(cf, here(cf), file, "oidc_secrets");
    if (!content || ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    oidc::Secrets secrets = oidc::read_secrets(*content);
    if (secrets.problem) {
        return conf_log(cf, NGX_LOG_EMERG, {file, secrets.problem->line}, "\"oidc_secrets\": " + secrets.problem->text);
    }
    for (const oidc::SecretsNote &note : secrets.warnings) {
        conf_log(cf, NGX_LOG_WARN, {file, note.line}, "\"oidc_secrets\": " + note.text);
    }
    for (oidc::SecretsEntry &entry : secrets.entries) {
        Provider *provider = main->find(entry.name);
        if (provider != nullptr && provider->entry) {
            return conf_error(cf, "the provider \"" + entry.name + "\" is in two files of \"oidc_secrets\"");
        }
        if (provider == nullptr) {
            provider = pool_new<Provider>(cf->pool);
            provider->name = copy(cf->pool, entry.name);
            provider->where = {file, entry.line};
            main->providers.push_back(provider);
        }
        provider->entry.emplace(std::move(entry));
    }
    return static_cast<char *>(NGX_CONF_OK);
}

}  // namespace auth_oidc
