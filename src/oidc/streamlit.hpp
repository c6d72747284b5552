// What Streamlit itself puts on the wire: the token of st.login("name"), and the signed cookies that hold an identity.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace oidc {

// The provider's name in a token that Streamlit signed (JWS, HS256 with cookie_secret). Nothing: forged, or too old.
std::optional<std::string> read_provider_token(std::string_view token, std::string_view secret, int64_t now);

// One signed value as itsdangerous' URLSafeTimedSerializer makes it: `text` as a JSON string, compressed where that is
// shorter, a stamp of seconds since 1970, and an HMAC by a key that is bound to the cookie's name.
struct StreamlitSeal {
    std::string_view secret;
    int64_t stamp = 0;
};
std::string sign_for_streamlit(const StreamlitSeal &seal, std::string_view name, std::string_view text);

struct StreamlitIdentity {
    std::string_view claims;  // a JSON object
    std::string_view origin, provider;
    bool has_tokens = false;  // expose_tokens asks for some
    std::string_view id_token, access_token;
};

// The pairs for a Cookie line, in at most `room` bytes: with all claims, or without those that only the protocol needs.
// Nothing when that does not fit either.
std::optional<std::string> streamlit_cookies(const StreamlitSeal &seal, const StreamlitIdentity &identity, size_t room);

// One of Streamlit's own identity cookies, by a name as Python would read it. No client may send one past us.
bool is_streamlit_cookie(std::string_view name);

}  // namespace oidc
