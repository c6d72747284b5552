// Keys of a provider: what a JWK set holds and which of it may verify a token.
#include <openssl/core_names.h>
#include <openssl/rsa.h>

extern "C" {
#include <jose/openssl.h>
}

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "jose.hpp"
#include "jose_alg.hpp"
#include "text.hpp"

namespace oidc {

namespace jose {

namespace {

constexpr Alg algs[] = {
    {"RS256", "RSA", "", "SHA256", 32, 0},      {"RS384", "RSA", "", "SHA384", 48, 0},
    {"RS512", "RSA", "", "SHA512", 64, 0},      {"PS256", "RSA", "", "SHA256", 32, 0},
    {"PS384", "RSA", "", "SHA384", 48, 0},      {"PS512", "RSA", "", "SHA512", 64, 0},
    {"ES256", "EC", "P-256", "SHA256", 32, 32}, {"ES384", "EC", "P-384", "SHA384", 48, 48},
    {"ES512", "EC", "P-521", "SHA512", 64, 66}, {"EdDSA", "OKP", "", nullptr, 0, 0},
    {"HS256", "oct", "", "SHA256", 32, 0},      {"HS384", "oct", "", "SHA384", 48, 0},
    {"HS512", "oct", "", "SHA512", 64, 0},
};

}  // namespace

const Alg *find_alg(std::string_view name) {
    const auto found =
        std::find_if(std::begin(algs), std::end(algs), [name](const Alg &alg) { return alg.name == name; });
    return found == std::end(algs) ? nullptr : found;
}

bool fits(const Alg &alg, std::string_view kty, std::string_view crv) {
    if (alg.kty != kty) {
        return false;
    }
    return kty == "OKP" ? crv == "Ed25519" || crv == "Ed448" : alg.crv == crv;
}

bool use_pss(EVP_PKEY_CTX *context) {
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0;
}

std::string hmac(const Alg &alg, std::string_view secret, std::string_view data) {
    std::string out(alg.hash_size, '\0');
    size_t size = 0;
    if (EVP_Q_mac(nullptr, OSSL_MAC_NAME_HMAC, nullptr, alg.hash, nullptr, secret.data(), secret.size(), octets(data),
                  data.size(), reinterpret_cast<unsigned char *>(out.data()), out.size(), &size) == nullptr) {
        return {};
    }
    return out;
}

}  // namespace jose

namespace {

constexpr size_t max_candidates = 8;

unsigned modulo(std::string_view number, unsigned divisor) {
    unsigned rest = 0;
    for (const unsigned char c : number) {
        rest = (rest << 8 | c) % divisor;
    }
    return rest;
}

bool is_power_of_65537(unsigned value, unsigned prime) {
    unsigned power = 1;
    do {
        if (power == value) {
            return true;
        }
        power = power * (65537 % prime) % prime;
    } while (power != 1);
    return false;
}

// CVE-2017-15361 (ROCA): such a modulus is a power of 65537 modulo every small prime, and can be factored.
// Any other modulus passes this by a chance of less than one in 2^27.
bool is_roca(std::string_view modulus) {
    constexpr std::array<unsigned char, 38> primes = {3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,
                                                      47,  53,  59,  61,  67,  71,  73,  79,  83,  89,  97,  101, 103,
                                                      107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};
    return std::all_of(primes.begin(), primes.end(),
                       [modulus](unsigned prime) { return is_power_of_65537(modulo(modulus, prime), prime); });
}

// A Base64urlUInt without the leading zeros that some libraries put there (RFC 7518 6.3.1.1).
std::string unsigned_number(const Json &jwk, const char *name) {
    std::string number = base64url_decode(jwk.string(name).value_or("")).value_or("");
    number.erase(0, number.find_first_not_of('\0'));
    return number;
}

size_t bit_length(std::string_view number) {
    size_t bits = number.size() * 8;
    for (unsigned mask = 0x80; !number.empty() && (octets(number)[0] & mask) == 0; mask >>= 1) {
        --bits;
    }
    return bits;
}

bool is_odd(std::string_view number) {
    return !number.empty() && (number.back() & 1) != 0;
}

bool is_usable_rsa(const Json &jwk) {
    const std::string n = unsigned_number(jwk, "n"), e = unsigned_number(jwk, "e");
    const size_t bits = bit_length(n);
    // RFC 7518 3.3. The bounds above keep a hostile key from costing more than a few milliseconds.
    if (bits < jose::min_rsa_bits || bits > jose::max_rsa_bits || !is_odd(n)) {
        return false;
    }
    const bool exponent = is_odd(e) && e.size() <= 4 && e != "\x01";
    return exponent && !is_roca(n);
}

bool has_octets(const Json &jwk, const char *name, size_t size) {
    const auto value = base64url_decode(jwk.string(name).value_or(""));
    return value && value->size() == size;
}

// RFC 7518 6.2.1.2: coordinates in full length. Whether the point lies on its curve is found out when it is used.
bool is_usable_ec(const Json &jwk, std::string_view crv) {
    const size_t size = crv == "P-256" ? 32 : crv == "P-384" ? 48 : crv == "P-521" ? 66 : 0;
    return size > 0 && has_octets(jwk, "x", size) && has_octets(jwk, "y", size);
}

bool is_usable_okp(const Json &jwk, std::string_view crv) {
    return (crv == "Ed25519" && has_octets(jwk, "x", 32)) || (crv == "Ed448" && has_octets(jwk, "x", 57));
}

bool has_usable_material(const Json &jwk, const Jwk &key) {
    if (key.kty == "RSA") {
        return is_usable_rsa(jwk);
    }
    if (key.kty == "EC") {
        return is_usable_ec(jwk, key.crv);
    }
    return key.kty == "OKP" && is_usable_okp(jwk, key.crv);
}

// A member that is there but is no string makes the key unreadable.
bool read_string(const Json &jwk, const char *name, std::string &out) {
    const auto value = jwk.string(name);
    out = value.value_or("");
    return value || !jwk.has(name);
}

// RFC 7517 4.2 to 4.4.
bool is_for_verifying(const Json &jwk, Jwk &key) {
    const auto operations = jwk.list("key_ops");
    if (!operations || (jwk.has("key_ops") && !contains(*operations, "verify"))) {
        return false;
    }
    key.key_ops = *operations;
    return (key.use == "sig" || !jwk.has("use")) && (is_asymmetric_signing_alg(key.alg) || !jwk.has("alg"));
}

// The public members alone: what else a JWK brings along (certificates, a private key) is never looked at. libjose has
// no keys of RFC 8037.
EVP_PKEY *public_key(const Json &jwk, const Jwk &key) {
    const jose::CleanErrors clean;
    if (key.kty == "OKP") {
        const std::string x = base64url_decode(jwk.string("x").value_or("")).value_or("");
        const int type = key.crv == "Ed448" ? EVP_PKEY_ED448 : EVP_PKEY_ED25519;
        return EVP_PKEY_new_raw_public_key(type, nullptr, octets(x), x.size());
    }
    Json members;
    for (const char *name : {"kty", "crv", "n", "e", "x", "y"}) {
        if (jwk.has(name)) {
            members.set(name, jwk.member(name));
        }
    }
    return jose_openssl_jwk_to_EVP_PKEY(nullptr, members.get());
}

std::optional<Jwk> read_key(const Json &jwk) {
    Jwk key;
    const bool readable = read_string(jwk, "kid", key.kid) && read_string(jwk, "kty", key.kty) &&
                          read_string(jwk, "crv", key.crv) && read_string(jwk, "use", key.use) &&
                          read_string(jwk, "alg", key.alg);
    if (key.kty == "RSA") {
        key.crv.clear();  // no member of such keys: whatever it says is not understood
    }
    if (!readable || !is_for_verifying(jwk, key) || !has_usable_material(jwk, key)) {
        return std::nullopt;
    }
    key.key.reset(public_key(jwk, key), EVP_PKEY_free);
    return key;
}

}  // namespace

bool is_known_signing_alg(std::string_view alg) {
    return jose::find_alg(alg) != nullptr;
}

bool is_asymmetric_signing_alg(std::string_view alg) {
    const jose::Alg *known = jose::find_alg(alg);
    return known != nullptr && known->kty != "oct";
}

Result<KeySet> KeySet::parse(std::string_view document) {
    const auto set = parse_object(document, "JWK set");
    if (!set) {
        return provider_error("jwks", set.error().text);
    }
    const Json keys = set->member("keys");
    if (!json_is_array(keys.get())) {
        return provider_error("jwks", "JWK set: expected an array named keys, found none");
    }
    KeySet out;
    const Digest digest = sha256(document);
    std::memcpy(&out.fingerprint_, digest.data(), sizeof out.fingerprint_);
    for (size_t i = 0; i < json_array_size(keys.get()); ++i) {
        // RFC 7517 5: what is not understood is ignored.
        if (auto key = read_key(Json::sharing(json_array_get(keys.get(), i)))) {
            out.keys_.push_back(std::move(*key));
        }
    }
    return out;
}

std::vector<const Jwk *> KeySet::candidates(std::string_view kid, std::string_view alg) const {
    std::vector<const Jwk *> out;
    const jose::Alg *known = jose::find_alg(alg);
    if (known == nullptr) {
        return out;
    }
    // A key without a kid may be the one that the token names; a key with another kid never is.
    const std::string_view wanted = has_kid(kid) ? kid : std::string_view();
    for (const Jwk &key : keys_) {
        const bool named = kid.empty() || key.kid == wanted;
        const bool fitting = jose::fits(*known, key.kty, key.crv) && (key.alg.empty() || key.alg == alg);
        if (named && fitting && out.size() < max_candidates) {
            out.push_back(&key);
        }
    }
    return out;
}

bool KeySet::has_kid(std::string_view kid) const {
    return std::any_of(keys_.begin(), keys_.end(), [kid](const Jwk &key) { return key.kid == kid; });
}

}  // namespace oidc
