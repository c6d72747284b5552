// Access tokens that come with a request (RFC 6750): signed ones, which are verified here (RFC 9068), and others, which
// the provider is asked about (RFC 7662).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http.hpp"
#include "provider.hpp"
#include "result.hpp"
#include "session.hpp"

namespace oidc {

constexpr size_t max_access_token = size_t{32} * 1024;

// A refusal of a token is an Error whose status names the code of RFC 6750 3.1: 400 invalid_request, 401 invalid_token,
// 403 insufficient_scope. Anything else is no verdict about the token.
std::string_view bearer_error(const Error &error);
// A text as error_description may hold it: no quote, no backslash, nothing outside of ASCII.
std::string description_safe(std::string_view text);

// The token of an Authorization header; empty for another scheme. Errors: more than one credential, characters that no
// token has, and a size over max_access_token.
Result<std::string_view> read_credentials(std::string_view authorization);
// Whether the query (or a form) tries to pass a token, which RFC 9700 4.3.2 forbids.
bool has_query_token(std::string_view query);

// A compact JWS, by its looks; anything else is opaque.
bool is_signed_token(std::string_view token);

struct AccessTokenRules {
    std::vector<std::string> audiences;  // any of them will do; none: the client's id
    bool jwt_type = false;               // a header typ of JWT, or none, will do too
    int64_t now = 0;                     // seconds since 1970
};
// RFC 9068 section 4 and stricter. Errors of jose's verify keep their rule (may_be_stale_keys).
Result<Json> check_access_token(const Client &client, const ProviderData &data, std::string_view token,
                                const AccessTokenRules &rules);

// RFC 7662 2.2. Rule "introspection_unavailable", status 503: no verdict about the token could be had.
Result<Json> read_introspection(const Client &client, const Metadata &metadata, const http::Reply &reply,
                                const AccessTokenRules &rules);

// The token's claims in the form of a session, so that variables and rules see them as those of one. Its end is `exp`,
// or `fallback_end`.
Session session_of_token(const Client &client, const Json &claims, int64_t fallback_end);
// Whether all of these are among the token's scopes (`scope`, or `scp` of some providers).
bool has_scopes(const SessionView &session, const std::vector<std::string> &wanted);

}  // namespace oidc
