// An access token and an introspection answer. The first byte chooses; text that is a JSON object is signed first, so
// that the checks behind the signature are reached.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "oidc/access_token.hpp"

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
    client.id_token_algs = {"HS256", "RS256"};
    return client;
}

void judge(const Client &client, const Result<Json> &claims) {
    if (!claims) {
        demand(claims.error().text.find_first_of("\r\n") == std::string::npos);
        demand(description_safe(claims.error().text).find_first_of("\"\\") == std::string::npos);
        return;
    }
    demand(!claims->has("cnf"));
    demand(!claims->has("exp") || claims->time("exp").value_or(0) > now - client.clock_skew);
    const std::string record = write_session(session_of_token(client, *claims, now));
    const auto session = SessionView::over(record);
    demand(session.has_value());
    has_scopes(*session, {"read"});
}

void check(const Client &client, const std::string &token, bool jwt_type) {
    static const ProviderData provider;
    AccessTokenRules rules;
    rules.jwt_type = jwt_type;
    rules.now = now;
    const auto claims = check_access_token(client, provider, token, rules);
    judge(client, claims);
    demand(!claims || (claims->string("iss") == client.issuer && !claims->string("sub").value_or("").empty()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const Client client = make_client();
    if (size == 0) {
        return 0;
    }
    const std::string text(reinterpret_cast<const char *>(data) + 1, size - 1);
    const auto credentials = read_credentials(text);
    demand(!credentials || credentials->size() <= max_access_token);
    has_query_token(text);
    if (data[0] % 3 == 0) {
        AccessTokenRules rules;
        rules.now = now;
        http::Reply reply;
        reply.status = 200;
        reply.body = text;
        judge(client, read_introspection(client, Metadata(), reply, rules));
        return 0;
    }
    const auto claims = parse_object(text, "claims");
    const auto token = claims ? sign_hmac("HS256", secret, *claims) : Result<std::string>(text);
    if (token) {
        check(client, *token, data[0] % 3 == 1);
    }
    return 0;
}
