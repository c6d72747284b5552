// The one AEAD of the project: AES-256-GCM with a random 96-bit nonce, keys derived by HKDF-SHA256 with a label per
// purpose.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oidc {

// RFC 5869 with an empty salt: 32 bytes of key from a secret of any length.
std::string hkdf(std::string_view secret, std::string_view label);

// One key with its initialised cipher contexts; not copied, made in the worker (never before a fork: the nonces it
// holds ready would be used twice) and kept for its life.
class SealKey {
public:
    explicit SealKey(std::string_view key);  // 32 bytes
    // format version | key id (4 bytes, from the key) | nonce | ciphertext | tag
    std::string seal(std::string_view plain, std::string_view associated) const;
    // Every failure looks the same: nothing.
    std::optional<std::string> open(std::string_view sealed, std::string_view associated) const;
    // Opens into `out` (at least sealed.size() bytes), without an allocation; the size of the plain text, or -1.
    long open_into(std::string_view sealed, std::string_view associated, unsigned char *out) const;
    static constexpr size_t overhead = 1 + 4 + 12 + 16;

private:
    struct Free {
        void operator()(EVP_CIPHER_CTX *context) const { EVP_CIPHER_CTX_free(context); }
    };
    using Context = std::unique_ptr<EVP_CIPHER_CTX, Free>;
    static Context new_context(const unsigned char *key, bool encrypt);
    Context encrypt_, decrypt_;  // initialised once with the key: a call only sets the nonce
    std::string fresh_nonce() const;
    mutable std::string nonces_;
    unsigned char id_[4];
};

// What cookie_secret names: the first secret seals, all of them open. `purpose` is the HKDF label.
class Sealer {
public:
    Sealer(const std::vector<std::string> &secrets, std::string_view purpose);
    std::string seal(std::string_view plain, std::string_view associated) const;  // base64url
    std::optional<std::string> open(std::string_view text, std::string_view associated) const;

    const SealKey &first() const { return *keys_.front(); }
    const std::vector<std::unique_ptr<SealKey>> &keys() const { return keys_; }

private:
    std::vector<std::unique_ptr<SealKey>> keys_;
};

// Sealer for what strangers can ask for without end: one derived key a day, so that no key seals without limit.
// Today's and yesterday's open.
class DailySealer {
public:
    DailySealer(std::vector<std::string> secrets, std::string purpose);
    std::string seal(std::string_view plain, std::string_view associated, int64_t now);
    std::optional<std::string> open(std::string_view text, std::string_view associated, int64_t now);

private:
    Sealer &of_day(int64_t day);
    std::vector<std::string> secrets_;
    std::string purpose_;
    struct Day {
        int64_t day;
        std::unique_ptr<Sealer> sealer;
    };
    std::vector<Day> days_;  // at most three
};

}  // namespace oidc
