#include "seal.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <climits>
#include <cstring>
#include <stdexcept>

#include "text.hpp"

namespace oidc {

namespace {

constexpr char seal_format = 1;
constexpr size_t key_size = 32;
constexpr size_t id_size = 4;
constexpr size_t head_size = 1 + id_size;
constexpr size_t nonce_size = 12;
constexpr size_t tag_size = 16;
static_assert(SealKey::overhead == head_size + nonce_size + tag_size);

constexpr int64_t seconds_a_day = 86400;
constexpr size_t days_kept = 3;

// OpenSSL refuses none of these calls but for want of memory, or in a build without the algorithm.
void demand(bool done, const char *what) {
    if (!done) {
        throw std::runtime_error(std::string("OpenSSL failed: ") + what);
    }
}

// Runs `text` through the cipher; with no `out` it is associated data.
bool update(EVP_CIPHER_CTX *context, std::string_view text, unsigned char *out) {
    int size = 0;
    return text.empty() || EVP_CipherUpdate(context, out, &size, octets(text), static_cast<int>(text.size()));
}

// Format version and key id stand in clear, so they are authenticated together with the caller's data. They have a
// fixed size: no two different pairs run together into the same bytes.
struct Message {
    std::string_view head, associated, text;
};
bool run(EVP_CIPHER_CTX *context, const Message &message, unsigned char *out) {
    return update(context, message.head, nullptr) && update(context, message.associated, nullptr) &&
           update(context, message.text, out);
}

}  // namespace

std::string hkdf(std::string_view secret, std::string_view label) {
    struct Free {
        void operator()(EVP_KDF *kdf) const { EVP_KDF_free(kdf); }
        void operator()(EVP_KDF_CTX *context) const { EVP_KDF_CTX_free(context); }
    };
    std::unique_ptr<EVP_KDF, Free> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
    std::unique_ptr<EVP_KDF_CTX, Free> context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
    demand(context != nullptr, "HKDF");

    char digest[] = "SHA256";
    std::string key(secret), info(label);  // OSSL_PARAM wants them writable and not null
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key.data(), key.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
        OSSL_PARAM_construct_end(),
    };
    unsigned char derived[key_size];
    demand(EVP_KDF_derive(context.get(), derived, sizeof(derived), parameters) == 1, "HKDF");
    OPENSSL_cleanse(key.data(), key.size());
    std::string result(bytes(derived, sizeof(derived)));
    OPENSSL_cleanse(derived, sizeof(derived));
    return result;
}

SealKey::Context SealKey::new_context(const unsigned char *key, bool encrypt) {
    Context context(EVP_CIPHER_CTX_new());
    demand(context && EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key, nullptr, encrypt),
           "AES-256-GCM");
    return context;
}

SealKey::SealKey(std::string_view key) {
    if (key.size() != key_size) {
        throw std::invalid_argument("a sealing key has 32 bytes");
    }
    encrypt_ = new_context(octets(key), true);
    decrypt_ = new_context(octets(key), false);
    memcpy(id_, hkdf(key, "auth_oidc key id").data(), id_size);
}

// Nonces are drawn a few at a time: one call of the generator costs as much as the encryption.
std::string SealKey::fresh_nonce() const {
    if (nonces_.empty()) {
        nonces_ = random_bytes(32 * nonce_size);
    }
    std::string nonce = nonces_.substr(nonces_.size() - nonce_size);
    nonces_.resize(nonces_.size() - nonce_size);
    return nonce;
}

std::string SealKey::seal(std::string_view plain, std::string_view associated) const {
    if (plain.size() > INT_MAX - overhead || associated.size() > INT_MAX) {
        throw std::length_error("too long to be sealed");
    }
    std::string sealed(1, seal_format);
    sealed.append(bytes(id_, id_size)).append(fresh_nonce());
    sealed.resize(overhead + plain.size());

    unsigned char *head = reinterpret_cast<unsigned char *>(sealed.data());
    unsigned char *text = head + head_size + nonce_size;
    unsigned char *tag = text + plain.size();
    int size = 0;
    EVP_CIPHER_CTX *context = encrypt_.get();
    demand(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, head + head_size) &&
               run(context, {bytes(head, head_size), associated, plain}, text) &&
               EVP_EncryptFinal_ex(context, tag, &size) &&
               EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_size, tag),
           "sealing");
    return sealed;
}

long SealKey::open_into(std::string_view sealed, std::string_view associated, unsigned char *out) const {
    if (sealed.size() < overhead || sealed.size() > INT_MAX || associated.size() > INT_MAX) {
        return -1;
    }
    const std::string_view head = sealed.substr(0, head_size);
    if (head[0] != seal_format || memcmp(head.data() + 1, id_, id_size) != 0) {
        return -1;
    }
    const std::string_view text = sealed.substr(head_size + nonce_size, sealed.size() - overhead);
    unsigned char tag[tag_size];
    memcpy(tag, text.data() + text.size(), tag_size);

    int size = 0;
    EVP_CIPHER_CTX *context = decrypt_.get();
    if (EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, octets(sealed) + head_size) &&
        run(context, {head, associated, text}, out) &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_size, tag) &&
        EVP_DecryptFinal_ex(context, out + text.size(), &size)) {
        return static_cast<long>(text.size());
    }
    ERR_clear_error();                  // the queue belongs to the whole process
    OPENSSL_cleanse(out, text.size());  // GCM decrypts before it verifies: nobody may see that
    return -1;
}

std::optional<std::string> SealKey::open(std::string_view sealed, std::string_view associated) const {
    std::string plain(sealed.size(), '\0');
    const long size = open_into(sealed, associated, reinterpret_cast<unsigned char *>(plain.data()));
    if (size < 0) {
        return std::nullopt;
    }
    plain.resize(static_cast<size_t>(size));
    return plain;
}

Sealer::Sealer(const std::vector<std::string> &secrets, std::string_view purpose) {
    if (secrets.empty()) {
        throw std::invalid_argument("a sealer needs a secret");
    }
    for (const std::string &secret : secrets) {
        keys_.push_back(std::make_unique<SealKey>(hkdf(secret, purpose)));
    }
}

std::string Sealer::seal(std::string_view plain, std::string_view associated) const {
    return base64url_encode(first().seal(plain, associated));
}

std::optional<std::string> Sealer::open(std::string_view text, std::string_view associated) const {
    const std::optional<std::string> sealed = base64url_decode(text);
    if (!sealed) {
        return std::nullopt;
    }
    for (const std::unique_ptr<SealKey> &key : keys_) {
        if (std::optional<std::string> plain = key->open(*sealed, associated)) {
            return plain;
        }
    }
    return std::nullopt;
}

DailySealer::DailySealer(std::vector<std::string> secrets, std::string purpose)
    : secrets_(std::move(secrets)), purpose_(std::move(purpose)) {}

std::string DailySealer::seal(std::string_view plain, std::string_view associated, int64_t now) {
    return of_day(now / seconds_a_day).seal(plain, associated);
}

std::optional<std::string> DailySealer::open(std::string_view text, std::string_view associated, int64_t now) {
    const int64_t today = now / seconds_a_day;
    std::optional<std::string> plain = of_day(today).open(text, associated);
    return plain ? plain : of_day(today - 1).open(text, associated);
}

// The sealer of a day, made at its first use; the one made first goes when there are too many.
Sealer &DailySealer::of_day(int64_t day) {
    for (const Day &known : days_) {
        if (known.day == day) {
            return *known.sealer;
        }
    }
    auto sealer = std::make_unique<Sealer>(secrets_, purpose_ + " day " + std::to_string(day));
    if (days_.size() == days_kept) {
        days_.erase(days_.begin());
    }
    days_.push_back({day, std::move(sealer)});
    return *days_.back().sealer;
}

}  // namespace oidc
