// A token: taken apart, and verified with the keys of RFC 7515 A and RFC 8037 A, whose tokens are in the corpus.
#include <algorithm>
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

const KeySet &keys() {
    static const KeySet keys = *KeySet::parse(R"({"keys":[
        {"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"},
        {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
        {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})");
    return keys;
}

VerifyRules rules() {
    static const std::string secret =
        base64url_decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .value_or("");
    VerifyRules rules;
    rules.algs = {"RS256", "PS256", "ES256", "EdDSA", "HS256", "none"};
    rules.secret = secret;
    return rules;
}

// What was accepted has one spelling only, an allowed algorithm, and no extension.
void judge(std::string_view token, const SignedPayload &verified) {
    const auto allowed = rules().algs;
    demand(contains(allowed, verified.alg) && verified.alg != "none" && !verified.header.has("crit"));
    demand(std::count(token.begin(), token.end(), '.') == 2);
    const size_t first = token.find('.'), last = token.rfind('.');
    demand(base64url_encode(verified.payload) == token.substr(first + 1, last - first - 1));
    for (const auto part : {token.substr(0, first), token.substr(last + 1)}) {
        demand(!part.empty() && base64url_encode(base64url_decode(part).value_or("")) == part);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view token(reinterpret_cast<const char *>(data), size);
    const auto parsed = parse_jws(token);
    const auto payload = verify_payload(token, keys(), rules());
    const auto verified = verify(token, keys(), rules());
    if (payload) {
        judge(token, *payload);
    }
    demand(bool(verified) == (parsed && payload));
    demand(!verified || verified->claims.dump() == parsed->claims.dump());
    return 0;
}
