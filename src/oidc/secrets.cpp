#include "secrets.hpp"

#include "http.hpp"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace oidc {
namespace {

constexpr std::string_view well_known = "/.well-known/openid-configuration";
constexpr std::string_view callback = "/oauth2callback";

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> list) {
    for (std::string_view item : list) {
        if (item == word) {
            return true;
        }
    }
    return false;
}

bool is_shared_key(std::string_view key) {
    return is_one_of(key, {"redirect_uri", "cookie_secret", "expose_tokens"});
}
bool is_own_key(std::string_view key) {
    return is_one_of(key, {"client_id", "client_secret", "server_metadata_url", "client_kwargs", "authorize_params",
                           "authorize_url", "access_token_url"});
}

bool is_name(std::string_view name) {
    for (char c : name) {
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!fits) {
            return false;
        }
    }
    return !name.empty() && name != "off";
}

unsigned line_of(const toml::node &node) {
    return node.source().begin.line;
}

class Reader {
public:
    explicit Reader(Secrets &secrets) : secrets_(secrets) {}

    void read(const toml::table &file) {
        const toml::node *node = file.get("auth");
        if (node == nullptr || !node->is_table()) {
            return refuse(1, "there is no table [auth]: st.login() needs it");
        }
        auth_ = node->as_table();
        read_expose();
        bool own = false;
        for (auto &&[key, value] : *auth_) {
            own = own || is_one_of(key.str(), {"client_id", "client_secret", "server_metadata_url"});
            const toml::table *table = value.as_table();
            if (table != nullptr && !is_own_key(key.str()) && !is_shared_key(key.str())) {
                entry(std::string(key.str()), *table);
            }
        }
        if (!has("default") && (own || secrets_.entries.empty())) {
            entry("default", *auth_);
        }
        note_unused();
    }

private:
    Secrets &secrets_;
    const toml::table *auth_ = nullptr;
    bool expose_id_ = false, expose_access_ = false;

    void refuse(unsigned line, std::string text) {
        if (!secrets_.problem) {
            secrets_.problem = SecretsNote{line, std::move(text)};
        }
    }
    void warn(unsigned line, std::string text) { secrets_.warnings.push_back({line, std::move(text)}); }

    bool has(std::string_view name) const {
        for (const SecretsEntry &entry : secrets_.entries) {
            if (entry.name == name) {
                return true;
            }
        }
        return false;
    }

    static std::string where(const std::string &name, const toml::table &table, const toml::table *auth) {
        return &table == auth ? "[auth]" : "[auth." + log_safe(name) + "]";
    }

    void expose(const toml::node &node) {
        std::string word = node.value_exact<std::string>().value_or("");
        if (word == "id") {
            expose_id_ = true;
        } else if (word == "access") {
            expose_access_ = true;
        } else {
            refuse(line_of(node), "\"expose_tokens\" of [auth] must be \"id\", \"access\" or a list of them");
        }
    }

    // One word of [auth] for all entries, as Streamlit reads it.
    void read_expose() {
        const toml::node *node = auth_->get("expose_tokens");
        if (node == nullptr) {
            return;
        }
        if (const toml::array *list = node->as_array()) {
            for (const toml::node &item : *list) {
                expose(item);
            }
        } else {
            expose(*node);
        }
    }

    // A key of the entry, or of [auth] where it is shared. Empty: refused.
    std::string required(const SecretsEntry &entry, const toml::table &table, const char *key, bool shared) {
        const toml::node *node = table.get(key);
        std::string place = where(entry.name, table, auth_);
        if (node == nullptr && shared) {
            node = auth_->get(key);
            place = "[auth]";
        }
        if (node == nullptr) {
            refuse(entry.line, std::string("\"") + key + "\" is missing in " + place);
            return "";
        }
        return text_of(*node, key, place);
    }

    std::string text_of(const toml::node &given, const char *key, const std::string &place) {
        const toml::node *node = &given;
        std::string value = node->value<std::string>().value_or("");
        if (!node->is_string() || value.empty()) {
            refuse(line_of(*node), std::string("\"") + key + "\" of " + place + " must be a string that is not empty");
            return "";
        }
        for (char c : value) {
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
                refuse(line_of(*node), std::string("\"") + key + "\" of " + place + " holds a control character");
                return "";
            }
        }
        return value;
    }

    void entry(const std::string &name, const toml::table &table) {
        SecretsEntry entry;
        entry.name = name;
        entry.line = line_of(table);
        if (!is_name(name)) {
            return refuse(entry.line, "the provider name \"" + log_safe(name) +
                                          "\" is refused by st.login() too: use letters, digits, \"-\" and \".\", no "
                                          "\"_\", and not \"off\"");
        }
        entry.redirect_uri = required(entry, table, "redirect_uri", true);
        entry.cookie_secret = required(entry, table, "cookie_secret", true);
        entry.client_id = required(entry, table, "client_id", false);
        entry.client_secret = required(entry, table, "client_secret", false);
        entry.metadata_url = required(entry, table, "server_metadata_url", false);
        entry.shared_secret = entry.cookie_secret;
        if (const toml::node *node = auth_->get("cookie_secret")) {
            entry.shared_secret = text_of(*node, "cookie_secret", "[auth]");
        }
        entry.expose_id = expose_id_;
        entry.expose_access = expose_access_;
        entry.authorize_url = optional_url(table, "authorize_url", where(name, table, auth_));
        entry.access_token_url = optional_url(table, "access_token_url", where(name, table, auth_));
        check_urls(entry, where(name, table, auth_));
        for (const char *key : {"client_kwargs", "authorize_params"}) {
            if (const toml::node *node = table.get(key)) {
                arguments(entry, key, *node);
            }
        }
        note_keys(table, entry);
        secrets_.entries.push_back(std::move(entry));
    }

    std::string optional_url(const toml::table &table, const char *key, const std::string &place) {
        const toml::node *node = table.get(key);
        if (node == nullptr) {
            return "";
        }
        std::string text = text_of(*node, key, place);
        if (!text.empty() && !http::parse_url(text)) {
            refuse(line_of(*node), std::string("\"") + key + "\" of " + place + " must be a URL: https://host/path");
        }
        return text;
    }

    void check_urls(SecretsEntry &entry, const std::string &place) {
        if (entry.redirect_uri.find("{port}") != std::string::npos) {
            return refuse(entry.line, "\"redirect_uri\" of " + place +
                                          " holds {port}, which is a port of Streamlit's own: write the URL that "
                                          "browsers use");
        }
        auto url = http::parse_url(entry.redirect_uri);
        if (!url || url->target.find('?') != std::string::npos) {
            return refuse(entry.line, "\"redirect_uri\" of " + place +
                                          " must be an absolute URL without a query, for example "
                                          "https://app.example.com/oauth2callback");
        }
        if (!http::parse_url(entry.metadata_url) || !ends_with(entry.metadata_url, well_known)) {
            return refuse(entry.line, "\"server_metadata_url\" of " + place + " must be a URL that ends in " +
                                          std::string(well_known));
        }
        entry.issuer = entry.metadata_url.substr(0, entry.metadata_url.size() - well_known.size());
        if (entry.cookie_secret.size() < 32) {
            warn(entry.line, "\"cookie_secret\" of " + place + " is short, use 32 bytes or more");
        }
    }

    void arguments(SecretsEntry &entry, const std::string &key, const toml::node &node) {
        const toml::table *table = node.as_table();
        if (table == nullptr) {
            return refuse(line_of(node), "\"" + key + "\" must be a table");
        }
        for (auto &&[name, value] : *table) {
            std::string word(name.str());
            auto number = value.is_integer() ? value.value<int64_t>() : std::nullopt;
            std::string text = number ? std::to_string(*number) : value.value_exact<std::string>().value_or("");
            if (!value.is_string() && !number) {
                warn(line_of(value), "\"" + log_safe(word) + "\" of \"" + key + "\" is not used: it is no string");
            } else if (special(entry, word, text)) {
                continue;
            } else if (is_of_no_use(word)) {
                warn_unused(line_of(value), word, key);
            } else {
                set_argument(entry, word, text);
            }
        }
    }

    // What has a directive of its own.
    static bool special(SecretsEntry &entry, const std::string &word, const std::string &text) {
        if (word == "scope") {
            entry.scope = contains(split_words(text), "openid") ? text : "openid " + text;
        } else if (word == "token_endpoint_auth_method" &&
                   is_one_of(text, {"client_secret_basic", "client_secret_post", "client_secret_jwt"})) {
            entry.client_auth_method = text;
        } else if (word == "response_mode" && is_one_of(text, {"query", "form_post"})) {
            entry.response_mode = text;
        } else if (word == "code_challenge_method" && text == "S256") {
            entry.pkce = true;
        } else {
            return false;
        }
        return true;
    }

    void warn_unused(unsigned line, const std::string &word, const std::string &key) {
        warn(line, "\"" + word + "\" of \"" + key + "\" is not used");
    }

    // What steers Streamlit's own client, and what every login makes anew.
    static bool is_of_no_use(std::string_view word) {
        return is_one_of(
            word, {"state", "nonce", "token_endpoint_auth_method", "client_id", "redirect_uri", "response_type",
                   "response_mode", "code_challenge", "code_challenge_method", "verify", "cert", "proxy", "proxies",
                   "timeout", "headers", "trust_env", "http1", "http2", "base_url"});
    }

    static void set_argument(SecretsEntry &entry, const std::string &word, const std::string &text) {
        for (auto &[name, value] : entry.arguments) {
            if (name == word) {
                value = text;
                return;
            }
        }
        entry.arguments.emplace_back(word, text);
    }

    void note_keys(const toml::table &table, const SecretsEntry &entry) {
        for (auto &&[key, value] : table) {
            bool used = is_own_key(key.str()) || key.str() == "redirect_uri" || key.str() == "cookie_secret";
            if (!used && &table != auth_) {
                warn(line_of(value),
                     "\"" + log_safe(key.str()) + "\" of " + where(entry.name, table, auth_) + " is not used");
            }
        }
    }

    void note_unused() {
        bool own = false;
        for (const SecretsEntry &entry : secrets_.entries) {
            own = own || (entry.name == "default" && auth_->get("default") == nullptr);
        }
        for (auto &&[key, value] : *auth_) {
            if (!is_shared_key(key.str()) && !value.is_table() && !(is_own_key(key.str()) && own)) {
                warn(line_of(value), "\"" + log_safe(key.str()) + "\" of [auth] is not used");
            }
        }
    }
};

}  // namespace

std::string SecretsEntry::base_path() const {
    auto url = http::parse_url(redirect_uri);
    std::string path = url ? url->path() : "";
    return ends_with(path, callback) ? path.substr(0, path.size() - callback.size()) : "";
}

Secrets read_secrets(std::string_view file) {
    Secrets secrets;
    toml::parse_result parsed = toml::parse(file);
    if (!parsed) {
        const toml::parse_error &error = parsed.error();
        secrets.problem = SecretsNote{error.source().begin.line, "no TOML: the syntax ends here"};
        return secrets;
    }
    Reader(secrets).read(parsed.table());
    return secrets;
}

}  // namespace oidc
