// What every token of a provider must prove, whatever it is for: one check each, by the name of the rule that a refusal
// gets.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol.hpp"

namespace oidc::token {

using Verdict = std::optional<Error>;

struct Check {
    const Client &client;
    const Metadata &metadata;
    const Json &claims;
    const IdTokenRules &rules;
    const std::string &alg;
};

std::string expected_found(std::string_view expected, std::string_view found);

Verdict check_iss(const Check &check, const char *rule);
Verdict check_tenants(const Check &check);
Verdict check_exp(const Check &check, const char *rule);
// iat and nbf: there, and not from the future.
Verdict check_begin(const Check &check, const char *claim, const char *rule);
Verdict check_sub(const Check &check, const char *rule);

}  // namespace oidc::token
