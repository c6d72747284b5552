// Verification of a compact JWS: RFC 7515, RFC 7518, RFC 8037.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "exact.hpp"
#include "jose_keys.hpp"

extern "C" {
#include <cmocka.h>
}

using namespace oidc;
using namespace jose_test;
using namespace std::string_literals;

namespace {

const std::vector<std::string> asymmetric = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                             "PS512", "ES256", "ES384", "ES512", "EdDSA"};
const std::string secret(64, 's');

// One key of each kind for the whole program; to make them takes a while.
struct Keys {
    PrivateKey rsa = PrivateKey::rsa(), other_rsa = PrivateKey::rsa();
    PrivateKey p256 = PrivateKey::ec("P-256"), p384 = PrivateKey::ec("P-384"), p521 = PrivateKey::ec("P-521");
    PrivateKey ed25519 = PrivateKey::other("ED25519"), ed448 = PrivateKey::other("ED448");
    const PrivateKey &of(const std::string &alg) const {
        return alg == "ES256" ? p256 : alg == "ES384" ? p384 : alg == "ES512" ? p521 : alg == "EdDSA" ? ed25519 : rsa;
    }
};
const Keys &keys() {
    static const Keys keys;
    return keys;
}

VerifyRules rules(std::vector<std::string> algs, std::string_view with_secret = {}) {
    VerifyRules out;
    out.algs = std::move(algs);
    out.secret = with_secret;
    return out;
}

// "ok", or the rule that failed. The token lies in memory of exactly its size.
std::string outcome(const std::string &token, const KeySet &set, const VerifyRules &with) {
    const Exact exact(token);
    const auto jws = verify(exact.view(), set, with);
    if (!jws && (jws.error().fault != Fault::provider || jws.error().text.find('\n') != std::string::npos)) {
        return "(an error of the wrong kind)";
    }
    return jws ? "ok" : jws.error().rule;
}

void expect(const std::string &name, const std::string &found, const std::string &expected) {
    if (found != expected) {
        fail_msg("%s: expected %s, found %s", name.c_str(), expected.c_str(), found.c_str());
    }
}

std::string signed_by(const PrivateKey &key, const char *hash, bool pss, std::string_view header,
                      std::string_view claims = "{}") {
    const std::string input = unsigned_token(header, claims);
    return input + "." + base64url_encode(key.sign(hash, pss, input));
}

std::string rs256(std::string_view header, std::string_view claims = "{}") {
    return signed_by(keys().rsa, "SHA256", false, header, claims);
}

std::string with_hmac(std::string_view key, std::string_view header) {
    const std::string input = unsigned_token(header, "{}");
    return input + "." + base64url_encode(bytes(hmac_sha256(key, input)));
}

KeySet rsa_set() {
    return key_set({jwk(keys().rsa.signer("", "k"), {{"alg", nullptr}})});
}

void vectors_of_the_specifications(void **) {
    const std::string claims =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const struct {
        const char *name, *alg;
        std::string jwk, token;
    } cases[] = {
        {"RFC 7515 A.2", "RS256",
         R"({"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"})",
         "eyJhbGciOiJSUzI1NiJ9." + claims +
             ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb"
             "F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_"
             "eSN9383Lc"
             "OLn6_dO--xi12jzDwusC-"
             "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVm"
             "tVrBp0igcN_IoypGlUPQGe77Rw"},
        {"RFC 7515 A.3", "ES256",
         R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})",
         "eyJhbGciOiJFUzI1NiJ9." + claims +
             ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
        {"RFC 8037 A.4", "EdDSA", R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})",
         "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"
         "09PGcvMg3AIbQR6dWbhijcNR4k"
         "i4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
    };
    for (const auto &c : cases) {
        const auto set = key_set({json(c.jwk)});
        const auto payload = verify_payload(c.token, set, rules({c.alg}));
        if (!payload) {
            fail_msg("%s: %s", c.name, payload.error().text.c_str());
        }
        std::string damaged = c.token;
        damaged[damaged.size() - 10] = damaged[damaged.size() - 10] == 'A' ? 'B' : 'A';
        expect(c.name, verify_payload(damaged, set, rules({c.alg})).error().rule, "jws_signature");
    }
    const std::string key =
        base64url_decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .value_or("");
    const auto jws =
        verify("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + claims + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
               KeySet(), rules({"HS256"}, key));
    if (!jws) {
        fail_msg("RFC 7515 A.1: %s", jws.error().text.c_str());
    }
    expect("iss", jws->claims.string("iss").value_or(""), "joe");
    expect("typ", jws->header.string("typ").value_or(""), "JWT");
}

// Each algorithm verifies its own signatures; one changed bit anywhere, or an algorithm that is not allowed, is
// refused.
void every_algorithm(void **) {
    for (const auto &alg : asymmetric) {
        const auto signer = keys().of(alg).signer(alg, "k");
        const KeySet set = key_set({jwk(signer)});
        const std::string token = *signer.sign(json(R"({"typ":"JWT"})"), json(R"({"sub":"a"})"));
        const auto jws = verify(token, set, rules({"HS256", alg}));
        if (!jws) {
            fail_msg("%s: %s", alg.c_str(), jws.error().text.c_str());
        }
        expect(alg, jws->alg + jws->kid + jws->claims.dump(), alg + "k{\"sub\":\"a\"}");
        expect(alg, jws->crv, signer.public_jwk().string("crv").value_or(""));
        for (const auto &other : asymmetric) {
            expect(alg + " where only " + other + " is allowed", outcome(token, set, rules({other})),
                   other == alg ? "ok" : "jws_alg");
        }
        expect(alg + " with nothing allowed", outcome(token, set, rules({})), "jws_alg");
        for (size_t i = token.rfind('.') + 1; i < token.size(); i += 7) {
            std::string damaged = token;
            damaged[i] = damaged[i] == 'A' ? 'Q' : 'A';
            expect(alg + " damaged at " + std::to_string(i), outcome(damaged, set, rules({alg})), "jws_signature");
        }
        const std::string other_claims = token.substr(0, token.find('.')) + "." + base64url_encode(R"({"sub":"b"})") +
                                         token.substr(token.rfind('.'));
        expect(alg + " with other claims", outcome(other_claims, set, rules({alg})), "jws_signature");
    }
}

void ed448(void **) {
    const auto signer = keys().ed448.signer();
    const KeySet set = key_set({jwk(signer)});
    const auto jws = verify(*signer.sign(Json(), Json::object()), set, rules({"EdDSA"}));
    assert_true(bool(jws));
    expect("curve", jws->crv, "Ed448");
}

void none_is_never_accepted(void **) {
    for (const char *alg : {"none", "None", "NONE", "nOnE", "", " none", "none ", "null", "HS256\\u0000", "rs256",
                            "RS256 ", "RS1", "ES256K", "HS1", "Ed25519", "dir"}) {
        const std::string input = unsigned_token("{\"alg\":\""s + alg + "\"}", "{}");
        const VerifyRules allowed = rules({alg, "none", "RS256", "HS256"}, secret);
        const std::string expected = "HS256\\u0000"s == alg ? "jws_header" : "jws_alg";
        expect(alg, outcome(input + ".", rsa_set(), allowed), expected);
        expect(alg, outcome(input + "." + base64url_encode(bytes(hmac_sha256("", input))), rsa_set(), allowed),
               expected);
        expect(alg, outcome(rs256("{\"alg\":\""s + alg + "\"}"), rsa_set(), allowed), expected);
        assert_false(is_known_signing_alg(alg));
        assert_false(is_asymmetric_signing_alg(alg));
    }
    for (const char *alg : {"RS256", "PS384", "ES512", "EdDSA"}) {
        assert_true(is_known_signing_alg(alg) && is_asymmetric_signing_alg(alg));
    }
    assert_true(is_known_signing_alg("HS384"));
    assert_false(is_asymmetric_signing_alg("HS384"));
}

void form_is_strict(void **) {
    const std::string good = rs256(R"({"alg":"RS256"})");
    const size_t first = good.find('.'), last = good.rfind('.');
    const std::string header = good.substr(0, first), claims = good.substr(first + 1, last - first - 1),
                      signature = good.substr(last + 1);
    const struct {
        const char *name;
        std::string token, rule;
    } cases[] = {
        {"as it should be", good, "ok"},
        {"empty", "", "jws_format"},
        {"dots", "..", "jws_header"},
        {"one part", header, "jws_format"},
        {"two parts", header + "." + claims, "jws_format"},
        {"four parts", good + "." + signature, "jws_format"},
        {"five parts (RFC 7516 3.1)", good + "..", "jws_format"},
        {"empty header", "." + claims + "." + signature, "jws_header"},
        {"empty claims", header + ".." + signature, "jws_signature"},
        {"empty signature", header + "." + claims + ".", "jws_signature"},
        {"short signature", header + "." + claims + "." + signature.substr(0, signature.size() - 2), "jws_signature"},
        {"long signature", header + "." + claims + "." + signature.substr(0, 4) + signature, "jws_signature"},
        {"padded header", header + "==." + claims + "." + signature, "jws_format"},
        {"padded claims", header + "." + claims + "=." + signature, "jws_format"},
        {"padded signature", good + "==", "jws_format"},
        {"blank before", " " + good, "jws_format"},
        {"blank in the header", header + " ." + claims + "." + signature, "jws_format"},
        {"line end behind", good + "\n", "jws_format"},
        {"NUL behind", good + "\0"s, "jws_format"},
        {"unused bits", good.substr(0, good.size() - 1) + "B", "jws_format"},
        {"JSON serialization",
         "{\"payload\":\"" + claims + "\",\"protected\":\"" + header + "\",\"signature\":\"" + signature + "\"}",
         "jws_format"},
    };
    for (const auto &c : cases) {
        expect(c.name, outcome(c.token, rsa_set(), rules({"RS256"})), c.rule);
    }
}

void size_is_bounded(void **) {
    const std::string small = rs256(R"({"alg":"RS256"})", "{\"a\":\"\"}");
    VerifyRules with = rules({"RS256"});
    with.max_size = small.size();
    expect("at the limit", outcome(small, rsa_set(), with), "ok");
    with.max_size = small.size() - 1;
    expect("one byte more", outcome(small, rsa_set(), with), "jws_format");
    const std::string large = rs256(R"({"alg":"RS256"})", "{\"a\":\"" + std::string(32 * 1024, 'x') + "\"}");
    expect("over 32 KB", outcome(large, rsa_set(), rules({"RS256"})), "jws_format");
    expect("unverified", parse_jws(large).error().rule, "jws_format");
}

void header_is_strict(void **) {
    std::string deep = "1";
    for (int i = 0; i < 16; ++i) {
        deep = "[" + deep + "]";
    }
    const struct {
        const char *name;
        std::string header, rule;
    } cases[] = {
        {"typ and unknown members", R"({"alg":"RS256","typ":"JWT","cty":"x","zzz":[1]})", "ok"},
        {"not JSON", "alg=RS256", "jws_header"},
        {"array", R"(["alg","RS256"])", "jws_header"},
        {"no alg", R"({"typ":"JWT"})", "jws_header"},
        {"alg null", R"({"alg":null})", "jws_header"},
        {"alg a list", R"({"alg":["RS256"]})", "jws_header"},
        {"alg twice", R"({"alg":"none","alg":"RS256"})", "jws_header"},
        {"alg twice, escaped", R"({"alg":"RS256","\u0061lg":"none"})", "jws_header"},
        {"kid a number", R"({"alg":"RS256","kid":1})", "jws_header"},
        {"kid null", R"({"alg":"RS256","kid":null})", "jws_header"},
        {"kid with a NUL", R"({"alg":"RS256","kid":"k\u0000x"})", "jws_header"},
        {"crit", R"({"alg":"RS256","crit":["exp"],"exp":1})", "jws_header"},
        {"crit with b64 (RFC 7797)", R"({"alg":"RS256","crit":["b64"],"b64":true})", "jws_header"},
        {"empty crit", R"({"alg":"RS256","crit":[]})", "jws_header"},
        {"crit null", R"({"alg":"RS256","crit":null})", "jws_header"},
        {"too deep", "{\"alg\":\"RS256\",\"x\":" + deep + "}", "jws_header"},
        {"invalid UTF-8", "{\"alg\":\"RS256\",\"x\":\"\xff\"}", "jws_header"},
        {"something behind", R"({"alg":"RS256"}{})", "jws_header"},
    };
    for (const auto &c : cases) {
        expect(c.name, outcome(rs256(c.header), rsa_set(), rules({"RS256"})), c.rule);
    }
}

// What a token says about its own key is not looked at.
void keys_of_the_token_are_ignored(void **) {
    const std::string foreign = jwk(keys().other_rsa.signer("", "k")).dump();
    for (const std::string &member : {"\"jwk\":" + foreign, "\"jku\":\"https://evil.example/keys\""s,
                                      "\"x5u\":\"file:///etc/passwd\""s, "\"x5c\":[\"MIIB\"]"s, "\"x5t\":\"AAAA\""s}) {
        const std::string header = "{\"alg\":\"RS256\"," + member + "}";
        expect(member + " of a stranger",
               outcome(signed_by(keys().other_rsa, "SHA256", false, header), rsa_set(), rules({"RS256"})),
               "jws_signature");
        expect(member, outcome(rs256(header), rsa_set(), rules({"RS256"})), "ok");
        expect(member + " without a key", outcome(rs256(header), KeySet(), rules({"RS256"})), "jws_key");
    }
}

void algorithms_are_not_confused(void **) {
    const VerifyRules all =
        rules({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "HS256"}, secret);
    const PrivateKey &rsa = keys().rsa, &p256 = keys().p256;
    expect("PKCS #1 as it should be", outcome(signed_by(rsa, "SHA256", false, R"({"alg":"RS256"})"), rsa_set(), all),
           "ok");
    expect("PSS as it should be", outcome(signed_by(rsa, "SHA256", true, R"({"alg":"PS256"})"), rsa_set(), all), "ok");
    expect("PKCS #1 said to be PSS", outcome(signed_by(rsa, "SHA256", false, R"({"alg":"PS256"})"), rsa_set(), all),
           "jws_signature");
    expect("PSS said to be PKCS #1", outcome(signed_by(rsa, "SHA256", true, R"({"alg":"RS256"})"), rsa_set(), all),
           "jws_signature");
    expect("another hash", outcome(signed_by(rsa, "SHA512", false, R"({"alg":"RS256"})"), rsa_set(), all),
           "jws_signature");
    const KeySet ec = key_set({jwk(p256.signer(), {{"alg", nullptr}, {"kid", nullptr}})});
    expect("ECDSA in DER", outcome(signed_by(p256, "SHA256", false, R"({"alg":"ES256"})"), ec, all), "jws_signature");
    expect("P-256 for ES384", outcome(signed_by(p256, "SHA384", false, R"({"alg":"ES384"})"), ec, all), "jws_key");
    // The public key is known to everybody: as a secret of HMAC it proves nothing.
    const std::string n = jwk(rsa.signer()).string("n").value_or("");
    for (const std::string &known : {rsa.public_pem(), n, base64url_decode(n).value_or(""), jwk(rsa.signer()).dump()}) {
        const std::string token = with_hmac(known, R"({"alg":"HS256","kid":"k"})");
        expect("HMAC with the public key", outcome(token, rsa_set(), all), "jws_signature");
        expect("HMAC where it is not allowed", outcome(token, rsa_set(), rules({"RS256"}, secret)), "jws_alg");
        expect("HMAC with no secret", outcome(token, rsa_set(), rules({"HS256"})), "jws_alg");
    }
}

void secrets_are_long_enough(void **) {
    const struct {
        const char *alg;
        size_t least;
    } cases[] = {{"HS256", 32}, {"HS384", 48}, {"HS512", 64}};
    for (const auto &c : cases) {
        const std::string key(c.least, 'k');
        const std::string token = *sign_hmac(c.alg, key, json(R"({"a":1})"));
        expect(c.alg, outcome(token, KeySet(), rules({c.alg}, key)), "ok");
        expect(c.alg, outcome(token, KeySet(), rules({c.alg}, std::string(c.least - 1, 'k'))), "jws_alg");
        expect(c.alg, outcome(token, KeySet(), rules({c.alg}, key + "k")), "jws_signature");
        expect(c.alg, outcome(token, KeySet(), rules({"RS256"}, key)), "jws_alg");
        // A part of the MAC, or none of it, is no MAC.
        const size_t behind = token.rfind('.') + 1;
        const std::string mac = base64url_decode(token.substr(behind)).value_or("");
        expect(c.alg,
               outcome(token.substr(0, behind) + base64url_encode(mac.substr(0, c.least / 2)), KeySet(),
                       rules({c.alg}, key)),
               "jws_signature");
        expect(c.alg, outcome(token.substr(0, behind), KeySet(), rules({c.alg}, key)), "jws_signature");
    }
}

void claims_are_strict(void **) {
    for (const std::string &claims : {""s, "[]"s, "\"text\""s, "{\"a\":1,\"a\":2}"s, "{\"a\":\"\xff\"}"s, "{} x"s,
                                      "{\"a\":" + std::string(20, '[') + std::string(20, ']') + "}"}) {
        const std::string token = rs256(R"({"alg":"RS256"})", claims);
        expect(claims, outcome(token, rsa_set(), rules({"RS256"})), "jws_format");
        expect(claims, parse_jws(token).error().rule, "jws_format");
        assert_true(bool(verify_payload(token, rsa_set(), rules({"RS256"}))));
    }
    // The signature comes first: claims that nobody signed are not even parsed.
    expect(
        "unsigned",
        outcome(signed_by(keys().other_rsa, "SHA256", false, R"({"alg":"RS256"})", "[]"), rsa_set(), rules({"RS256"})),
        "jws_signature");
}

void unverified_tokens_are_read(void **) {
    const auto jws = parse_jws(unsigned_token(R"({"alg":"RS256","kid":"x"})", R"({"iss":"me"})") + ".AAAA");
    assert_true(bool(jws));
    expect("all of it", jws->alg + jws->kid + jws->claims.string("iss").value_or(""), "RS256xme");
    expect("five parts", parse_jws("a.b.c.d.e").error().text, "token: expected 3 parts, found 5");
    expect("crit", parse_jws(unsigned_token(R"({"alg":"RS256","crit":["x"]})", "{}") + ".AAAA").error().rule,
           "jws_header");
}

void errors_name_no_content(void **) {
    const std::string token = rs256(R"({"alg":"RS256","kid":"k\nid"})", R"({"sub":"hunter2"})");
    for (const auto &error :
         {verify(token, KeySet(), rules({"RS256"})).error(), verify(token, rsa_set(), rules({"ES256"})).error(),
          verify(token + "=", rsa_set(), rules({"RS256"})).error()}) {
        assert_true(error.text.find("hunter2") == std::string::npos && error.text.find('\n') == std::string::npos);
        assert_true(error.text.find(token.substr(token.size() - 20)) == std::string::npos);
    }
    expect("alg", verify(token, rsa_set(), rules({"ES256", "PS256"})).error().text,
           "token alg: expected one of ES256 PS256, found RS256");
    expect("key", verify(token, KeySet(), rules({"RS256"})).error().text,
           "token key: none of the provider's 0 keys fits alg RS256 and kid \"k\\x0Aid\"");
    assert_true(may_be_stale_keys(provider_error("jws_key", "")) &&
                may_be_stale_keys(provider_error("jws_signature", "")));
    assert_false(may_be_stale_keys(provider_error("jws_alg", "")) ||
                 may_be_stale_keys(provider_error("jws_format", "")) ||
                 may_be_stale_keys(provider_error("jws_header", "")));
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_specifications),
        cmocka_unit_test(every_algorithm),
        cmocka_unit_test(ed448),
        cmocka_unit_test(none_is_never_accepted),
        cmocka_unit_test(form_is_strict),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(header_is_strict),
        cmocka_unit_test(keys_of_the_token_are_ignored),
        cmocka_unit_test(algorithms_are_not_confused),
        cmocka_unit_test(secrets_are_long_enough),
        cmocka_unit_test(claims_are_strict),
        cmocka_unit_test(unverified_tokens_are_read),
        cmocka_unit_test(errors_name_no_content),
    };
    return cmocka_run_group_tests_name("jose", tests, nullptr, nullptr);
}
