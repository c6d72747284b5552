// auth_oidc_require: which claims fulfil which rule, and which rules are none.
#include <regex>
#include <string>
#include <vector>

#include "oidc/rules.hpp"
#include "oidc/text.hpp"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
}

using namespace oidc;

namespace {

bool match(const Pattern &pattern, std::string_view text) {
    auto flags = std::regex::ECMAScript;
    return std::regex_search(std::string(text),
                             std::regex(pattern.text, pattern.caseless ? flags | std::regex::icase : flags));
}

Requirement read(const std::string &words) {
    auto requirement = read_requirement(split_words(words));
    if (!requirement) {
        fail_msg("%s: %s", words.c_str(), requirement.error().text.c_str());
    }
    for (Rule &rule : requirement->any) {
        for (size_t i = 0; i < rule.files.size(); i++) {
            add_listed(rule, "ann@example.com\n  bob@example.com \r\n\n\t\nAda Lovelace\n42");
        }
    }
    return *requirement;
}

// The record of somebody with these claims, made for these rules.
std::string record_of(const std::string &claims, const Policy &policy) {
    Keep keep;
    for (const Requirement &requirement : policy) {
        for (const Rule &rule : requirement.any) {
            keep.rules.push_back(rule.claim);
        }
    }
    auto json = parse_object(claims, "test");
    if (!json) {
        fail_msg("test data is not JSON: %s", claims.c_str());
    }
    Session session;
    session.head.format = session_format;
    session.claims = claim_table(*json, keep);
    return write_session(session);
}

void rules_and_claims(void **) {
    const struct {
        const char *rule, *claims;
        bool holds;
    } cases[] = {
        // texts
        {"sub alice", R"({"sub":"alice"})", true},
        {"sub alice", R"({"sub":"bob"})", false},
        {"sub alice", R"({"sub":"alice2"})", false},
        {"sub alice", R"({"sub":"alic"})", false},
        {"sub alice", R"({"sub":"Alice"})", false},
        {"sub alice", R"({"sub":" alice"})", false},
        {"sub alice", R"({"sub":"alice\n"})", false},
        {"sub alice", R"({"sub":""})", false},
        {"sub alice", R"({})", false},
        {"sub alice", R"({"sub":null})", false},
        {"sub alice", R"({"Sub":"alice"})", false},
        {"sub alice bob", R"({"sub":"bob"})", true},
        {"sub alice bob", R"({"sub":"alice bob"})", false},
        {"sub alice bob", R"({"sub":"carol"})", false},
        {"name Žofie", R"({"name":"\u017dofie"})", true},
        {"name a,b", R"({"name":"a,b"})", true},
        {"name a", R"({"name":"a,b"})", false},
        // arrays
        {"groups admin", R"({"groups":["admin"]})", true},
        {"groups admin", R"({"groups":["user","admin"]})", true},
        {"groups admin", R"({"groups":["user"]})", false},
        {"groups admin", R"({"groups":[]})", false},
        {"groups admin", R"({"groups":["user,admin"]})", false},
        {"groups admin", R"({"groups":["user admin"]})", false},
        {"groups admin", R"({"groups":"user,admin"})", false},
        {"groups admin", R"({"groups":"user admin"})", false},
        {"groups user,admin", R"({"groups":["user","admin"]})", false},
        {"groups user,admin", R"({"groups":["user,admin"]})", true},
        {"groups admin", R"({"groups":[["admin"]]})", false},
        {"groups admin", R"({"groups":[{"admin":true}]})", false},
        {"groups admin", R"({"groups":{"admin":true}})", false},
        {"groups admin", R"({"groups":[null,"admin"]})", true},
        {"groups admin", R"({"groups":["ADMIN"]})", false},
        {"groups 7", R"({"groups":[6,7]})", true},
        {"groups admin ops", R"({"groups":["user","ops"]})", true},
        {"groups admin", R"({"groups":["admin\u0001"]})", false},
        // numbers and booleans
        {"level 3", R"({"level":3})", true},
        {"level 3", R"({"level":"3"})", true},
        {"level 3", R"({"level":30})", false},
        {"level 3", R"({"level":3.0})", true},
        {"level 3.5", R"({"level":3.5})", true},
        {"level -1", R"({"level":-1})", true},
        {"staff true", R"({"staff":true})", true},
        {"staff true", R"({"staff":"true"})", true},
        {"staff true", R"({"staff":false})", false},
        {"staff true", R"({"staff":1})", false},
        {"staff false", R"({"staff":false})", true},
        {"staff null", R"({"staff":null})", false},
        {"staff false", R"({})", false},
        // expressions
        {"sub ~^al", R"({"sub":"alice"})", true},
        {"sub ~^al", R"({"sub":"hal"})", false},
        {"sub ~ic", R"({"sub":"alice"})", true},
        {"sub ~^AL", R"({"sub":"alice"})", false},
        {"sub ~*^AL", R"({"sub":"alice"})", true},
        {"sub ~.", R"({"sub":""})", false},
        {"sub ~.*", R"({})", false},
        {"sub ~.*", R"({"sub":null})", false},
        {"groups ~^team-", R"({"groups":["x","team-a"]})", true},
        {"groups ~^team-", R"({"groups":["my-team-a"]})", false},
        {"groups ~^x,team-", R"({"groups":["x","team-a"]})", false},
        {"groups admin ~^team-", R"({"groups":["team-b"]})", true},
        {"level ~^[34]$", R"({"level":4})", true},
        {"groups ~admin", R"({"groups":{"admin":1}})", false},
        // nested names
        {"realm_access.roles admin", R"({"realm_access":{"roles":["admin"]}})", true},
        {"realm_access.roles admin", R"({"realm_access":{"roles":["user"]}})", false},
        {"realm_access.roles admin", R"({"realm_access":"admin"})", false},
        {"realm_access.roles admin", R"({"realm_access.roles":["admin"]})", false},
        {R"(realm_access\.roles admin)", R"({"realm_access.roles":["admin"]})", true},
        {R"(realm_access\.roles admin)", R"({"realm_access":{"roles":["admin"]}})", false},
        {R"(https://example\.com/roles admin)", R"({"https://example.com/roles":["admin"]})", true},
        {"https://example.com/roles admin", R"({"https://example.com/roles":["admin"]})", false},
        {R"(a\.b.c 1)", R"({"a.b":{"c":1}})", true},
        {"a.b.c.d x", R"({"a":{"b":{"c":{"d":"x"}}}})", true},
        {"a.0 x", R"({"a":["x"]})", false},
        {"a admin", R"({"a":{"b":"admin"}})", false},
        // or
        {"groups admin | sub alice", R"({"sub":"alice"})", true},
        {"groups admin | sub alice", R"({"groups":["admin"]})", true},
        {"groups admin | sub alice", R"({"sub":"bob","groups":["user"]})", false},
        {"groups admin | sub alice", R"({"groups":["alice"],"sub":"admin"})", false},
        {"a 1 | b 2 | c 3", R"({"c":3})", true},
        {"a 1 | a 2", R"({"a":2})", true},
        // an address that nobody verified
        {"email ann@example.com", R"({"email":"ann@example.com","email_verified":true})", true},
        {"email ann@example.com", R"({"email":"ann@example.com","email_verified":"true"})", true},
        {"email ann@example.com", R"({"email":"ann@example.com"})", true},
        {"email ann@example.com", R"({"email":"ann@example.com","email_verified":false})", false},
        {"email ann@example.com", R"({"email":"ann@example.com","email_verified":"false"})", false},
        {"email ann@example.com", R"({"email":"ann@example.com","email_verified":0})", false},
        {"email ann@example.com", R"({"email":"ann@example.com","email_verified":null})", false},
        {"email ~@example\\.com$", R"({"email":"ann@example.com","email_verified":false})", false},
        {"email file:staff", R"({"email":"ann@example.com","email_verified":false})", false},
        {"email ann@example.com | sub ann", R"({"sub":"ann","email":"x","email_verified":false})", true},
        {"sub ann", R"({"sub":"ann","email":"x","email_verified":false})", true},
        {R"(email ~@example\.com$)", R"({"email":"ann@example.com.evil"})", false},
        // lists
        {"email file:staff", R"({"email":"ann@example.com"})", true},
        {"email file:staff", R"({"email":"bob@example.com"})", true},
        {"email file:staff", R"({"email":"eve@example.com"})", false},
        {"email file:staff", R"({"email":""})", false},
        {"name file:staff", R"({"name":"Ada Lovelace"})", true},
        {"name file:staff", R"({"name":"Ada"})", false},
        {"ids file:staff", R"({"ids":[41,42]})", true},
        {"email file:staff eve@example.com", R"({"email":"eve@example.com"})", true},
        {"groups admin | email file:staff", R"({"email":"ann@example.com"})", true},
    };
    for (const auto &one : cases) {
        const Policy policy{read(one.rule)};
        const std::string record = record_of(one.claims, policy);
        const auto view = SessionView::over(record);
        assert_true(view.has_value());
        if (holds(policy[0], *view, match) != one.holds) {
            fail_msg("%s with %s: expected %d", one.rule, one.claims, one.holds);
        }
        assert_true((first_refusal(policy, *view, match) == nullptr) == one.holds);
    }
}

void all_must_hold(void **) {
    const Policy policy{read("groups admin"), read("level 3"), read("acr gold silver"), read("staff true error=404")};
    const struct {
        const char *claims;
        int refused;  // index, -1: none
    } cases[] = {
        {R"({"groups":["admin"],"level":3,"acr":"gold","staff":true})", -1},
        {R"({"groups":["admin"],"level":3,"acr":"gold"})", 3},
        {R"({"level":3,"acr":"gold","staff":true})", 0},
        {R"({"groups":["admin"],"level":2,"acr":"bronze","staff":true})", 1},
        {R"({"groups":["admin"],"level":3,"acr":"bronze","staff":false})", 3},  // what cannot be mended comes first
        {R"({"groups":["admin"],"level":3,"acr":"bronze","staff":true})", 2},
    };
    for (const auto &one : cases) {
        const std::string record = record_of(one.claims, policy);
        const Requirement *refused = first_refusal(policy, *SessionView::over(record), match);
        const Requirement *expected = one.refused < 0 ? nullptr : &policy[static_cast<size_t>(one.refused)];
        assert_ptr_equal(refused, expected);
    }
    assert_int_equal(policy[3].status, 404);
    assert_int_equal(policy[0].status, 403);
    assert_int_equal(wanted_acr(policy[2]).size(), 2);
    assert_true(wanted_acr(policy[0]).empty());
    assert_true(wanted_acr(read("acr ~^g")).empty());
}

// A session from before the rule was written: whole texts count, parts and expressions do not.
void older_sessions(void **) {
    const std::string record = record_of(
        R"({"sub":"alice","groups":["admin"],"many":["a","admin"],"email":"a@b","email_verified":false})", {});
    const auto view = SessionView::over(record);
    assert_true(holds(read("sub alice"), *view, match));
    assert_true(holds(read("groups admin"), *view, match));
    assert_false(holds(read("many admin"), *view, match));
    assert_false(holds(read("sub ~alice"), *view, match));
    assert_false(holds(read("email a@b"), *view, match));
}

void what_is_no_rule(void **) {
    const char *cases[] = {"",
                           "groups",
                           "error=403",
                           "| groups a",
                           "groups a |",
                           "a 1 | |",
                           "a 1 | b",
                           "groups a error=200",
                           "groups a error=x",
                           "groups a error=",
                           "groups a error=399",
                           "groups a error=600",
                           "groups a error=0403",
                           "groups a error=403 error=404",
                           "groups ~",
                           "groups ~*",
                           "groups file:",
                           ".a 1",
                           "a. 1",
                           "a..b 1"};
    for (const char *text : cases) {
        auto requirement = read_requirement(split_words(text));
        if (requirement) {
            fail_msg("\"%s\" was taken for a rule", text);
        }
        assert_false(requirement.error().text.empty());
    }
    assert_string_equal(describe(read("groups admin ~^x | email file:staff.txt")).c_str(),
                        "groups: expected \"admin\" or ~^x, or email: expected a line of staff.txt");
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(rules_and_claims),
        cmocka_unit_test(all_must_hold),
        cmocka_unit_test(older_sessions),
        cmocka_unit_test(what_is_no_rule),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
