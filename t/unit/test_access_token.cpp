// What an access token must prove (RFC 9068 4), what an introspection answer must say (RFC 7662 2.2), and how a token
// comes (RFC 6750 2.1): one thing wrong at a time, one rule that says so.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string>

#include "fake_provider.hpp"
#include "oidc/access_token.hpp"

extern "C" {
#include <cmocka.h>
}

using namespace oidc;

namespace {

const fake::Key &rsa() {
    static const fake::Key key = fake::Key::rsa("rsa-1");
    return key;
}

Json good() {
    return fake::json(R"({"iss": "https://id.example/realm", "aud": ["api", "app 1"], "sub": "alice", "client_id": "x",
        "iat": 1700000000, "exp": 1700000120, "jti": "1", "scope": "read write"})");
}

AccessTokenRules rules() {
    AccessTokenRules rules;
    rules.now = fake::now;
    return rules;
}

template <class T>
void expect_rule(const char *name, const Result<T> &result, const std::string &rule, int status = 401) {
    const std::string found = result ? "" : result.error().rule;
    if (found != rule) {
        fail_msg("%s: expected \"%s\", found \"%s\"", name, rule.c_str(), found.c_str());
    }
    if (!result && result.error().status != status) {
        fail_msg("%s: the status is %d", name, result.error().status);
    }
}

Result<Json> check(const std::string &token, const AccessTokenRules &by = rules()) {
    return check_access_token(fake::client(), fake::data({&rsa()}), token, by);
}

// One member changed; a null value removes it. `rule` empty: accepted.
struct Case {
    const char *name, *member, *value, *rule;
};
const Case cases[] = {
    {"as it is", nullptr, nullptr, ""},
    {"no iss", "iss", nullptr, "access_token_iss"},
    {"another iss", "iss", "\"https://evil.example\"", "access_token_iss"},
    {"no aud", "aud", nullptr, "access_token_aud"},
    {"another aud", "aud", "\"app 2\"", "access_token_aud"},
    {"the words of an aud", "aud", "\"app\"", "access_token_aud"},
    {"aud is a text", "aud", "\"app 1\"", ""},
    {"no exp", "exp", nullptr, "access_token_exp"},
    {"exp past the skew", "exp", "1699999940", "access_token_exp"},
    {"exp within the skew", "exp", "1699999941", ""},
    {"exp is a string", "exp", "\"1700000600\"", "access_token_exp"},
    {"no iat", "iat", nullptr, "access_token_iat"},
    {"iat in the future", "iat", "1700000061", "access_token_iat"},
    {"nbf in the future", "nbf", "1700000061", "access_token_nbf"},
    {"nbf is true", "nbf", "true", "access_token_nbf"},
    {"no sub", "sub", nullptr, "access_token_sub"},
    {"sub is a number", "sub", "1", "access_token_sub"},
    {"sub with a line break", "sub", "\"a\\nb\"", "access_token_sub"},
    {"bound to a key", "cnf", "{\"jkt\":\"x\"}", "access_token_cnf"},
    {"cnf is null", "cnf", "null", "access_token_cnf"},
    {"no jti", "jti", nullptr, ""},
    {"a nonce beside the right type", "nonce", "\"n\"", ""},
};

void claims(void **) {
    for (const Case &one : cases) {
        expect_rule(one.name, check(rsa().sign(fake::with(good(), one.member, one.value), "at+jwt")), one.rule);
    }
}

void types(void **) {
    const struct {
        const char *typ, *strict, *with_jwt;
    } typs[] = {
        {"at+jwt", "", ""},
        {"AT+JWT", "", ""},
        {"application/at+jwt", "", ""},
        {"JWT", "access_token_typ", ""},
        {"", "access_token_typ", ""},
        {"logout+jwt", "access_token_typ", "access_token_typ"},
        {"at+jwtx", "access_token_typ", "access_token_typ"},
        {"application/jwt", "access_token_typ", "access_token_typ"},
    };
    AccessTokenRules with_jwt = rules();
    with_jwt.jwt_type = true;
    for (const auto &one : typs) {
        expect_rule(one.typ, check(rsa().sign(good(), one.typ)), one.strict);
        expect_rule(one.typ, check(rsa().sign(good(), one.typ), with_jwt), one.with_jwt);
    }
}

void other_kinds(void **) {
    AccessTokenRules with_jwt = rules();
    with_jwt.jwt_type = true;
    for (const char *name : {"nonce", "at_hash", "c_hash", "events"}) {
        expect_rule(name, check(rsa().sign(fake::with(good(), name, "null"), "JWT"), with_jwt), "access_token_kind");
    }
    for (const char *kind : {"\"ID\"", "\"Refresh\"", "\"bearer\"", "1", "null"}) {
        expect_rule(kind, check(rsa().sign(fake::with(good(), "typ", kind)), with_jwt), "access_token_kind");
    }
    expect_rule("Bearer", check(rsa().sign(fake::with(good(), "typ", "\"Bearer\"")), with_jwt), "");
}

void audiences(void **) {
    AccessTokenRules named = rules();
    named.audiences = {"https://api.example", "api"};
    expect_rule("one of those named", check(rsa().sign(good(), "at+jwt"), named), "");
    named.audiences = {"https://api.example"};
    const auto refused = check(rsa().sign(good(), "at+jwt"), named);
    expect_rule("none of those named", refused, "access_token_aud");
    assert_string_equal(refused.error().text.c_str(),
                        "audience: expected \"https://api.example\", found \"api app 1\"");
    assert_string_equal(description_safe(refused.error().text).c_str(),
                        "audience: expected 'https://api.example', found 'api app 1'");
}

Result<Json> answer(int status, const std::string &body, const AccessTokenRules &by = rules()) {
    http::Reply reply;
    reply.status = status;
    reply.body = body;
    return read_introspection(fake::client(), fake::data({&rsa()}).metadata, reply, by);
}

void introspection(void **) {
    const Json active = fake::json(R"({"active": true, "sub": "bob", "aud": "app 1", "exp": 1700000120,
        "iss": "https://id.example/realm", "client_id": "app 1", "token_type": "Bearer", "scope": "read"})");
    const Case changes[] = {
        {"as it is", nullptr, nullptr, ""},
        {"not active", "active", "false", "access_token_inactive"},
        {"another iss", "iss", "\"https://evil.example\"", "access_token_iss"},
        {"no iss", "iss", nullptr, ""},
        {"another aud", "aud", "\"api\"", "access_token_aud"},
        {"no aud, our client", "aud", nullptr, ""},
        {"exp over", "exp", "1699999900", "access_token_exp"},
        {"exp is a string", "exp", "\"1700000120\"", "access_token_exp"},
        {"no exp", "exp", nullptr, ""},
        {"no sub", "sub", nullptr, ""},
        {"sub is empty", "sub", "\"\"", "access_token_sub"},
        {"DPoP", "token_type", "\"DPoP\"", "access_token_kind"},
        {"a refresh token", "typ", "\"Refresh\"", "access_token_kind"},
        {"bound", "cnf", "{}", "access_token_cnf"},
    };
    for (const Case &one : changes) {
        expect_rule(one.name, answer(200, fake::with(active, one.member, one.value).dump()), one.rule);
    }
    const Json foreign = fake::with(fake::with(active, "aud", nullptr), "client_id", "\"app 2\"");
    expect_rule("no aud, another client", answer(200, foreign.dump()), "access_token_aud");
    AccessTokenRules named = rules();
    named.audiences = {"app 1"};
    expect_rule("no aud where audiences are named", answer(200, fake::with(active, "aud", nullptr).dump(), named),
                "access_token_aud");
}

void no_verdict(void **) {
    const struct {
        int status;
        const char *body;
    } answers[] = {{500, "{\"active\":true}"},
                   {401, ""},
                   {0, ""},
                   {302, ""},
                   {200, ""},
                   {200, "[]"},
                   {200, "{}"},
                   {200, "{\"active\":1}"},
                   {200, "{\"active\":\"true\"}"},
                   {200, "{\"active\":true,\"active\":false}"}};
    for (const auto &one : answers) {
        expect_rule(one.body, answer(one.status, one.body), "introspection_unavailable", 503);
    }
}

void credentials(void **) {
    const struct {
        const char *header, *token, *rule;
    } headers[] = {
        {"", "", ""},
        {"Basic eDp5", "", ""},
        {"Bearerx y", "", ""},
        {"Bearer abc", "abc", ""},
        {"bEARER  a.b-c_~+/==", "a.b-c_~+/==", ""},
        {"Bearer", "", "bearer_credentials"},
        {"Bearer ", "", "bearer_credentials"},
        {"Bearer a b", "", "bearer_credentials"},
        {"Bearer a,b", "", "bearer_credentials"},
        {"Bearer \"a\"", "", "bearer_credentials"},
    };
    for (const auto &one : headers) {
        const auto found = read_credentials(one.header);
        expect_rule(one.header, found, one.rule, 400);
        if (found) {
            assert_string_equal(std::string(*found).c_str(), one.token);
        }
    }
    expect_rule("32 KB", read_credentials("Bearer " + std::string(max_access_token, 'a')), "");
    expect_rule("more", read_credentials("Bearer " + std::string(max_access_token + 1, 'a')), "bearer_size");
    assert_true(has_query_token("access_token=x"));
    assert_true(has_query_token("a=b&access_token="));
    assert_false(has_query_token("xaccess_token=x&my_access_token=y&access_tokens=z"));
    assert_true(is_signed_token("eyJ9.x.y"));
    assert_false(is_signed_token("eyJ9.x"));
    assert_false(is_signed_token("abcd.x.y"));
}

void as_a_session(void **) {
    const Json claims = fake::with(fake::with(good(), "auth_time", "1699990000"), "scp", "[\"more\", \"two words\"]");
    const std::string record = write_session(session_of_token(fake::client(), claims, 5));
    const auto session = SessionView::over(record);
    assert_true(bool(session));
    assert_int_equal(session->head().ends, 1700000120);
    assert_int_equal(session->head().auth_time, 1699990000);
    assert_string_equal(std::string(session->field(Field::sub)).c_str(), "alice");
    assert_string_equal(std::string(session->claim("client_id").value_or("")).c_str(), "x");
    assert_true(has_scopes(*session, {}));
    assert_true(has_scopes(*session, {"write", "read", "more", "two"}));
    assert_false(has_scopes(*session, {"read", "readwrite"}));
    assert_false(has_scopes(*session, {"read write"}));
    const Session endless = session_of_token(fake::client(), fake::with(good(), "exp", nullptr), 5);
    assert_int_equal(endless.head.ends, 5);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(claims),        cmocka_unit_test(types),        cmocka_unit_test(other_kinds),
        cmocka_unit_test(audiences),     cmocka_unit_test(no_verdict),   cmocka_unit_test(credentials),
        cmocka_unit_test(introspection), cmocka_unit_test(as_a_session),
    };
    return cmocka_run_group_tests_name("access token", tests, nullptr, nullptr);
}
