// The table of signature algorithms, shared by the parts of jose.
#pragma once

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

namespace oidc::jose {

// OpenSSL's queue of errors belongs to the whole process: whoever tried something leaves it empty.
struct CleanErrors {
    ~CleanErrors() { ERR_clear_error(); }
};

// RFC 7518 3.1 and RFC 8037.
struct Alg {
    std::string_view name, kty;
    std::string_view crv;  // the one curve of an ECDSA algorithm
    const char *hash;      // null: the algorithm brings its own
    size_t hash_size;
    size_t coordinate_size;  // ECDSA: a signature is two of them (RFC 7518 3.4)
};
const Alg *find_alg(std::string_view name);
inline bool is_pss(const Alg &alg) {
    return alg.name.substr(0, 2) == "PS";
}
// May a key of that type and curve sign by that algorithm?
bool fits(const Alg &alg, std::string_view kty, std::string_view crv);

constexpr size_t min_rsa_bits = 2048, max_rsa_bits = 16384;

// RFC 7518 3.5: the salt is as long as the hash. False when OpenSSL fails.
bool use_pss(EVP_PKEY_CTX *context);
// Empty when OpenSSL fails.
std::string hmac(const Alg &alg, std::string_view secret, std::string_view data);

// An OpenSSL object with its owner.
template <auto free_it>
struct Free {
    template <class T>
    void operator()(T *object) const {
        free_it(object);
    }
};
using Pkey = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using MdContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;

}  // namespace oidc::jose
