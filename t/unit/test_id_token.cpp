// What an ID token must prove (C 3.1.3.7): one claim changed at a time.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

#include "fake_provider.hpp"
#include "oidc/protocol.hpp"

extern "C" {
#include <cmocka.h>
}

using namespace oidc;

namespace {

const fake::Key &rsa() {
    static const fake::Key key = fake::Key::rsa("rsa-1");
    return key;
}
const fake::Key &ec() {
    static const fake::Key key = fake::Key::ec("ec-1");
    return key;
}

IdTokenRules rules() {
    IdTokenRules rules;
    rules.nonce = "the-nonce";
    rules.access_token = "the-access-token";
    rules.code = "the-code";
    rules.now = fake::now;
    return rules;
}

void expect_text(const char *name, const std::string &found, const std::string &expected) {
    if (found != expected) {
        fail_msg("%s: expected \"%s\", found \"%s\"", name, expected.c_str(), found.c_str());
    }
}

std::string outcome(const Result<Jws> &result) {
    return result ? "" : result.error().rule;
}

// One member of a good token is changed; a null value removes it. `rule` empty: accepted.
struct ClaimCase {
    const char *name, *member, *value, *rule;
    void (*tweak)(Client &, IdTokenRules &);
};

void no_nonce(Client &, IdTokenRules &rules) {
    rules.nonce = "";
}
void no_access_token(Client &, IdTokenRules &rules) {
    rules.access_token = "";
}
void no_code(Client &, IdTokenRules &rules) {
    rules.code = "";
}
void fresh(Client &, IdTokenRules &rules) {
    rules.max_age = 300;
}
void at_once(Client &, IdTokenRules &rules) {
    rules.max_age = 0;
}
void any_age(Client &, IdTokenRules &rules) {
    rules.max_age = INT64_MAX;
}
void strong(Client &, IdTokenRules &rules) {
    rules.acr_values = {"gold", "silver"};
}
void exact_clock(Client &client, IdTokenRules &) {
    client.clock_skew = 0;
}
void after_2038(Client &, IdTokenRules &rules) {
    rules.now = 4'000'000'000;
}
void blank_client(Client &client, IdTokenRules &) {
    client.client_id = "1";
}

const ClaimCase who_and_for_whom[] = {
    {"as it is", nullptr, nullptr, "", nullptr},
    {"no iss", "iss", nullptr, "id_token_iss", nullptr},
    {"another iss", "iss", "\"https://evil.example\"", "id_token_iss", nullptr},
    {"iss with a slash more", "iss", "\"https://id.example/realm/\"", "id_token_iss", nullptr},
    {"iss in other case", "iss", "\"https://id.example/Realm\"", "id_token_iss", nullptr},
    {"iss is a list", "iss", "[\"https://id.example/realm\"]", "id_token_iss", nullptr},
    {"iss with a NUL", "iss", "\"https://id.example/realm\\u0000\"", "id_token_iss", nullptr},
    {"no aud", "aud", nullptr, "id_token_aud", nullptr},
    {"another aud", "aud", "\"app 2\"", "id_token_aud", nullptr},
    {"aud begins like ours", "aud", "\"app 1 and more\"", "id_token_aud", nullptr},
    {"aud is a list of one", "aud", "[\"app 1\"]", "", nullptr},
    {"aud is empty", "aud", "[]", "id_token_aud", nullptr},
    {"aud is an object", "aud", "{\"app 1\":1}", "id_token_aud", nullptr},
    {"aud has a number in it", "aud", "[\"app 1\", 1]", "id_token_aud", nullptr},
    {"aud has a word like ours", nullptr, nullptr, "id_token_aud", blank_client},
    {"two audiences without azp", "aud", "[\"app 1\", \"api\"]", "id_token_azp", nullptr},
    {"azp is ours", "azp", "\"app 1\"", "", nullptr},
    {"azp is another's", "azp", "\"api\"", "id_token_azp", nullptr},
    {"azp is a list", "azp", "[\"app 1\"]", "id_token_azp", nullptr},
    {"azp is null", "azp", "null", "id_token_azp", nullptr},
    {"no sub", "sub", nullptr, "id_token_sub", nullptr},
    {"sub is empty", "sub", "\"\"", "id_token_sub", nullptr},
    {"sub is a number", "sub", "7", "id_token_sub", nullptr},
    {"sub with a line break", "sub", "\"alice\\nbob\"", "id_token_sub", nullptr},
    {"sub with a NUL", "sub", "\"alice\\u0000\"", "id_token_sub", nullptr},
    {"sub with a DEL", "sub", "\"alice\\u007f\"", "id_token_sub", nullptr},
    {"sub in UTF-8", "sub", "\"\xc3\xa4lice\"", "", nullptr},
};

const ClaimCase times[] = {
    {"no exp", "exp", nullptr, "id_token_exp", nullptr},
    {"exp is a string", "exp", "\"1700000600\"", "id_token_exp", nullptr},
    {"exp is null", "exp", "null", "id_token_exp", nullptr},
    {"exp is negative", "exp", "-1", "id_token_exp", nullptr},
    {"exp is zero", "exp", "0", "id_token_exp", nullptr},
    {"exp is 1e300", "exp", "1e300", "id_token_exp", nullptr},
    {"exp is 2^63-1", "exp", "9223372036854775807", "id_token_exp", nullptr},
    {"exp is 2^53", "exp", "9007199254740992", "", nullptr},
    {"exp has a fraction", "exp", "1700000600.5", "", nullptr},
    {"exp a second ago, within the skew", "exp", "1699999999", "", nullptr},
    {"exp at the end of the skew", "exp", "1699999941", "", nullptr},
    {"exp past the skew", "exp", "1699999940", "id_token_exp", nullptr},
    {"exp now, no skew", "exp", "1700000000", "id_token_exp", exact_clock},
    {"exp in a second, no skew", "exp", "1700000001", "", exact_clock},
    {"exp long past, after 2038", nullptr, nullptr, "id_token_exp", after_2038},
    {"exp after 2038", "exp", "4000000600", "", after_2038},
    {"no iat", "iat", nullptr, "id_token_iat", nullptr},
    {"iat is a string", "iat", "\"1700000000\"", "id_token_iat", nullptr},
    {"iat is negative", "iat", "-1700000000", "id_token_iat", nullptr},
    {"iat has a fraction", "iat", "1700000000.25", "", nullptr},
    {"iat in the future, within the skew", "iat", "1700000060", "", nullptr},
    {"iat in the future", "iat", "1700000061", "id_token_iat", nullptr},
    {"iat is huge", "iat", "9223372036854775807", "id_token_iat", nullptr},
    {"nbf reached", "nbf", "1700000000", "", nullptr},
    {"nbf within the skew", "nbf", "1700000060", "", nullptr},
    {"nbf in the future", "nbf", "1700000061", "id_token_nbf", nullptr},
    {"nbf is a string", "nbf", "\"0\"", "id_token_nbf", nullptr},
    {"nbf is true", "nbf", "true", "id_token_nbf", nullptr},
};

const ClaimCase bound_to_this_login[] = {
    {"no nonce", "nonce", nullptr, "id_token_nonce", nullptr},
    {"nonce is empty", "nonce", "\"\"", "id_token_nonce", nullptr},
    {"another nonce", "nonce", "\"the-nonse\"", "id_token_nonce", nullptr},
    {"a longer nonce", "nonce", "\"the-nonce1\"", "id_token_nonce", nullptr},
    {"nonce is a list", "nonce", "[\"the-nonce\"]", "id_token_nonce", nullptr},
    {"another nonce, not compared", "nonce", "\"x\"", "", no_nonce},
    {"at_hash of another token", "at_hash", "\"AAAAAAAAAAAAAAAAAAAAAA\"", "id_token_at_hash", nullptr},
    {"at_hash is empty", "at_hash", "\"\"", "id_token_at_hash", nullptr},
    {"at_hash is a number", "at_hash", "1", "id_token_at_hash", nullptr},
    {"at_hash and no token", "at_hash", "\"AAAAAAAAAAAAAAAAAAAAAA\"", "", no_access_token},
    {"c_hash of another code", "c_hash", "\"AAAAAAAAAAAAAAAAAAAAAA\"", "id_token_c_hash", nullptr},
    {"c_hash is null", "c_hash", "null", "id_token_c_hash", nullptr},
    {"c_hash and no code", "c_hash", "\"AAAAAAAAAAAAAAAAAAAAAA\"", "", no_code},
    {"no auth_time, not asked for", "auth_time", nullptr, "", nullptr},
    {"a strange auth_time, not asked for", "auth_time", "\"x\"", "", nullptr},
    {"no auth_time", "auth_time", nullptr, "id_token_auth_time", fresh},
    {"auth_time is a string", "auth_time", "\"1700000000\"", "id_token_auth_time", fresh},
    {"auth_time is fresh", "auth_time", "1699999700", "", fresh},
    {"auth_time within the skew", "auth_time", "1699999640", "", fresh},
    {"auth_time too old", "auth_time", "1699999639", "id_token_auth_time", fresh},
    {"auth_time in the future", "auth_time", "1700000061", "id_token_auth_time", fresh},
    {"auth_time is negative", "auth_time", "-5", "id_token_auth_time", fresh},
    {"auth_time now, max_age 0", "auth_time", "1700000000", "", at_once},
    {"auth_time old, max_age 0", "auth_time", "1699999939", "id_token_auth_time", at_once},
    {"auth_time 0, the greatest max_age", "auth_time", "0", "", any_age},
    {"acr not asked for", "acr", "\"bronze\"", "", nullptr},
    {"acr is one of them", "acr", "\"silver\"", "", strong},
    {"acr is another", "acr", "\"bronze\"", "id_token_acr", strong},
    {"no acr", "acr", nullptr, "id_token_acr", strong},
    {"acr is a list", "acr", "[\"gold\"]", "id_token_acr", strong},
};

void check(const ClaimCase &one) {
    Client client = fake::client();
    IdTokenRules measure = rules();
    if (one.tweak != nullptr) {
        one.tweak(client, measure);
    }
    const std::string token = rsa().sign(fake::with(fake::claims(), one.member, one.value));
    const auto result = check_id_token(client, fake::data({&rsa()}), token, measure);
    expect_text(one.name, outcome(result), one.rule);
    assert_true(result || result.error().fault == Fault::provider);
}

void claims_of_person(void **) {
    for (const auto &one : who_and_for_whom) {
        check(one);
    }
}

void claims_of_time(void **) {
    for (const auto &one : times) {
        check(one);
    }
}

void claims_of_login(void **) {
    for (const auto &one : bound_to_this_login) {
        check(one);
    }
}

void two_audiences_with_azp(void **) {
    Json claims = fake::with(fake::claims(), "aud", "[\"api\", \"app 1\"]");
    claims.set("azp", std::string_view(fake::client_id));
    const auto result = check_id_token(fake::client(), fake::data({&rsa()}), rsa().sign(claims), rules());
    expect_text("azp", outcome(result), "");
}

void length_of_sub(void **) {
    const struct {
        const char *character;
        size_t count;
        const char *rule;
    } cases[] = {
        {"a", 255, ""},
        {"a", 256, "id_token_sub"},
        {"\xc3\xa4", 255, ""},
        {"\xc3\xa4", 256, "id_token_sub"},
    };
    for (const auto &one : cases) {
        std::string sub;
        for (size_t i = 0; i < one.count; i++) {
            sub += one.character;
        }
        Json claims = fake::claims();
        claims.set("sub", std::string_view(sub));
        expect_text(one.character,
                    outcome(check_id_token(fake::client(), fake::data({&rsa()}), rsa().sign(claims), rules())),
                    one.rule);
    }
}

// C 3.1.3.6: with ES256 as with RS256 the left half of SHA-256.
void hashes_that_fit(void **) {
    for (const fake::Key *key : {&rsa(), &ec()}) {
        Json claims = fake::claims();
        claims.set("at_hash", std::string_view(half_hash("RS256", "the-access-token")));
        claims.set("c_hash", std::string_view(half_hash("RS256", "the-code")));
        const auto result = check_id_token(fake::client(), fake::data({&rsa(), &ec()}), key->sign(claims), rules());
        expect_text("hashes", outcome(result), "");
    }
}

void refused_acr_is_forbidden(void **) {
    IdTokenRules strict = rules();
    strict.acr_values = {"gold"};
    const auto result = check_id_token(fake::client(), fake::data({&rsa()}), rsa().sign(fake::claims()), strict);
    assert_false(bool(result));
    assert_int_equal(result.error().status, 403);
}

// RFC 8725 3.11 would have it, C does not: any typ, or none, is an ID token's.
void typ_is_not_demanded(void **) {
    for (const char *typ : {"", "JWT", "jwt", "something"}) {
        const std::string token = rsa().sign(fake::claims(), typ);
        expect_text(typ, outcome(check_id_token(fake::client(), fake::data({&rsa()}), token, rules())), "");
    }
}

void signatures(void **) {
    const fake::Key other = fake::Key::rsa("rsa-2"), same_kid = fake::Key::rsa("rsa-1");
    std::string unsigned_token =
        base64url_encode(R"({"alg":"none"})") + '.' + base64url_encode(fake::claims().dump()) + '.';
    const std::string good = rsa().sign(fake::claims());
    const auto hmac = [](const char *alg) { return *sign_hmac(alg, fake::secret, fake::claims()); };
    std::string changed = good;
    changed[good.find('.') + 5] ^= 1;
    const struct {
        const char *name;
        std::string token;
        std::vector<std::string> configured;
        const char *rule;
        bool may_be_stale;
    } cases[] = {
        {"good", good, {}, "", false},
        {"elliptic", ec().sign(fake::claims()), {}, "", false},
        {"not in the allow-list", ec().sign(fake::claims()), {"RS256"}, "jws_alg", false},
        {"unknown kid", other.sign(fake::claims()), {}, "jws_key", true},
        {"another key of that kid", same_kid.sign(fake::claims()), {}, "jws_signature", true},
        {"none", unsigned_token, {}, "jws_alg", false},
        {"HMAC, not configured", hmac("HS256"), {}, "jws_alg", false},
        {"HMAC, configured", hmac("HS256"), {"HS256"}, "", false},
        {"another HMAC than configured", hmac("HS256"), {"HS512"}, "jws_alg", false},
        {"empty", "", {}, "jws_format", false},
        {"two parts", "e30.e30", {}, "jws_format", false},
        {"five parts", "e30.e30.e30.e30.e30", {}, "jws_format", false},
    };
    for (const auto &one : cases) {
        Client client = fake::client();
        client.id_token_algs = one.configured;
        const auto result = check_id_token(client, fake::data({&rsa(), &ec()}), one.token, rules());
        expect_text(one.name, outcome(result), one.rule);
        assert_true(result || may_be_stale_keys(result.error()) == one.may_be_stale);
    }
    assert_false(bool(check_id_token(fake::client(), fake::data({&rsa()}), changed, rules())));
}

// The log is no place for what proves a login.
void errors_tell_no_secret(void **) {
    Json claims = fake::claims();
    claims.set("nonce", std::string_view("found-nonce"));
    const std::string token = rsa().sign(claims);
    const auto result = check_id_token(fake::client(), fake::data({&rsa()}), token, rules());
    assert_false(bool(result));
    for (const std::string &secret : {std::string("the-nonce"), std::string("found-nonce"), token}) {
        assert_true(result.error().text.find(secret) == std::string::npos);
    }
}

void errors_name_both_sides(void **) {
    const Json claims = fake::with(fake::claims(), "aud", "\"someone\\nelse\"");
    const auto result = check_id_token(fake::client(), fake::data({&rsa()}), rsa().sign(claims), rules());
    assert_false(bool(result));
    expect_text("text", result.error().text, "expected \"app 1\", found \"someone\\x0Aelse\"");
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(claims_of_person),
        cmocka_unit_test(claims_of_time),
        cmocka_unit_test(claims_of_login),
        cmocka_unit_test(two_audiences_with_azp),
        cmocka_unit_test(length_of_sub),
        cmocka_unit_test(hashes_that_fit),
        cmocka_unit_test(refused_acr_is_forbidden),
        cmocka_unit_test(typ_is_not_demanded),
        cmocka_unit_test(signatures),
        cmocka_unit_test(errors_tell_no_secret),
        cmocka_unit_test(errors_name_both_sides),
    };
    return cmocka_run_group_tests_name("id token", tests, nullptr, nullptr);
}
