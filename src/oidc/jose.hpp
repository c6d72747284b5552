// JOSE: keys from a JWK set, verification of a compact JWS, signatures of our own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "json.hpp"
#include "result.hpp"

struct evp_pkey_st;

namespace oidc {

// What `verify` may accept at all. HMAC is for those who configured it; "none" is nowhere.
bool is_known_signing_alg(std::string_view alg);  // RS/PS/ES 256-512, EdDSA, HS256-512
bool is_asymmetric_signing_alg(std::string_view alg);

struct Jwk {
    std::string kid, kty, crv, use, alg;
    std::vector<std::string> key_ops;
    std::shared_ptr<evp_pkey_st> key;  // OpenSSL's; null for a point that is not on its curve: it verifies nothing
};

// Keys of a provider that can verify signatures. Immutable; shared by those who verify.
class KeySet {
public:
    // RFC 7517. Keys that cannot be used (use=enc, unknown kty or crv, RSA under 2,048 or over 16,384 bits or of the
    // broken ROCA kind, an exponent that is even, 1 or over 32 bits, symmetric ones) are left out; a document that is
    // no JWK set is an error ("jwks"), a set without a usable key is not.
    static Result<KeySet> parse(std::string_view document);
    // Keys that may verify this header: by kid (where no key bears it, those that bear none), without kid every fitting
    // one; at most 8.
    std::vector<const Jwk *> candidates(std::string_view kid, std::string_view alg) const;
    bool has_kid(std::string_view kid) const;
    size_t size() const { return keys_.size(); }
    // Another one for another document: what was verified with these keys is known by it.
    uint64_t fingerprint() const { return fingerprint_; }

private:
    std::vector<Jwk> keys_;
    uint64_t fingerprint_ = 0;
};

struct VerifyRules {
    std::vector<std::string> algs;  // the allow-list; the token's header never chooses
    std::string_view secret;        // for HS*: the client secret
    size_t max_size = size_t{32} * 1024;
};

struct Jws {
    Json header;
    Json claims;
    std::string alg, kid;
    std::string crv;  // curve of the key that verified, for half_hash; empty for RSA, HMAC and before verification
};

// Parses without verifying anything: three strict base64url parts, JSON objects without duplicates, depth at most 16,
// `crit` refused. For the choice of a provider by `iss` only.
Result<Jws> parse_jws(std::string_view token, size_t max_size = size_t{32} * 1024);

// RFC 7515 5.2. Errors: rule "jws_key" when no key fits (a reason to fetch the keys again), "jws_signature" when none
// verifies (likewise), "jws_alg", "jws_format", "jws_header" otherwise. The fault is the provider's.
Result<Jws> verify(std::string_view token, const KeySet &keys, const VerifyRules &rules);
bool may_be_stale_keys(const Error &error);  // "jws_key" or "jws_signature"

// The same for a payload of any kind: what was signed, as bytes.
struct SignedPayload {
    Json header;
    std::string alg, kid, crv, payload;
};
Result<SignedPayload> verify_payload(std::string_view token, const KeySet &keys, const VerifyRules &rules);

// The left half of the hash that `alg` names, in base64url: at_hash and c_hash (C 3.1.3.6). Empty for an unknown alg.
// EdDSA names none: SHA-512 as Ed25519 has it, SHAKE256 (114 bytes) when `crv` is Ed448.
std::string half_hash(std::string_view alg, std::string_view text, std::string_view crv = {});

// A key of our own, for private_key_jwt and request objects. Public part as JWK, alg that fits it.
class SigningKey {
public:
    // PEM text of an RSA, EC or Ed25519 private key; alg may be empty (chosen by type), and kid: then none is
    // sent, for only the provider knows under which one it keeps the key.
    static Result<SigningKey> from_pem(std::string_view pem, std::string_view alg, std::string_view kid);
    Result<std::string> sign(const Json &header, const Json &claims) const;  // compact JWS; sets alg, kid
    const std::string &alg() const { return alg_; }
    const std::string &kid() const { return kid_; }
    Json public_jwk() const;  // for the provider's registration

private:
    Result<bool> choose_alg(std::string_view wanted);
    std::shared_ptr<void> key_;  // EVP_PKEY
    std::string alg_, kid_;
};
// HS256/384/512 with a secret.
Result<std::string> sign_hmac(std::string_view alg, std::string_view secret, const Json &claims);

}  // namespace oidc
