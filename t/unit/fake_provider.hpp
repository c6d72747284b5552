// A provider made of values: keys from OpenSSL, metadata, tokens of any content. For the tests of the protocol.
#pragma once

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "oidc/jose.hpp"
#include "oidc/json.hpp"
#include "oidc/provider.hpp"
#include "oidc/text.hpp"

namespace fake {

constexpr int64_t now = 1'700'000'000;
constexpr const char *issuer = "https://id.example/realm";
constexpr const char *client_id = "app 1";
constexpr const char *secret = "a secret of more than thirty-two bytes: +/=";

inline void must(bool condition, const char *what) {
    if (!condition) {
        throw std::runtime_error(what);
    }
}

// A private key with its public half as JWK.
class Key {
public:
    static Key rsa(const char *kid) { return Key(EVP_RSA_gen(2048), "RS256", kid); }
    static Key ec(const char *kid) { return Key(EVP_EC_gen("P-256"), "ES256", kid); }

    std::string pem() const {
        std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new(BIO_s_mem()), BIO_free_all);
        must(PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr), "PEM");
        char *data = nullptr;
        const long size = BIO_get_mem_data(bio.get(), &data);
        return {data, static_cast<size_t>(size)};
    }
    oidc::Json jwk() const {
        oidc::Json jwk = oidc::Json::object();
        const bool is_rsa = alg_ == "RS256";
        jwk.set("kty", std::string_view(is_rsa ? "RSA" : "EC"));
        jwk.set("kid", std::string_view(kid_));
        if (is_rsa) {
            jwk.set("n", std::string_view(number(OSSL_PKEY_PARAM_RSA_N, 0)));
            jwk.set("e", std::string_view(number(OSSL_PKEY_PARAM_RSA_E, 0)));
        } else {
            jwk.set("crv", std::string_view("P-256"));
            jwk.set("x", std::string_view(number(OSSL_PKEY_PARAM_EC_PUB_X, 32)));
            jwk.set("y", std::string_view(number(OSSL_PKEY_PARAM_EC_PUB_Y, 32)));
        }
        return jwk;
    }
    std::string sign(const oidc::Json &claims, std::string_view typ = "") const {
        auto signer = oidc::SigningKey::from_pem(pem(), alg_, kid_);
        must(bool(signer), "signing key");
        oidc::Json header = oidc::Json::object();
        if (!typ.empty()) {
            header.set("typ", typ);
        }
        auto token = signer->sign(header, claims);
        must(bool(token), "signature");
        return *token;
    }

private:
    Key(EVP_PKEY *key, const char *alg, const char *kid) : key_(key, EVP_PKEY_free), alg_(alg), kid_(kid) {
        must(key != nullptr, "key generation");
    }
    // A big number as JWK member, padded to `size` bytes where that is given.
    std::string number(const char *name, int size) const {
        BIGNUM *found = nullptr;
        must(EVP_PKEY_get_bn_param(key_.get(), name, &found), name);
        std::unique_ptr<BIGNUM, decltype(&BN_free)> value(found, BN_free);
        std::string text(static_cast<size_t>(size ? size : BN_num_bytes(value.get())), '\0');
        BN_bn2binpad(value.get(), reinterpret_cast<unsigned char *>(&text[0]), static_cast<int>(text.size()));
        return oidc::base64url_encode(text);
    }

    std::shared_ptr<EVP_PKEY> key_;
    std::string alg_, kid_;
};

// One member of an object replaced by `value`, which is JSON text; removed where that is null.
inline oidc::Json with(const oidc::Json &object, const char *name, const char *value) {
    oidc::Json copy = oidc::Json::owning(json_copy(object.get()));
    if (name != nullptr && value != nullptr) {
        json_t *member = json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, nullptr);
        must(member != nullptr, value);
        copy.set(name, oidc::Json::owning(member));
    } else if (name != nullptr) {
        json_object_del(copy.get(), name);
    }
    return copy;
}

inline oidc::Json json(const char *text) {
    auto parsed = oidc::parse_object(text, "test value");
    must(bool(parsed), text);
    return *parsed;
}

inline oidc::Json metadata() {
    return json(R"({"issuer": "https://id.example/realm",
        "authorization_endpoint": "https://id.example/authorize",
        "token_endpoint": "https://id.example/token",
        "userinfo_endpoint": "https://id.example/userinfo",
        "jwks_uri": "https://id.example/keys",
        "end_session_endpoint": "https://id.example/logout",
        "revocation_endpoint": "https://id.example/revoke",
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"]})");
}

inline oidc::Json claims() {
    return json(R"({"iss": "https://id.example/realm", "aud": "app 1", "sub": "alice", "exp": 1700000600,
        "iat": 1700000000, "nonce": "the-nonce"})");
}

inline oidc::Client client() {
    oidc::Client client;
    client.name = "test";
    client.issuer = issuer;
    client.client_id = client_id;
    client.client_secret = secret;
    return client;
}

inline std::string key_set(std::initializer_list<const Key *> keys) {
    std::string list;
    for (const Key *key : keys) {
        list += (list.empty() ? "" : ",") + key->jwk().dump();
    }
    return "{\"keys\":[" + list + "]}";
}

inline oidc::ProviderData data(std::initializer_list<const Key *> keys) {
    auto metadata = oidc::read_metadata(client(), fake::metadata().dump());
    auto set = oidc::KeySet::parse(key_set(keys));
    must(metadata && set, "provider data");
    return {*metadata, *set};
}

}  // namespace fake
