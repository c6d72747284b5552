// Keys: which of a JWK set are taken (RFC 7517, RFC 7518 6), which may verify a token, and keys of our own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

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

void expect(const std::string &name, const std::string &found, const std::string &expected) {
    if (found != expected) {
        fail_msg("%s: expected %s, found %s", name.c_str(), expected.c_str(), found.c_str());
    }
}

const SigningKey &rsa() {
    static const SigningKey key = PrivateKey::rsa().signer("", "r");
    return key;
}
const SigningKey &ec() {
    static const SigningKey key = PrivateKey::ec("P-256").signer("", "e");
    return key;
}

void documents(void **) {
    const struct {
        const char *name;
        std::string text;
        int size;  // -1: an error
    } cases[] = {
        {"no key", R"({"keys":[]})", 0},
        {"other members", R"({"keys":[],"x":{}})", 0},
        {"what are no keys", R"({"keys":[null,1,"x",[],{},{"kty":1}]})", 0},
        {"one good key among others", "{\"keys\":[{\"kty\":\"new\"}," + jwk(ec()).dump() + ",null]}", 1},
        {"empty", "", -1},
        {"no JSON", "<html>", -1},
        {"array", "[]", -1},
        {"no keys", "{}", -1},
        {"keys null", R"({"keys":null})", -1},
        {"keys an object", R"({"keys":{}})", -1},
        {"keys twice", R"({"keys":[],"keys":[]})", -1},
        {"member of a key twice", R"({"keys":[{"kty":"RSA","kty":"RSA"}]})", -1},
        {"a key alone", jwk(ec()).dump(), -1},
    };
    for (const auto &c : cases) {
        const Exact text(c.text);
        const auto set = KeySet::parse(text.view());
        expect(c.name, std::to_string(set ? static_cast<int>(set->size()) : -1), std::to_string(c.size));
        expect(c.name, set ? "jwks" : set.error().rule, "jwks");
    }
}

// RFC 7517 4 and what makes a key no key for verifying.
void members_of_keys(void **) {
    const struct {
        const char *name;
        std::pair<const char *, const char *> change;
        bool usable;
    } cases[] = {
        {"as it is", {"x", nullptr}, true},
        {"no use", {"use", nullptr}, true},
        {"use sig", {"use", "\"sig\""}, true},
        {"use enc", {"use", "\"enc\""}, false},
        {"use of another kind", {"use", "\"SIG\""}, false},
        {"use empty", {"use", "\"\""}, false},
        {"use a list", {"use", "[\"sig\"]"}, false},
        {"key_ops verify", {"key_ops", "[\"sign\",\"verify\"]"}, true},
        {"key_ops encrypt", {"key_ops", "[\"encrypt\"]"}, false},
        {"key_ops sign", {"key_ops", "[\"sign\"]"}, false},
        {"key_ops empty", {"key_ops", "[]"}, false},
        {"key_ops a number", {"key_ops", "1"}, false},
        {"key_ops two words in one", {"key_ops", "\"sign verify\""}, false},
        {"no alg", {"alg", nullptr}, true},
        {"alg PS512", {"alg", "\"PS512\""}, true},
        {"alg for encryption", {"alg", "\"RSA-OAEP\""}, false},
        {"alg HS256", {"alg", "\"HS256\""}, false},
        {"alg none", {"alg", "\"none\""}, false},
        {"alg a number", {"alg", "256"}, false},
        {"no kid", {"kid", nullptr}, true},
        {"kid a number", {"kid", "7"}, false},
        {"kid with a NUL", {"kid", "\"a\\u0000b\""}, false},
        {"kty in small letters", {"kty", "\"rsa\""}, false},
        {"no kty", {"kty", nullptr}, false},
        {"no n", {"n", nullptr}, false},
        {"n empty", {"n", "\"\""}, false},
        {"n not base64url", {"n", "\"A+/=\""}, false},
        {"n zero", {"n", "\"AAAA\""}, false},
        {"no e", {"e", nullptr}, false},
        {"e 3", {"e", "\"Aw\""}, true},
        {"e 1 (signs everything)", {"e", "\"AQ\""}, false},
        {"e 1 with zeros before", {"e", "\"AAAB\""}, false},
        {"e 0", {"e", "\"AA\""}, false},
        {"e even", {"e", "\"AQAA\""}, false},
        {"e 2^32 - 1", {"e", "\"_____w\""}, true},
        {"e 2^32 + 1", {"e", "\"AQAAAAE\""}, false},
        {"unknown member", {"zzz", "{}"}, true},
        {"certificate", {"x5c", "[\"not looked at\"]"}, true},
    };
    for (const auto &c : cases) {
        const KeySet set = key_set({jwk(rsa(), {c.change})});
        expect(c.name, set.size() == 1 ? "usable" : "left out", c.usable ? "usable" : "left out");
    }
}

void rsa_sizes(void **) {
    const auto size_of = [](size_t octets, char first, char last) {
        std::string n(octets, '\x5a');
        n.front() = first;
        n.back() = last;
        return key_set({jwk(rsa(), {{"n", ("\"" + base64url_encode(n) + "\"").c_str()}})}).size();
    };
    assert_int_equal(size_of(256, '\x80', 1), 1);
    assert_int_equal(size_of(256, '\x7f', 1), 0);  // 2,047 bits
    assert_int_equal(size_of(128, '\xff', 1), 0);
    assert_int_equal(size_of(2048, '\xff', 1), 1);
    assert_int_equal(size_of(2049, '\x01', 1), 0);  // 16,385 bits
    assert_int_equal(size_of(256, '\x80', 2), 0);   // even: two primes cannot be
    const std::string zero = '\0' + base64url_decode(jwk(rsa()).string("n").value_or("")).value_or("");
    assert_int_equal(key_set({jwk(rsa(), {{"n", ("\"" + base64url_encode(zero) + "\"").c_str()}})}).size(), 1);
}

// CVE-2017-15361: such a modulus is a power of 65537 modulo every small prime, as 65537^130 (2,081 bits) is.
void roca_keys_are_left_out(void **) {
    const std::unique_ptr<BIGNUM, decltype(&BN_free)> power(BN_new(), BN_free), base(BN_new(), BN_free),
        exponent(BN_new(), BN_free);
    const std::unique_ptr<BN_CTX, decltype(&BN_CTX_free)> context(BN_CTX_new(), BN_CTX_free);
    BN_set_word(base.get(), 65537);
    BN_set_word(exponent.get(), 130);
    BN_exp(power.get(), base.get(), exponent.get(), context.get());
    const auto with_modulus = [](const BIGNUM *number) {
        std::string octets(static_cast<size_t>(BN_num_bytes(number)), '\0');
        BN_bn2bin(number, reinterpret_cast<unsigned char *>(&octets[0]));
        return key_set({jwk(rsa(), {{"n", ("\"" + base64url_encode(octets) + "\"").c_str()}})}).size();
    };
    assert_true(BN_num_bits(power.get()) >= 2048);
    assert_int_equal(with_modulus(power.get()), 0);
    BN_add_word(power.get(), 2);
    assert_int_equal(with_modulus(power.get()), 1);
}

void curves(void **) {
    const auto ec_key = [](const char *crv, size_t x, size_t y) {
        return "{\"keys\":[{\"kty\":\"EC\",\"crv\":\""s + crv + "\",\"x\":\"" + base64url_encode(std::string(x, 'x')) +
               "\",\"y\":\"" + base64url_encode(std::string(y, 'y')) + "\"}]}";
    };
    const auto okp = [](const char *crv, size_t x) {
        return "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\""s + crv + "\",\"x\":\"" + base64url_encode(std::string(x, 'x')) +
               "\"}]}";
    };
    const struct {
        const char *name;
        std::string text;
        size_t size;
    } cases[] = {
        {"P-256", ec_key("P-256", 32, 32), 1},
        {"P-384", ec_key("P-384", 48, 48), 1},
        {"P-521", ec_key("P-521", 66, 66), 1},
        {"x short", ec_key("P-256", 31, 32), 0},
        {"y long", ec_key("P-256", 32, 33), 0},
        {"no y", ec_key("P-256", 32, 0), 0},
        {"secp256k1", ec_key("secp256k1", 32, 32), 0},
        {"no curve", ec_key("", 32, 32), 0},
        {"another's size", ec_key("P-384", 32, 32), 0},
        {"Ed25519", okp("Ed25519", 32), 1},
        {"Ed448", okp("Ed448", 57), 1},
        {"Ed25519 short", okp("Ed25519", 31), 0},
        {"Ed448 short", okp("Ed448", 32), 0},
        {"X25519", okp("X25519", 32), 0},
        {"symmetric", R"({"keys":[{"kty":"oct","k":"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M","alg":"HS256"}]})", 0},
    };
    for (const auto &c : cases) {
        expect(c.name, std::to_string(KeySet::parse(c.text)->size()), std::to_string(c.size));
    }
    // Not on the curve: kept, but verifies nothing.
    VerifyRules rules;
    rules.algs = {"ES256", "EdDSA"};
    const std::string token =
        unsigned_token(R"({"alg":"ES256"})", "{}") + "." + base64url_encode(std::string(64, '\x01'));
    expect("no point", verify(token, *KeySet::parse(ec_key("P-256", 32, 32)), rules).error().rule, "jws_signature");
}

std::string kids(const std::vector<const Jwk *> &keys) {
    std::string out;
    for (const Jwk *key : keys) {
        out += "[" + key->kid + " " + key->kty + key->crv + "]";
    }
    return out;
}

void candidates(void **) {
    const KeySet set =
        key_set({jwk(rsa(), {{"kid", "\"a\""}, {"alg", nullptr}}), jwk(rsa(), {{"kid", "\"b\""}, {"alg", "\"PS256\""}}),
                 jwk(ec(), {{"kid", "\"a\""}}), jwk(ec(), {{"kid", nullptr}})});
    const struct {
        const char *kid, *alg, *expected;
    } cases[] = {
        {"a", "RS256", "[a RSA]"},
        {"a", "ES256", "[a ECP-256]"},
        {"b", "PS256", "[b RSA]"},
        {"b", "RS256", ""},  // its own alg is another
        {"", "RS256", "[a RSA]"},
        {"", "PS256", "[a RSA][b RSA]"},
        {"", "ES256", "[a ECP-256][ ECP-256]"},
        {"unknown", "RS256", ""},
        {"unknown", "ES256", "[ ECP-256]"},  // may be the one without a name
        {"A", "RS256", ""},
        {"a", "ES384", ""},
        {"a", "EdDSA", ""},
        {"a", "HS256", ""},
        {"a", "none", ""},
        {"a", "", ""},
    };
    for (const auto &c : cases) {
        expect(c.kid + " "s + c.alg, kids(set.candidates(c.kid, c.alg)), c.expected);
    }
    assert_true(set.has_kid("a") && set.has_kid("b"));
    assert_false(set.has_kid("unknown") || KeySet().has_kid(""));
}

void at_most_8_candidates(void **) {
    const PrivateKey last = PrivateKey::ec("P-256");
    const SigningKey signer = last.signer();
    VerifyRules rules;
    rules.algs = {"ES256"};
    const std::string token = *signer.sign(Json(), Json::object());
    const auto verified_behind = [&](int others) {
        std::string text = "{\"keys\":[";
        for (int i = 0; i < others; ++i) {
            text += jwk(ec(), {{"kid", nullptr}}).dump() + ",";
        }
        return bool(verify(token, *KeySet::parse(text + jwk(signer, {{"kid", nullptr}}).dump() + "]}"), rules));
    };
    assert_true(verified_behind(7));
    assert_false(verified_behind(8));
}

void private_members_are_dropped(void **) {
    const char *d = R"("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE")";
    const KeySet set = key_set({jwk(ec(), {{"d", d}, {"x5c", "[\"x\"]"}})});
    const auto kept = set.candidates("e", "ES256").at(0)->key;
    assert_non_null(kept.get());
    assert_true(i2d_PrivateKey(kept.get(), nullptr) <= 0);
}

void half_hashes(void **) {
    const struct {
        const char *name, *alg, *text, *crv, *expected;
    } cases[] = {
        // C A.3 and A.4.
        {"at_hash", "RS256", "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "", "77QmUPtjPfzWtF2AnpK9RQ"},
        {"c_hash", "RS256", "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk", "", "LDktKdoQak3Pk0cnXxCltA"},
        {"SHA-384", "ES384", "abc", "", "ywB1P0WjXou1oD1pmsZQBycsMqsO3tFj"},
        {"SHA-512", "PS512", "abc", "", "3a81oZNherrMQXNJriBBMRLm-k6JqX6iCp7u5ktV05o"},
        {"Ed25519", "EdDSA", "abc", "Ed25519", "3a81oZNherrMQXNJriBBMRLm-k6JqX6iCp7u5ktV05o"},
        // SHAKE256 with 114 bytes, as RFC 8032 5.2 makes it.
        {"Ed448", "EdDSA", "", "Ed448", "RrndKwuojRMjOz_rdD7rJD_NUupiuBuCtQwnZG7Vdi_XXcTd2MDyAMsFAZ1ntZL2_IIcSUeatIZA"},
        {"unknown", "none", "abc", "", ""},
    };
    for (const auto &c : cases) {
        expect(c.name, half_hash(c.alg, c.text, c.crv), c.expected);
    }
}

void keys_of_our_own(void **) {
    const PrivateKey big = PrivateKey::rsa(2048);
    const struct {
        const char *name;
        PrivateKey key;
        const char *wanted, *expected;  // "": an error
    } cases[] = {
        {"RSA", big, "", "RS256"},
        {"RSA for PS384", big, "PS384", "PS384"},
        {"RSA for ES256", big, "ES256", ""},
        {"RSA for HS256", big, "HS256", ""},
        {"RSA for none", big, "none", ""},
        {"RSA of 1,024 bits", PrivateKey::rsa(1024), "", ""},
        {"P-256", PrivateKey::ec("P-256"), "", "ES256"},
        {"P-384", PrivateKey::ec("P-384"), "", "ES384"},
        {"P-521", PrivateKey::ec("P-521"), "ES512", "ES512"},
        {"P-256 for ES384", PrivateKey::ec("P-256"), "ES384", ""},
        {"secp256k1", PrivateKey::ec("secp256k1"), "", ""},
        {"Ed25519", PrivateKey::other("ED25519"), "", "EdDSA"},
        {"Ed448", PrivateKey::other("ED448"), "EdDSA", "EdDSA"},
        {"X25519", PrivateKey::other("X25519"), "", ""},
    };
    for (const auto &c : cases) {
        const auto key = SigningKey::from_pem(c.key.pem(), c.wanted, "");
        expect(c.name, key ? key->alg() : "", c.expected);
        if (!key) {
            expect(c.name, key.error().rule, "client_key");
            assert_true(key.error().fault == Fault::us);
        }
    }
    // An encrypted key must be an error at once, not a question at the terminal.
    for (const std::string &pem : {""s, "x"s, big.public_pem(), big.pem("pass"), big.pem().substr(0, 200)}) {
        expect("no private key", SigningKey::from_pem(pem, "", "").error().text,
               "client key: expected an unencrypted private key in PEM form, found none");
    }
    expect("no key at all", SigningKey().sign(Json(), Json()).error().rule, "client_key");
}

void key_ids(void **) {
    expect("chosen", ec().kid(), "e");
    const SigningKey nameless = PrivateKey::ec("P-256").signer();
    expect("none", nameless.kid(), "");
    expect("none in the header", parse_jws(*nameless.sign(Json(), Json::object()))->header.dump(),
           R"({"alg":"ES256"})");
    assert_false(nameless.public_jwk().has("kid"));
}

void headers_of_our_own(void **) {
    const Json header = json(R"({"typ":"JWT","alg":"none","kid":"x"})");
    const auto jws = parse_jws(*ec().sign(header, json(R"({"a":1})")));
    assert_true(bool(jws));
    expect("header", jws->header.dump(), R"({"typ":"JWT","alg":"ES256","kid":"e"})");
    expect("claims", jws->claims.dump(), R"({"a":1})");
    expect("the caller's header", header.dump(), R"({"typ":"JWT","alg":"none","kid":"x"})");
    expect("no header", parse_jws(*ec().sign(Json(), Json::object()))->header.dump(), R"({"alg":"ES256","kid":"e"})");
}

void secrets_sign(void **) {
    const std::string token = *sign_hmac("HS384", std::string(48, 's'), json(R"({"a":1})"));
    expect("header", parse_jws(token)->header.dump(), R"({"alg":"HS384","typ":"JWT"})");
    for (const auto &[alg, size] : {std::pair<const char *, size_t>{"HS256", 31},
                                    {"HS384", 47},
                                    {"HS512", 63},
                                    {"RS256", 64},
                                    {"none", 64},
                                    {"HS256", 0}}) {
        const auto refused = sign_hmac(alg, std::string(size, 's'), Json::object());
        assert_false(bool(refused));
        expect(alg, refused.error().rule, "client_secret");
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(documents),
        cmocka_unit_test(members_of_keys),
        cmocka_unit_test(rsa_sizes),
        cmocka_unit_test(roca_keys_are_left_out),
        cmocka_unit_test(curves),
        cmocka_unit_test(candidates),
        cmocka_unit_test(at_most_8_candidates),
        cmocka_unit_test(private_members_are_dropped),
        cmocka_unit_test(half_hashes),
        cmocka_unit_test(keys_of_our_own),
        cmocka_unit_test(key_ids),
        cmocka_unit_test(headers_of_our_own),
        cmocka_unit_test(secrets_sign),
    };
    return cmocka_run_group_tests_name("jose keys", tests, nullptr, nullptr);
}
