// Who we are, said to the provider: the ways of RFC 6749 2.3 and C 9.
#include "provider.hpp"

namespace oidc {

namespace {

constexpr int64_t assertion_life = 60;
constexpr const char *assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

// Basic is what every provider must understand (RFC 6749 2.3.1), and keeps the secret out of the body.
ClientAuth choose_with_secret(const std::vector<std::string> &methods) {
    if (contains(methods, "client_secret_basic")) {
        return ClientAuth::basic;
    }
    if (contains(methods, "client_secret_post")) {
        return ClientAuth::post;
    }
    return contains(methods, "client_secret_jwt") ? ClientAuth::secret_jwt : ClientAuth::basic;
}

ClientAuth choose(const Client &client, const Metadata &metadata) {
    if (client.auth != ClientAuth::automatic) {
        return client.auth;
    }
    if (!client.client_secret.empty()) {
        return choose_with_secret(metadata.token_auth_methods);
    }
    // C 9: a key counts only where the provider says that it takes one.
    const bool with_key = client.key && contains(metadata.token_auth_methods, "private_key_jwt");
    return with_key ? ClientAuth::private_key_jwt : ClientAuth::none;
}

// A certificate (RFC 8705) is shown by the connection, and a public client has nothing to show.
bool needs_secret(ClientAuth method) {
    return method == ClientAuth::basic || method == ClientAuth::post || method == ClientAuth::secret_jwt;
}

// RFC 6749 2.3.1: both are form-encoded first, or a colon or a blank in one of them changes the meaning.
std::string basic_credentials(const Client &client) {
    return "Basic " + base64_encode(form_encode(client.client_id) + ':' + form_encode(client.client_secret));
}

// RFC 7523 section 3; C 9 makes the token endpoint the audience.
Json assertion_claims(const Client &client, const Metadata &metadata, int64_t now) {
    Json claims = Json::object();
    claims.set("iss", std::string_view(client.client_id));
    claims.set("sub", std::string_view(client.client_id));
    claims.set("aud", std::string_view(metadata.token_endpoint));
    claims.set("jti", std::string_view(random_token()));
    claims.set("iat", now);
    claims.set("exp", now + assertion_life);
    return claims;
}

Result<std::string> sign_assertion(const Client &client, ClientAuth method, const Json &claims) {
    if (method == ClientAuth::secret_jwt) {
        return sign_hmac("HS256", client.client_secret, claims);
    }
    if (!client.key) {
        return our_error("client_auth", "private_key_jwt needs a client_key");
    }
    Json header = Json::object();
    header.set("typ", std::string_view("JWT"));
    return client.key->sign(header, claims);
}

}  // namespace

Result<bool> authenticate(const Client &client, const Metadata &metadata, int64_t now, AuthenticatedForm &request) {
    const ClientAuth method = choose(client, metadata);
    if (needs_secret(method) && client.client_secret.empty()) {
        return our_error("client_auth", "the chosen client_auth_method needs a client_secret");
    }
    if (method == ClientAuth::basic) {
        request.headers.emplace_back("Authorization", basic_credentials(client));
        return true;
    }
    // RFC 7521 4.2 leaves client_id open beside an assertion; some providers insist on it.
    request.form.emplace_back("client_id", client.client_id);
    if (method == ClientAuth::post) {
        request.form.emplace_back("client_secret", client.client_secret);
    }
    if (method == ClientAuth::secret_jwt || method == ClientAuth::private_key_jwt) {
        auto assertion = sign_assertion(client, method, assertion_claims(client, metadata, now));
        if (!assertion) {
            return assertion.error();
        }
        request.form.emplace_back("client_assertion_type", assertion_type);
        request.form.emplace_back("client_assertion", std::move(*assertion));
    }
    return true;
}

}  // namespace oidc
