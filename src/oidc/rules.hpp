// auth_oidc_require: who may come in, as values. Rules are read once, and then compared with the claims of a session.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "claims.hpp"
#include "result.hpp"
#include "session.hpp"

namespace oidc {

// A regular expression of a rule. Whoever reads the configuration compiles it and hands in the function that matches.
struct Pattern {
    std::string text;
    bool caseless = false;
    const void *compiled = nullptr;
};
using Match = bool (*)(const Pattern &pattern, std::string_view text);

// One claim and what it may be: any of the values will do.
struct Rule {
    std::string claim;         // a path as find_claim takes it
    std::string values_claim;  // where a session keeps its values as a list
    std::vector<std::string> values;
    std::vector<Pattern> patterns;
    std::vector<std::string> files;  // as written; their lines are in `listed`
    std::unordered_set<std::string> listed;
};

// One directive: any of its rules will do.
struct Requirement {
    std::vector<Rule> any;
    int status = 403;
};
using Policy = std::vector<Requirement>;  // every one of them has to hold

// "groups admin ~^team- | email file:staff.txt error=403". The words of one directive; files are named, not read.
Result<Requirement> read_requirement(const std::vector<std::string> &words);
// One value a line. Empty lines say nothing.
void add_listed(Rule &rule, std::string_view content);

bool holds(const Requirement &requirement, const SessionView &session, Match match);
// The first that does not hold, or null. A sign-in that is not good enough (`acr`) comes last: another sign-in may
// mend that and nothing else.
const Requirement *first_refusal(const Policy &policy, const SessionView &session, Match match);
// The values of `acr` that would satisfy it, to ask the provider for; none: no other sign-in helps.
std::vector<std::string> wanted_acr(const Requirement &requirement);
// "groups: expected \"admin\" or ~^team-": for the log. What was found is somebody's data and stays out.
std::string describe(const Requirement &requirement);

}  // namespace oidc
