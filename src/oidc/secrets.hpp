// Streamlit's secrets.toml as plain values: one entry for each provider that st.login() knows from it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text.hpp"

namespace oidc {

struct SecretsEntry {
    std::string name;  // "default" for the one without a name
    std::string client_id, client_secret, redirect_uri, cookie_secret;
    std::string shared_secret;         // cookie_secret of [auth]: what Streamlit itself signs with
    std::string metadata_url, issuer;  // the second is the first without its well-known end
    std::string authorize_url, access_token_url;
    bool expose_id = false, expose_access = false;
    std::string scope = "openid email profile";
    std::string client_auth_method, response_mode;  // empty: not said
    bool pkce = false;                              // code_challenge_method asks for it
    Parameters arguments{{"prompt", "select_account"}};
    unsigned line = 0;

    // What stands before Streamlit's own paths: "" or "/house" of https://host/house/oauth2callback.
    std::string base_path() const;
};

struct SecretsNote {
    unsigned line;
    std::string text;
};

struct Secrets {
    std::vector<SecretsEntry> entries;
    std::vector<SecretsNote> warnings;   // what is read and not used
    std::optional<SecretsNote> problem;  // why the file is refused: nothing else counts then
};

Secrets read_secrets(std::string_view file);

}  // namespace oidc
