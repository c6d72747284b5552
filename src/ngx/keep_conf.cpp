// session_keep: what of a login goes into the session. Without it, what the configuration uses.
#include "module.hpp"
#include "provider_conf.hpp"

namespace auth_oidc {
namespace {

constexpr std::string_view claims_word = "claims=";

struct Token {
    std::string_view word, variable;
    bool oidc::Keep::*member;
};
constexpr Token tokens[] = {
    {"id_token", "oidc_id_token", &oidc::Keep::id_token},
    {"access_token", "oidc_access_token", &oidc::Keep::access_token},
    {"refresh_token", {}, &oidc::Keep::refresh_token},
};

const Token *find_token(std::string_view word) {
    for (const Token &token : tokens) {
        if (token.word == word) {
            return &token;
        }
    }
    return nullptr;
}

std::vector<std::string> names_of(std::string_view word) {
    std::vector<std::string> names;
    std::string_view list = word.substr(claims_word.size());
    while (!list.empty()) {
        const size_t comma = list.find(',');
        names.emplace_back(list.substr(0, comma));
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    }
    return names;
}

bool is_claims(std::string_view word) {
    return oidc::starts_with(word, claims_word);
}

// nginx indexes every variable that the configuration names.
std::vector<std::string> used_claims(ngx_conf_t *cf) {
    constexpr std::string_view prefix = "oidc_claim_";
    auto *core = static_cast<ngx_http_core_main_conf_t *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    auto *variables = static_cast<ngx_http_variable_t *>(core->variables.elts);
    std::vector<std::string> names;
    for (ngx_uint_t i = 0; i < core->variables.nelts; i++) {
        if (oidc::starts_with(view(variables[i].name), prefix)) {
            add_once(names, std::string(view(variables[i].name).substr(prefix.size())));
        }
    }
    return names;
}

void keep_what_is_used(ngx_conf_t *cf, const Provider &provider, oidc::Keep &keep) {
    const bool revokes = provider.revoke_on_logout == 1;
    const bool asks_userinfo = provider.refresh.recheck > 0 && provider.client.userinfo;
    const bool shows_id = provider.entry && provider.entry->expose_id;
    const bool shows_access = provider.entry && provider.entry->expose_access;
    keep.id_token = uses_variable(cf, "oidc_id_token") || provider.client.logout_token_hint || shows_id;
    keep.access_token = uses_variable(cf, "oidc_access_token") || revokes || asks_userinfo || shows_access;
    keep.refresh_token = revokes || provider.refresh.watches();
    keep.userinfo = uses_variable(cf, "oidc_userinfo") || asks_userinfo;
    keep.claims_json = keep.session_state = provider.session_uri.len != 0;
    keep.claims = used_claims(cf);
}

// Tokens: those that are named. Claims: those that are named, or without a word about them what is used.
void keep_what_is_named(ngx_conf_t *cf, const Provider &provider, oidc::Keep &keep) {
    const std::vector<std::string> named = words(provider.session_keep);
    for (const Token &token : tokens) {
        keep.*token.member = oidc::contains(named, token.word);
        if (!(keep.*token.member) && !token.variable.empty() && uses_variable(cf, token.variable)) {
            conf_log(cf, NGX_LOG_WARN, provider.line_of("session_keep"),
                     "\"session_keep\" does not name " + std::string(token.word) + ", so \"$" +
                         std::string(token.variable) + "\" is empty, in oidc_provider \"" + text(provider.name) + "\"");
        }
    }
    for (const std::string &word : named) {
        if (is_claims(word)) {
            keep.claims = names_of(word);
            keep.claims_json = false;
        }
    }
}

}  // namespace

char *check_keep(ngx_conf_t *cf, const Provider &provider) {
    std::vector<std::string_view> seen;
    for (const std::string &word : words(provider.session_keep)) {
        const std::string_view kind = is_claims(word) ? claims_word : std::string_view(word);
        const bool known = find_token(kind) != nullptr || kind == claims_word;
        const std::vector<std::string> names = is_claims(word) ? names_of(word) : std::vector<std::string>{"-"};
        if (!known || names.empty() || oidc::contains(names, "") ||
            std::find(seen.begin(), seen.end(), kind) != seen.end()) {
            return refuse(cf, provider,
                          "invalid parameter \"" + word +
                              "\" in \"session_keep\", it takes id_token, access_token, refresh_token and "
                              "claims=name,name, each once",
                          "session_keep");
        }
        seen.push_back(kind);
    }
    return static_cast<char *>(NGX_CONF_OK);
}

void complete_keep(ngx_conf_t *cf, const MainConf &main, Provider &provider) {
    oidc::Keep &keep = provider.client.keep;
    keep.all_claims = false;
    keep.rules = main.rule_claims;
    keep.nested = main.nested_claims;
    keep_what_is_used(cf, provider, keep);
    if (provider.session_keep != nullptr) {
        keep_what_is_named(cf, provider, keep);
    }
    if (main.streamlit && provider.entry) {  // its identity is all that was said at the login
        keep.claims_json = keep.first_claims = true;
        keep.first_tokens = !provider.says("session_refresh");
    }
    if (!keep.rules.empty() && provider.session_keep == nullptr) {
        for (const char *name : {"email", "preferred_username", "name"}) {
            add_once(keep.claims, std::string(name));  // a refusal names the account
        }
    }
    if (keep.refresh_token) {
        add_once(keep.claims, std::string("aud"));  // a refreshed ID token is compared with it (C 12.2)
    }
}

}  // namespace auth_oidc
