// Keys and tokens of any kind for the tests of jose, made by OpenSSL alone.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "oidc/jose.hpp"
#include "oidc/text.hpp"

namespace jose_test {

class PrivateKey {
public:
    explicit PrivateKey(EVP_PKEY *key) : key_(key, EVP_PKEY_free) {
        if (key == nullptr) {
            throw std::runtime_error("no key");
        }
    }
    static PrivateKey rsa(unsigned bits = 2048) { return PrivateKey(EVP_RSA_gen(bits)); }
    static PrivateKey ec(const char *curve) { return PrivateKey(EVP_EC_gen(curve)); }
    static PrivateKey other(const char *type) { return PrivateKey(EVP_PKEY_Q_keygen(nullptr, nullptr, type)); }

    EVP_PKEY *get() const { return key_.get(); }
    std::string pem(const char *pass = nullptr) const {
        return written([&](BIO *bio) {
            return PEM_write_bio_PKCS8PrivateKey(bio, get(), pass ? EVP_aes_128_cbc() : nullptr, nullptr, 0, nullptr,
                                                 const_cast<char *>(pass));
        });
    }
    std::string public_pem() const {
        return written([&](BIO *bio) { return PEM_write_bio_PUBKEY(bio, get()); });
    }
    oidc::SigningKey signer(std::string_view alg = "", std::string_view kid = "") const {
        auto key = oidc::SigningKey::from_pem(pem(), alg, kid);
        if (!key) {
            throw std::runtime_error(key.error().text);
        }
        return *key;
    }
    // A bare signature, whatever the header of `input` says. ECDSA comes as DER.
    std::string sign(const char *hash, bool pss, std::string_view input) const {
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
        EVP_PKEY_CTX *options = nullptr;
        EVP_DigestSignInit_ex(context.get(), &options, hash, nullptr, nullptr, get(), nullptr);
        if (pss) {
            EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
            EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
        }
        std::string out(1024, '\0');
        size_t size = out.size();
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char *>(&out[0]), &size, oidc::octets(input),
                       input.size());
        out.resize(size);
        return out;
    }

private:
    template <class Write>
    static std::string written(Write write) {
        const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new(BIO_s_mem()), BIO_free_all);
        if (write(bio.get()) != 1) {
            throw std::runtime_error("no PEM");
        }
        char *data = nullptr;
        const long size = BIO_get_mem_data(bio.get(), &data);
        return {data, static_cast<size_t>(size)};
    }
    std::shared_ptr<EVP_PKEY> key_;
};

inline oidc::Json json(std::string_view text) {
    auto parsed = oidc::parse_object(text, "test value", 64);
    if (!parsed) {
        throw std::runtime_error(parsed.error().text);
    }
    return *parsed;
}

// The public key with members added or replaced; null removes one.
inline oidc::Json jwk(const oidc::SigningKey &key,
                      std::initializer_list<std::pair<const char *, const char *>> changes = {}) {
    oidc::Json out = key.public_jwk();
    for (const auto &[name, value] : changes) {
        json_object_del(out.get(), name);
        if (value != nullptr) {
            out.set(name, oidc::Json::owning(json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, nullptr)));
        }
    }
    return out;
}

inline std::string document(std::initializer_list<oidc::Json> keys) {
    std::string list;
    for (const auto &key : keys) {
        list += (list.empty() ? "" : ",") + key.dump();
    }
    return "{\"keys\":[" + list + "]}";
}

inline oidc::KeySet key_set(std::initializer_list<oidc::Json> keys) {
    auto set = oidc::KeySet::parse(document(keys));
    if (!set) {
        throw std::runtime_error(set.error().text);
    }
    return *set;
}

inline std::string unsigned_token(std::string_view header, std::string_view claims) {
    return oidc::base64url_encode(header) + "." + oidc::base64url_encode(claims);
}

}  // namespace jose_test
