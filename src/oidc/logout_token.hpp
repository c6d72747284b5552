// The token by which a provider ends sessions from behind (OpenID Connect Back-Channel Logout 1.0).
#pragma once

#include <string>
#include <string_view>

#include "provider.hpp"
#include "result.hpp"

namespace oidc {

// Whose sessions end: those with this sid, or all of this sub. At least one of them is there.
struct LogoutToken {
    std::string sid, sub, jti;
    int64_t remember_until = 0;  // seconds since 1970: from then on its own age refuses the token
};

struct LogoutRules {
    int64_t now = 0;                // seconds since 1970
    std::string_view id_token_alg;  // what the provider signs ID tokens with for this client; empty: nobody knows yet
};

// Section 2.6, and more: signature, then every claim. Errors of jose's verify pass through
// (may_be_stale_keys); their fault is the sender's, for anybody can send such a token. Whether the jti was seen before
// is for the caller to know.
Result<LogoutToken> check_logout_token(const Client &client, const ProviderData &data, std::string_view token,
                                       const LogoutRules &rules);

}  // namespace oidc
