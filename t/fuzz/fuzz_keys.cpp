// A provider's keys: read, and each of them tried on a token.
#include <openssl/evp.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "oidc/jose.hpp"
#include "oidc/text.hpp"

using namespace oidc;

namespace {

void demand(bool good) {
    if (!good) {
        abort();
    }
}

constexpr struct {
    const char *alg, *kty;
    size_t signature;
} algs[] = {{"RS256", "RSA", 256}, {"PS512", "RSA", 512}, {"ES256", "EC", 64},  {"ES384", "EC", 96},
            {"ES512", "EC", 132},  {"EdDSA", "OKP", 64},  {"EdDSA", "OKP", 114}};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const auto keys = KeySet::parse({reinterpret_cast<const char *>(data), size});
    if (!keys) {
        demand(keys.error().rule == "jwks");
        return 0;
    }
    demand(keys->candidates("", "HS256").empty() && keys->candidates("", "none").empty());
    for (const auto &[alg, kty, signature] : algs) {
        const auto candidates = keys->candidates("", alg);
        demand(candidates.size() <= 8);
        for (const Jwk *key : candidates) {
            demand(key->kty == kty && (!key->key || i2d_PrivateKey(key->key.get(), nullptr) <= 0));
            demand(key->kid.empty() || keys->has_kid(key->kid));
        }
        VerifyRules rules;
        rules.algs = {alg};
        const std::string header = std::string("{\"alg\":\"") + alg + "\"}";
        const std::string token = base64url_encode(header) + ".e30." + base64url_encode(std::string(signature, '\x01'));
        const auto verified = verify(token, *keys, rules);
        demand(verified || may_be_stale_keys(verified.error()));
    }
    return 0;
}
