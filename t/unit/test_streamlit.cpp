// Streamlit's wire formats: what its own code would read, and nothing that was changed.
#include <string>

#include "oidc/jose.hpp"
#include "oidc/streamlit.hpp"
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

constexpr std::string_view secret = "0123456789abcdef0123456789abcdef";

// Made by itsdangerous 2.2 with this secret, the salt "_streamlit_user" and the clock at 1700000000.
void as_itsdangerous(void **) {
    assert_string_equal(sign_for_streamlit({secret, 1700000000}, "_streamlit_user", R"({"a":1})").c_str(),
                        "IntcImFcIjoxfSI.ZVPxAA.vUmGcTRnDGx2V3DhZnX649aFG3Y");
    assert_string_equal(
        sign_for_streamlit({secret, 1700000000}, "_streamlit_user", std::string(200, 'a')).substr(0, 1).c_str(), ".");
    // Another name, another secret, another time: another signature.
    const std::string one = sign_for_streamlit({secret, 1700000000}, "_streamlit_user", "x");
    assert_true(one != sign_for_streamlit({secret, 1700000000}, "_streamlit_user_tokens", "x"));
    assert_true(one != sign_for_streamlit({"another", 1700000000}, "_streamlit_user", "x"));
    assert_true(one != sign_for_streamlit({secret, 1700000001}, "_streamlit_user", "x"));
}

Json token_claims(int64_t exp) {
    Json claims = Json::object();
    claims.set("provider", "google");
    claims.set("exp", exp);
    return claims;
}

void provider_tokens(void **) {
    auto token = sign_hmac("HS256", secret, token_claims(1000));
    assert_true(bool(token));
    assert_string_equal(read_provider_token(*token, secret, 999).value_or("").c_str(), "google");
    assert_false(read_provider_token(*token, secret, 1000).has_value());
    assert_false(read_provider_token(*token, "another secret of 32 bytes or so", 999).has_value());
    const std::string longer = std::string(secret) + std::string(secret);
    auto other = sign_hmac("HS512", longer, token_claims(1000));
    assert_true(bool(other));
    assert_false(read_provider_token(*other, longer, 999).has_value());
    for (size_t i = 0; i < token->size(); i++) {
        std::string changed = *token;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        if (changed != *token && read_provider_token(changed, secret, 999)) {
            fail_msg("changed at %zu and taken", i);
        }
    }
    for (const char *bad : {"", ".", "..", "a.b.c", "google"}) {
        assert_false(read_provider_token(bad, secret, 999).has_value());
    }
}

std::string noise(size_t size) {
    std::string text;
    uint32_t n = 1;
    while (text.size() < size) {
        n = n * 1103515245 + 12345;
        text += "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-"[n >> 16 & 63];
    }
    return text;
}

void rooms(void **) {
    const StreamlitSeal seal{secret, 1700000000};
    const std::string claims = R"({"sub":"alice","nonce":")" + noise(100) + R"(","at_hash":")" + noise(22) + R"("})";
    StreamlitIdentity identity;
    identity.claims = claims;
    identity.origin = "https://a.example";
    identity.provider = "google";
    const auto whole = streamlit_cookies(seal, identity, 8000);
    assert_true(whole.has_value());
    assert_true(starts_with(*whole, "_streamlit_user="));
    assert_true(whole->find("; ") == std::string::npos);
    // The very room is enough; one byte less costs the protocol's own claims, which is a good deal shorter.
    assert_string_equal(streamlit_cookies(seal, identity, whole->size())->c_str(), whole->c_str());
    const auto fewer = streamlit_cookies(seal, identity, whole->size() - 1);
    assert_true(fewer.has_value() && fewer->size() + 100 < whole->size());
    assert_false(streamlit_cookies(seal, identity, fewer->size() - 1).has_value());
    assert_true(streamlit_cookies(seal, identity, fewer->size()).has_value());
    identity.has_tokens = true;
    identity.id_token = "a.b.c";
    assert_true(streamlit_cookies(seal, identity, 8000)->find("; _streamlit_user_tokens=") != std::string::npos);
}

void names(void **) {
    for (const char *ours : {"_streamlit_user", "_streamlit_user_1", "_streamlit_user_tokens",
                             "_streamlit_user_tokens_3", "_streamlit_session", " _streamlit_user",
                             "\t_streamlit_session\x0b", "\xa0_streamlit_user", "\x85_streamlit_session\x1c"}) {
        assert_true(is_streamlit_cookie(ours));
    }
    for (const char *other :
         {"", "_streamlit_xsrf", "_streamlit_sessions", "a_streamlit_user", "_STREAMLIT_USER", "_streamlit"}) {
        assert_false(is_streamlit_cookie(other));
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(as_itsdangerous),
        cmocka_unit_test(provider_tokens),
        cmocka_unit_test(rooms),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
