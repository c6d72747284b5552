// An ID token. Text that is a JSON object is signed first, so that the checks behind the signature are reached.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "oidc/protocol.hpp"

using namespace oidc;

namespace {

constexpr int64_t now = 1'700'000'000;
constexpr const char *secret = "a secret of more than thirty-two bytes";

void demand(bool promise) {
    if (!promise) {
        std::abort();
    }
}

Client make_client() {
    Client client;
    client.name = "fuzz";
    client.issuer = "https://id.example";
    client.client_id = "app";
    client.client_secret = secret;
    client.id_token_algs = {"HS256", "RS256", "ES256"};
    return client;
}

void check(const Client &client, const std::string &token) {
    static const ProviderData provider;
    IdTokenRules rules;
    rules.nonce = "the-nonce";
    rules.access_token = "the-access-token";
    rules.max_age = 300;
    rules.now = now;
    const auto id_token = check_id_token(client, provider, token, rules);
    if (!id_token) {
        demand(id_token.error().text.find_first_of("\r\n") == std::string::npos);
        return;
    }
    const Json &claims = id_token->claims;
    demand(claims.string("iss") == client.issuer && claims.string("nonce") == "the-nonce");
    demand(claims.time("exp").value_or(0) > now - client.clock_skew);
    demand(claims.time("auth_time").value_or(0) >= now - client.clock_skew - rules.max_age);
    demand(!claims.string("sub").value_or("").empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const Client client = make_client();
    const std::string text(reinterpret_cast<const char *>(data), size);
    const auto claims = parse_object(text, "claims");
    if (!claims) {
        check(client, text);
        return 0;
    }
    const auto token = sign_hmac("HS256", secret, *claims);
    if (token) {
        check(client, *token);
    }
    return 0;
}
