// The exchanges with a provider: for each one function that builds the request and one that judges the reply.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http.hpp"
#include "json.hpp"
#include "provider.hpp"
#include "result.hpp"

namespace oidc {

// Limits of what a provider may answer, in bytes.
constexpr size_t max_metadata = size_t{256} * 1024;
constexpr size_t max_keys = size_t{512} * 1024;
constexpr size_t max_answer = size_t{64} * 1024;

http::Request discovery_request(const Client &client);
Result<Metadata> read_discovery(const Client &client, const http::Reply &reply);

http::Request keys_request(const Metadata &metadata);
Result<KeySet> read_keys(const http::Reply &reply);

// RFC 6749 5.1. expires_in may be absent (-1).
struct TokenAnswer {
    std::string access_token, id_token, refresh_token, scope;
    int64_t expires_in = -1;
};
struct CodeGrant {
    std::string_view code, redirect_uri, verifier;  // verifier empty: no PKCE
};
Result<http::Request> token_request(const Client &client, const Metadata &metadata, const CodeGrant &grant,
                                    int64_t now);
Result<http::Request> refresh_request(const Client &client, const Metadata &metadata, std::string_view refresh_token,
                                      int64_t now);
// RFC 6749 5.1 and 5.2. An answer to a code grant without id_token is an error (C 3.1.3.3); a refresh may come without.
// "token_refused": the provider answered with an OAuth error of 4xx (invalid_grant and its kin), which ends a session
// on refresh; "token_unavailable": no answer, 5xx, 429, or anything else that is no clear word from the token endpoint.
// `secrets`, what was sent, is hidden where the provider repeats it in its own words.
enum class Grant { code, refresh };
Result<TokenAnswer> read_token(const http::Reply &reply, Grant grant,
                               const std::vector<std::string_view> &secrets = {});

http::Request userinfo_request(const Metadata &metadata, std::string_view access_token);
// C 5.3.2: JSON or a signed JWT (then verified like an ID token, with iss and aud). `sub` must equal the ID token's.
Result<Json> read_userinfo(const Client &client, const ProviderData &data, const http::Reply &reply,
                           std::string_view sub);

struct TokenToRevoke {
    std::string_view token, type_hint;  // hint: "refresh_token", "access_token" or empty
};
Result<http::Request> revocation_request(const Client &client, const Metadata &metadata, const TokenToRevoke &revoked,
                                         int64_t now);

// Whether a token that somebody sent is good; the answer is judged in access_token.
Result<http::Request> introspection_request(const Client &client, const Metadata &metadata, std::string_view token,
                                            int64_t now);

// What an ID token is measured against.
struct IdTokenRules {
    std::string_view nonce;               // compared; empty: must not be compared (refresh)
    std::string_view access_token, code;  // for at_hash and c_hash where those claims are there
    int64_t max_age = -1;                 // as sent; auth_time is demanded then
    std::vector<std::string> acr_values;  // configured: one of them is demanded (403)
    int64_t now = 0;                      // seconds since 1970
};
// C 3.1.3.7 and stricter: signature, then every claim. Errors of jose's verify pass through (may_be_stale_keys).
Result<Jws> check_id_token(const Client &client, const ProviderData &data, std::string_view token,
                           const IdTokenRules &rules);

// The end_session_endpoint's URL with everything that RP-Initiated Logout 1.0 section 2 sends; nothing when there is no
// endpoint.
struct LogoutQuery {
    std::string_view post_logout_redirect_uri, state, id_token_hint, extra;
};
std::optional<std::string> end_session_url(const Client &client, const Metadata &metadata, const LogoutQuery &query);

}  // namespace oidc
