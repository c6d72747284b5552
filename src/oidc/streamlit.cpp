#include "streamlit.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <zlib.h>

#include <algorithm>
#include <stdexcept>

#include "jose.hpp"
#include "json.hpp"
#include "text.hpp"

namespace oidc {
namespace {

constexpr std::string_view user_cookie = "_streamlit_user";
constexpr std::string_view tokens_cookie = "_streamlit_user_tokens";
constexpr std::string_view session_cookie = "_streamlit_session";
constexpr size_t max_token = 4096;

std::string sha1(std::string_view text) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr) != 1) {
        throw std::runtime_error("SHA-1 is not available");
    }
    return std::string(bytes(digest, size));
}

std::string hmac_sha1(std::string_view key, std::string_view text) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()), octets(text), text.size(), digest, &size) ==
        nullptr) {
        throw std::runtime_error("HMAC-SHA-1 is not available");
    }
    return std::string(bytes(digest, size));
}

// Level 6 as Python's zlib; empty when it cannot be had.
std::string deflated(std::string_view text) {
    uLongf size = compressBound(text.size());
    std::string out(size, '\0');
    int result = compress2(reinterpret_cast<Bytef *>(out.data()), &size, octets(text), text.size(), 6);
    out.resize(result == Z_OK ? size : 0);
    return out;
}

// Big-endian, without leading zeros.
std::string stamp_bytes(int64_t stamp) {
    std::string text;
    for (; stamp > 0; stamp >>= 8) {
        text.insert(text.begin(), static_cast<char>(stamp & 0xff));
    }
    return text;
}

std::string pair(const StreamlitSeal &seal, std::string_view name, const Json &value) {
    return std::string(name) + "=" + sign_for_streamlit(seal, name, value.dump());
}

Json user_of(const StreamlitIdentity &identity) {
    auto claims = parse_object(identity.claims, "claims");
    Json user = claims ? *claims : Json::object();
    user.set("origin", identity.origin);
    user.set("is_logged_in", true);
    user.set("provider", identity.provider);
    return user;
}

// What str.strip() of Python takes away, in a header that it reads as Latin-1.
bool is_blank(unsigned char c) {
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0;
}

}  // namespace

std::optional<std::string> read_provider_token(std::string_view token, std::string_view secret, int64_t now) {
    VerifyRules rules;
    rules.algs = {"HS256"};
    rules.secret = secret;
    rules.max_size = max_token;
    auto none = KeySet::parse(R"({"keys":[]})");
    auto jws = none ? verify(token, *none, rules) : Result<Jws>(none.error());
    if (!jws) {
        return std::nullopt;
    }
    auto ends = jws->claims.time("exp");
    std::string provider = jws->claims.string("provider").value_or("");
    return ends && *ends > now && !provider.empty() ? std::optional(provider) : std::nullopt;
}

std::string sign_for_streamlit(const StreamlitSeal &seal, std::string_view name, std::string_view text) {
    std::string plain = "\"" + json_escape(text) + "\"";
    std::string packed = deflated(plain);
    bool shorter = !packed.empty() && packed.size() + 1 < plain.size();
    std::string value = shorter ? "." + base64url_encode(packed) : base64url_encode(plain);
    value += "." + base64url_encode(stamp_bytes(seal.stamp));
    std::string key = sha1(std::string(name) + "signer" + std::string(seal.secret));
    return value + "." + base64url_encode(hmac_sha1(key, value));
}

std::optional<std::string> streamlit_cookies(const StreamlitSeal &seal, const StreamlitIdentity &identity,
                                             size_t room) {
    Json user = user_of(identity);
    std::string tokens;
    if (identity.has_tokens) {
        Json value = Json::object();
        if (!identity.id_token.empty()) {
            value.set("id_token", identity.id_token);
        }
        if (!identity.access_token.empty()) {
            value.set("access_token", identity.access_token);
        }
        tokens = "; " + pair(seal, tokens_cookie, value);
    }
    std::string line = pair(seal, user_cookie, user) + tokens;
    if (line.size() > room) {
        for (const char *name : {"nonce", "at_hash", "c_hash", "s_hash"}) {
            json_object_del(user.get(), name);
        }
        line = pair(seal, user_cookie, user) + tokens;
    }
    return line.size() <= room ? std::optional(line) : std::nullopt;
}

bool is_streamlit_cookie(std::string_view name) {
    while (!name.empty() && is_blank(static_cast<unsigned char>(name.front()))) {
        name.remove_prefix(1);
    }
    while (!name.empty() && is_blank(static_cast<unsigned char>(name.back()))) {
        name.remove_suffix(1);
    }
    return starts_with(name, user_cookie) || name == session_cookie;
}

}  // namespace oidc
