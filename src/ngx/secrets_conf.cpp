// oidc_secrets: each entry of a Streamlit secrets.toml becomes a provider, to which a block of the same name may add.
#include "../oidc/secrets.hpp"

#include <algorithm>

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

// A file beside the value is the same thing said in another way.
bool replaces(std::string_view own, std::string_view common) {
    auto plain = [](std::string_view name) {
        return oidc::ends_with(name, "_file") ? name.substr(0, name.size() - 5)
               : name == "jwks_uri"           ? std::string_view("jwks")
                                              : name;
    };
    return plain(own) == plain(common);
}

bool says(const std::vector<Said> &own, const Said &common) {
    return std::any_of(own.begin(), own.end(),
                       [&](const Said &one) { return replaces(view(one.command->name), view(common.command->name)); });
}

}  // namespace

char *say_common(ngx_conf_t *cf, Provider &provider) {
    if (provider.common == nullptr) {
        return static_cast<char *>(NGX_CONF_OK);
    }
    const std::vector<Said> own = provider.said;
    for (const Said &one : provider.common->said) {
        if (says(own, one)) {
            continue;
        }
        std::vector<ngx_str_t> words = one.arguments;
        ngx_array_t args{words.data(), words.size(), sizeof(ngx_str_t), words.size(), cf->pool};
        ngx_conf_file_t file = *cf->conf_file;
        file.file.name = one.where.file;
        file.line = one.where.line;
        ngx_conf_t again = *cf;
        again.args = &args;
        again.conf_file = &file;
        if (one.command->set(&again, one.command, &provider) != NGX_CONF_OK) {
            return static_cast<char *>(NGX_CONF_ERROR);
        }
    }
    return static_cast<char *>(NGX_CONF_OK);
}

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
    // The only address that users of Streamlit have registered: without parameters it means "back to the app".
    text_or(cf, provider.post_logout_uri, text(provider.redirect_uri));
    text_or(cf, provider.authorization_endpoint, entry.authorize_url);
    text_or(cf, provider.token_endpoint, entry.access_token_url);
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
    text_or(cf, provider.session_store, "cookie");
    if (provider.secrets.empty()) {
        provider.secrets.push_back(entry.cookie_secret);
    }
}

namespace {

char *add_entries(ngx_conf_t *cf, MainConf &main, const ngx_str_t &file, const Provider *common) {
    ngx_str_t path = file;
    auto content = read_secret_file(cf, here(cf), file, "oidc_secrets");
    if (!content || ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    oidc::Secrets secrets = oidc::read_secrets(*content);
    if (secrets.problem) {
        return conf_log(cf, NGX_LOG_EMERG, {path, secrets.problem->line}, "\"oidc_secrets\": " + secrets.problem->text);
    }
    for (const oidc::SecretsNote &note : secrets.warnings) {
        conf_log(cf, NGX_LOG_WARN, {path, note.line}, "\"oidc_secrets\": " + note.text);
    }
    for (oidc::SecretsEntry &entry : secrets.entries) {
        Provider *provider = main.find(entry.name);
        if (provider != nullptr && provider->entry) {
            return conf_error(cf, "the provider \"" + entry.name + "\" is in two files of \"oidc_secrets\"");
        }
        if (provider == nullptr) {
            provider = pool_new<Provider>(cf->pool);
            provider->name = copy(cf->pool, entry.name);
            provider->where = {path, entry.line};
            main.providers.push_back(provider);
        }
        provider->entry.emplace(std::move(entry));
        provider->common = common;
    }
    return static_cast<char *>(NGX_CONF_OK);
}

}  // namespace

char *set_secrets(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    auto &main = *static_cast<MainConf *>(conf);
    ngx_str_t file = arguments(cf)[1];
    Provider *common = nullptr;
    Where where = here(cf);
    if ((cmd->type & NGX_CONF_BLOCK) != 0) {
        common = pool_new<Provider>(cf->pool);
        common->name = borrow("oidc_secrets");
        common->where = where;
        if (char *status = parse_provider(cf, common); status != NGX_CONF_OK) {
            return status;
        }
    }
    if (!main.secrets_blocks.empty()) {
        main.secrets_blocks.pop_front();
    }
    expect_secrets(main);
    return add_entries(cf, main, file, common);
}

}  // namespace auth_oidc
