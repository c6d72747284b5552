// Hashes, random values and comparison of secrets: what text.hpp promises and OpenSSL does.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <stdexcept>

#include "text.hpp"

namespace oidc {

Digest sha256(std::string_view data) {
    Digest out;
    // Fetched once: EVP_sha256() makes OpenSSL 3 look the algorithm up at every use.
    static const EVP_MD *const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    if (EVP_Digest(data.data(), data.size(), out.data(), nullptr, algorithm, nullptr) != 1) {
        throw std::runtime_error("SHA-256 failed");
    }
    return out;
}

Digest hmac_sha256(std::string_view key, std::string_view data) {
    Digest out;
    // An empty key must not be a null pointer, which means "the key of before".
    const char *const key_data = key.empty() ? "" : key.data();
    size_t size = 0;
    if (EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key_data, key.size(), octets(data), data.size(),
                  out.data(), out.size(), &size) == nullptr) {
        throw std::runtime_error("HMAC-SHA-256 failed");
    }
    return out;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_bytes(size_t count) {
    std::string out(count, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char *>(out.data()), static_cast<int>(count)) != 1) {
        throw std::runtime_error("no random bytes");
    }
    return out;
}

std::string random_token() {
    return base64url_encode(random_bytes(32));
}

}  // namespace oidc
