// What a logout token must prove (Back-Channel Logout 1.0 section 2.6): one thing wrong at a time, one rule that says
// so.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string>

#include "fake_provider.hpp"
#include "oidc/logout_token.hpp"

extern "C" {
#include <cmocka.h>
}

using namespace oidc;

namespace {

const fake::Key &rsa() {
    static const fake::Key key = fake::Key::rsa("rsa-1");
    return key;
}
const fake::Key &stranger() {
    static const fake::Key key = fake::Key::rsa("rsa-1");
    return key;
}

Json good() {
    return fake::json(R"({"iss": "https://id.example/realm", "aud": "app 1", "sub": "alice", "sid": "s/1",
        "iat": 1700000000, "exp": 1700000120, "jti": "once",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}, "urn:other": {}}})");
}

void expect_rule(const char *name, const Result<LogoutToken> &result, const std::string &rule) {
    const std::string found = result ? "" : result.error().rule;
    if (found != rule) {
        fail_msg("%s: expected \"%s\", found \"%s\"", name, rule.c_str(), found.c_str());
    }
    if (!result && result.error().status != 400) {
        fail_msg("%s: the status is %d", name, result.error().status);
    }
}

Result<LogoutToken> check(const std::string &token) {
    return check_logout_token(fake::client(), fake::data({&rsa()}), token, {fake::now, {}});
}

// One member changed; a null value removes it. `rule` empty: accepted.
struct Case {
    const char *name, *member, *value, *rule;
};
const Case cases[] = {
    {"as it is", nullptr, nullptr, ""},
    {"no iss", "iss", nullptr, "logout_token_iss"},
    {"another iss", "iss", "\"https://evil.example\"", "logout_token_iss"},
    {"iss with a slash more", "iss", "\"https://id.example/realm/\"", "logout_token_iss"},
    {"no aud", "aud", nullptr, "logout_token_aud"},
    {"another aud", "aud", "\"app 2\"", "logout_token_aud"},
    {"aud is a number", "aud", "1", "logout_token_aud"},
    {"aud is empty", "aud", "[]", "logout_token_aud"},
    {"aud among others", "aud", "[\"api\", \"app 1\"]", ""},
    {"no iat", "iat", nullptr, "logout_token_iat"},
    {"iat is a string", "iat", "\"1700000000\"", "logout_token_iat"},
    {"iat in the future, within the skew", "iat", "1700000060", ""},
    {"iat in the future", "iat", "1700000061", "logout_token_iat"},
    {"iat five minutes and the skew ago", "iat", "1699999640", ""},
    {"iat longer ago", "iat", "1699999639", "logout_token_iat"},
    {"iat is huge", "iat", "9223372036854775807", "logout_token_iat"},
    {"no exp", "exp", nullptr, ""},
    {"exp past the skew", "exp", "1699999940", "logout_token_exp"},
    {"exp is a string", "exp", "\"1700000600\"", "logout_token_exp"},
    {"nbf in the future", "nbf", "1700000061", "logout_token_nbf"},
    {"nbf is true", "nbf", "true", "logout_token_nbf"},
    {"no jti", "jti", nullptr, "logout_token_jti"},
    {"jti is empty", "jti", "\"\"", "logout_token_jti"},
    {"jti is a number", "jti", "7", "logout_token_jti"},
    {"no events", "events", nullptr, "logout_token_events"},
    {"events is a list", "events", "[\"http://schemas.openid.net/event/backchannel-logout\"]", "logout_token_events"},
    {"events is a string", "events", "\"http://schemas.openid.net/event/backchannel-logout\"", "logout_token_events"},
    {"events is empty", "events", "{}", "logout_token_events"},
    {"another event", "events", "{\"http://schemas.openid.net/event/backchannel-logou\":{}}", "logout_token_events"},
    {"the event is null", "events", "{\"http://schemas.openid.net/event/backchannel-logout\":null}",
     "logout_token_events"},
    {"the event is a list", "events", "{\"http://schemas.openid.net/event/backchannel-logout\":[]}",
     "logout_token_events"},
    {"a nonce", "nonce", "\"n\"", "logout_token_nonce"},
    {"a nonce that is null", "nonce", "null", "logout_token_nonce"},
    {"no sid", "sid", nullptr, ""},
    {"no sub", "sub", nullptr, ""},
    {"sid is empty", "sid", "\"\"", "logout_token_subject"},
    {"sid is a number", "sid", "5", "logout_token_subject"},
    {"sub is a list", "sub", "[\"alice\"]", "logout_token_subject"},
    {"sub is null", "sub", "null", "logout_token_subject"},
    {"sub with a line break", "sub", "\"alice\\nbob\"", "logout_token_subject"},
    {"a claim nobody knows", "trace_id", "\"x\"", ""},
};

void claims(void **) {
    for (const Case &one : cases) {
        const Json token = fake::with(good(), one.member, one.value);
        expect_rule(one.name, check(rsa().sign(token, "logout+jwt")), one.rule);
    }
}

void neither_sid_nor_sub(void **) {
    const Json token = fake::with(fake::with(good(), "sid", nullptr), "sub", nullptr);
    expect_rule("neither", check(rsa().sign(token)), "logout_token_subject");
}

void types(void **) {
    const Case typs[] = {
        {"", nullptr, nullptr, ""},
        {"logout+jwt", nullptr, nullptr, ""},
        {"JWT", nullptr, nullptr, ""},
        {"jwt", nullptr, nullptr, ""},
        {"at+jwt", nullptr, nullptr, "logout_token_typ"},
        {"secevent+jwt", nullptr, nullptr, "logout_token_typ"},
    };
    for (const Case &typ : typs) {
        expect_rule(typ.name, check(rsa().sign(good(), typ.name)), typ.rule);
    }
}

void id_token_is_none(void **) {
    expect_rule("an ID token", check(rsa().sign(fake::with(fake::claims(), "jti", "\"1\""))), "logout_token_events");
}

void signatures(void **) {
    const std::string token = rsa().sign(good());
    expect_rule("another key", check(stranger().sign(good())), "jws_signature");
    expect_rule("empty", check(""), "jws_format");
    expect_rule("two parts", check(token.substr(0, token.rfind('.'))), "jws_format");
    expect_rule("padded", check(token + "="), "jws_format");
    const std::string body = token.substr(token.find('.') + 1);
    const std::string none = base64url_encode(R"({"alg":"none"})") + "." + body.substr(0, body.find('.')) + ".";
    expect_rule("alg none", check(none), "jws_alg");
    auto hmac = sign_hmac("HS256", fake::secret, good());
    assert_true(bool(hmac));
    expect_rule("HMAC that is not configured", check(*hmac), "jws_alg");
}

void what_is_found(void **) {
    const auto found = check(rsa().sign(good()));
    assert_true(bool(found));
    assert_string_equal(found->sid.c_str(), "s/1");
    assert_string_equal(found->sub.c_str(), "alice");
    assert_string_equal(found->jti.c_str(), "once");
    // Once it is forgotten, its age must refuse it.
    assert_false(bool(check_logout_token(fake::client(), fake::data({&rsa()}),
                                         rsa().sign(fake::with(good(), "exp", nullptr)), {found->remember_until, {}})));
}

// One algorithm is registered for a client: a logout token comes with that of the ID tokens, or as it is configured.
void algorithm_of_the_id_tokens(void **) {
    const std::string token = rsa().sign(good());
    const struct {
        const char *id_token_alg;
        std::vector<std::string> configured;
        const char *rule;
    } algorithms[] = {
        {"", {}, ""},
        {"RS256", {}, ""},
        {"ES256", {}, "logout_token_alg"},
        {"ES256", {"ES256", "RS256"}, ""},
        {"RS256", {"ES256"}, "jws_alg"},
    };
    for (const auto &one : algorithms) {
        Client client = fake::client();
        client.id_token_algs = one.configured;
        const LogoutRules rules{fake::now, one.id_token_alg};
        expect_rule(one.id_token_alg, check_logout_token(client, fake::data({&rsa()}), token, rules), one.rule);
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(claims),
        cmocka_unit_test(neither_sid_nor_sub),
        cmocka_unit_test(types),
        cmocka_unit_test(id_token_is_none),
        cmocka_unit_test(signatures),
        cmocka_unit_test(what_is_found),
        cmocka_unit_test(algorithm_of_the_id_tokens),
    };
    return cmocka_run_group_tests_name("logout token", tests, nullptr, nullptr);
}
