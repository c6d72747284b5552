// Signatures of our own, and the hashes that tokens carry of other values.
#include <openssl/core_names.h>
#include <openssl/pem.h>

#include <array>

#include "jose.hpp"
#include "jose_alg.hpp"
#include "text.hpp"

namespace oidc {

using jose::Alg;
using jose::EcdsaSignature;
using jose::Number;

namespace {

using Bio = std::unique_ptr<BIO, jose::Free<BIO_free_all>>;

Error key_error(const std::string &text) {
    return our_error("client_key", "client key: " + text);
}

EVP_PKEY *pkey(const std::shared_ptr<void> &key) {
    return static_cast<EVP_PKEY *>(key.get());
}

// Without this OpenSSL would ask for the pass phrase at the terminal.
int no_pass_phrase(char *, int, int, void *) {
    return -1;
}

// A number of the key in base64url, `size` bytes long or (0) as short as it can be.
std::string number_of(const EVP_PKEY *key, const char *name, size_t size = 0) {
    BIGNUM *raw = nullptr;
    EVP_PKEY_get_bn_param(key, name, &raw);
    const Number number(raw);
    if (!number) {
        return {};
    }
    std::string out(size > 0 ? size : static_cast<size_t>(BN_num_bytes(number.get())), '\0');
    BN_bn2binpad(number.get(), reinterpret_cast<unsigned char *>(out.data()), static_cast<int>(out.size()));
    return base64url_encode(out);
}

std::string raw_public_key(const EVP_PKEY *key) {
    std::array<unsigned char, 64> out;
    size_t size = out.size();
    return EVP_PKEY_get_raw_public_key(key, out.data(), &size) == 1 ? base64url_encode(bytes(out.data(), size)) : "";
}

// JWK's name of the curve, with the size of a coordinate; empty for curves that no algorithm uses.
struct Curve {
    const char *name;
    size_t size;
};
Curve curve_of(const EVP_PKEY *key) {
    char group[32] = "";
    EVP_PKEY_get_group_name(key, group, sizeof(group), nullptr);
    const std::string_view name = group;
    if (name == "prime256v1") {
        return {"P-256", 32};
    }
    if (name == "secp384r1") {
        return {"P-384", 48};
    }
    return name == "secp521r1" ? Curve{"P-521", 66} : Curve{"", 0};
}

// RFC 7518 6: what a public key of this type has to say. An empty object for other types.
Json required_members(const EVP_PKEY *key) {
    Json out = Json::object();
    switch (EVP_PKEY_get_base_id(key)) {
        case EVP_PKEY_RSA:
            out.set("e", number_of(key, OSSL_PKEY_PARAM_RSA_E));
            out.set("kty", "RSA");
            out.set("n", number_of(key, OSSL_PKEY_PARAM_RSA_N));
            break;
        case EVP_PKEY_EC: {
            const Curve curve = curve_of(key);
            out.set("crv", curve.name);
            out.set("kty", "EC");
            out.set("x", number_of(key, OSSL_PKEY_PARAM_EC_PUB_X, curve.size));
            out.set("y", number_of(key, OSSL_PKEY_PARAM_EC_PUB_Y, curve.size));
            break;
        }
        case EVP_PKEY_ED25519:
        case EVP_PKEY_ED448:
            out.set("crv", EVP_PKEY_get_base_id(key) == EVP_PKEY_ED448 ? "Ed448" : "Ed25519");
            out.set("kty", "OKP");
            out.set("x", raw_public_key(key));
            break;
        default:
            break;
    }
    return out;
}

// The alg for a key nobody named one for.
std::string default_alg(std::string_view kty, std::string_view crv) {
    for (const char *name : {"RS256", "ES256", "ES384", "ES512", "EdDSA"}) {
        if (jose::fits(*jose::find_alg(name), kty, crv)) {
            return name;
        }
    }
    return {};
}

// RFC 7518 3.4: R and S side by side, where OpenSSL makes a DER sequence.
std::string plain_ecdsa(const std::string &der, size_t coordinate_size) {
    const unsigned char *in = octets(der);
    const EcdsaSignature signature(d2i_ECDSA_SIG(nullptr, &in, static_cast<long>(der.size())));
    if (!signature) {
        return {};
    }
    std::string out(2 * coordinate_size, '\0');
    auto *const to = reinterpret_cast<unsigned char *>(out.data());
    const int size = static_cast<int>(coordinate_size);
    BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), to, size);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), to + size, size);
    return out;
}

// Empty when OpenSSL fails.
std::string signature_of(EVP_PKEY *key, const Alg &alg, std::string_view input) {
    const jose::MdContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX *key_context = nullptr;
    if (!context || EVP_DigestSignInit_ex(context.get(), &key_context, alg.hash, nullptr, nullptr, key, nullptr) != 1 ||
        (jose::is_pss(alg) && !jose::use_pss(key_context))) {
        return {};
    }
    size_t size = static_cast<size_t>(EVP_PKEY_get_size(key));
    std::string out(size, '\0');
    auto *const to = reinterpret_cast<unsigned char *>(out.data());
    if (EVP_DigestSign(context.get(), to, &size, octets(input), input.size()) != 1) {
        return {};
    }
    out.resize(size);
    return alg.coordinate_size > 0 ? plain_ecdsa(out, alg.coordinate_size) : out;
}

std::string signing_input(const Json &header, const Json &claims) {
    return base64url_encode(header.dump()) + "." + base64url_encode(claims.dump());
}

std::string digest(const EVP_MD *md, std::string_view text, size_t size) {
    std::string out(size, '\0');
    auto *const to = reinterpret_cast<unsigned char *>(out.data());
    const jose::MdContext context(EVP_MD_CTX_new());
    const bool begun = context && md != nullptr && EVP_DigestInit_ex(context.get(), md, nullptr) == 1 &&
                       EVP_DigestUpdate(context.get(), text.data(), text.size()) == 1;
    const bool is_xof = begun && (EVP_MD_get_flags(md) & EVP_MD_FLAG_XOF) != 0;
    const bool done = begun && (is_xof ? EVP_DigestFinalXOF(context.get(), to, size) == 1
                                       : EVP_DigestFinal_ex(context.get(), to, nullptr) == 1);
    return done ? out : std::string();
}

}  // namespace

std::string half_hash(std::string_view alg, std::string_view text, std::string_view crv) {
    const Alg *known = jose::find_alg(alg);
    if (known == nullptr) {
        return {};
    }
    std::string whole;
    if (known->hash != nullptr) {
        whole = digest(EVP_get_digestbyname(known->hash), text, known->hash_size);
    } else if (crv == "Ed448") {
        whole = digest(EVP_shake256(), text, 114);
    } else {
        whole = digest(EVP_sha512(), text, 64);
    }
    return base64url_encode(std::string_view(whole).substr(0, whole.size() / 2));
}

Result<SigningKey> SigningKey::from_pem(std::string_view pem, std::string_view alg, std::string_view kid) {
    const jose::CleanErrors clean;
    const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_pass_phrase, nullptr) : nullptr;
    if (key == nullptr) {
        return key_error("expected an unencrypted private key in PEM form, found none");
    }
    SigningKey out;
    out.key_ = std::shared_ptr<void>(key, [](void *owned) { EVP_PKEY_free(static_cast<EVP_PKEY *>(owned)); });
    if (auto chosen = out.choose_alg(alg); !chosen) {
        return chosen.error();
    }
    out.kid_ = kid;
    return out;
}

Result<bool> SigningKey::choose_alg(std::string_view wanted) {
    const Json members = required_members(pkey(key_));
    const std::string kty = members.string("kty").value_or(""), crv = members.string("crv").value_or("");
    const std::string usual = default_alg(kty, crv);
    if (usual.empty()) {
        return key_error("expected RSA, EC on P-256, P-384 or P-521, Ed25519 or Ed448, found another type or curve");
    }
    const int bits = EVP_PKEY_get_bits(pkey(key_));
    if (kty == "RSA" && (bits < int{jose::min_rsa_bits} || bits > int{jose::max_rsa_bits})) {
        return key_error("expected RSA of 2048 to 16384 bits, found " + std::to_string(bits));
    }
    const Alg *known = jose::find_alg(wanted.empty() ? usual : wanted);
    if (known == nullptr || !jose::fits(*known, kty, crv)) {
        return key_error("alg " + log_safe(wanted, 40) + " does not fit a key of type " + kty + " " + crv);
    }
    alg_ = known->name;
    return true;
}

Result<std::string> SigningKey::sign(const Json &header, const Json &claims) const {
    const jose::CleanErrors clean;
    const Alg *known = jose::find_alg(alg_);
    if (known == nullptr || !key_) {
        return key_error("there is none");
    }
    Json full = Json::owning(json_copy(header.get()));
    full.set("alg", alg_);
    if (!kid_.empty()) {
        full.set("kid", kid_);
    }
    const std::string input = signing_input(full, claims);
    const std::string signature = signature_of(pkey(key_), *known, input);
    if (signature.empty()) {
        return key_error("OpenSSL could not sign by " + alg_);
    }
    return input + "." + base64url_encode(signature);
}

Json SigningKey::public_jwk() const {
    Json out = required_members(pkey(key_));
    out.set("use", "sig");
    out.set("alg", alg_);
    if (!kid_.empty()) {
        out.set("kid", kid_);
    }
    return out;
}

Result<std::string> sign_hmac(std::string_view alg, std::string_view secret, const Json &claims) {
    const Alg *known = jose::find_alg(alg);
    if (known == nullptr || known->kty != "oct") {
        return our_error("client_secret", "alg " + log_safe(alg, 40) + " is not one that signs with a client secret");
    }
    // RFC 7518 3.2.
    if (secret.size() < known->hash_size) {
        return our_error("client_secret", std::string(known->name) + " needs a client secret of at least " +
                                              std::to_string(known->hash_size) + " bytes, found " +
                                              std::to_string(secret.size()));
    }
    Json header;
    header.set("alg", known->name);
    header.set("typ", "JWT");
    const std::string input = signing_input(header, claims);
    const std::string signature = jose::hmac(*known, secret, input);
    if (signature.empty()) {
        return our_error("client_secret", "OpenSSL could not sign by " + std::string(known->name));
    }
    return input + "." + base64url_encode(signature);
}

}  // namespace oidc
