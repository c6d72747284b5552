// Claims as texts: the flat table of a session, nested look-up, and what fits into a header.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.hpp"
#include "provider.hpp"

namespace oidc {

// A claim as nginx variable: booleans "true"/"false", null empty, integers as they are, arrays of scalars joined by
// commas, everything else compact JSON. Control characters become blanks.
std::string claim_text(const Json &value);
// Name and text of each top-level claim that `keep` names, and what rules and variables with a path need, sorted by
// name.
std::vector<std::pair<std::string, std::string>> claim_table(const Json &claims, const Keep &keep);
// ID token claims with UserInfo's over them; `sub`, `iss`, `aud` and the token's own times stay the ID token's.
Json merge_claims(const Json &id_token, const Json &userinfo);
// "address.country": '.' goes one level down, '\.' is a literal dot. Nothing when the path leads nowhere.
std::optional<Json> find_claim(const Json &claims, std::string_view path);

// Under which name claim_table keeps the values of a rule's claim, each with a NUL behind it and as it came, and the
// text of a nested one. No claim and no variable can be called so.
std::string values_key(std::string_view path);
std::string nested_key(std::string_view path);

}  // namespace oidc
