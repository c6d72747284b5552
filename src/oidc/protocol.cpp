#include "protocol.hpp"

#include <strings.h>

#include <algorithm>

#include "query.hpp"

namespace oidc {

namespace {

// A browser that waits is told apart by the status: 504 when the provider took too long, 502 else.
int gateway_status(const http::Reply &reply) {
    for (const char *sign : {"timed out", "timeout", "no answer"}) {
        if (reply.status == 0 && reply.failure.find(sign) != std::string::npos) {
            return 504;
        }
    }
    return 502;
}

std::string describe(const http::Reply &reply) {
    // Redirects are not followed: they end here with their own number.
    if (reply.status != 0) {
        return "expected 200, found " + std::to_string(reply.status);
    }
    return "no answer: " + log_safe(reply.failure.empty() ? "connection lost" : reply.failure);
}

// RFC 6749 5.1 says 200; a 201 of an over-careful framework means the same.
bool is_success(const http::Reply &reply) {
    return reply.status >= 200 && reply.status < 300;
}

// Whatever the content type says, an answer is judged by what it is: providers name JSON in many ways.
http::Request get_request(const char *what, const std::string &url, size_t max_reply) {
    http::Request request;
    request.what = what;
    request.url = url;
    request.headers.emplace_back("Accept", "application/json");
    request.max_reply = max_reply;
    return request;
}

struct Post {
    const char *what;
    const std::string &url;
    Parameters form;
};

Result<http::Request> post_request(const Client &client, const Metadata &metadata, Post post, int64_t now) {
    http::Request request = get_request(post.what, post.url, max_answer);
    request.method = "POST";
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    AuthenticatedForm filled{std::move(post.form), std::move(request.headers)};
    auto authenticated = authenticate(client, metadata, now, filled);
    if (!authenticated) {
        return authenticated.error();
    }
    request.headers = std::move(filled.headers);
    request.body = form_encode(filled.form);
    return request;
}

// RFC 6749 A.12. Anything else, and a blank (RFC 6750 2.1), could break out of the header that the token is sent in.
bool is_token_text(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

// RFC 6749 A.17: a refresh token goes into forms alone, and may have blanks.
bool is_refresh_token_text(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
}

// RFC 6749 5.1 wants a number; some providers write it as a string. -1: not said.
int64_t read_expires_in(const Json &answer) {
    if (const auto seconds = answer.time("expires_in")) {
        return *seconds;
    }
    const std::string text = answer.string("expires_in").value_or("");
    const bool is_number = !text.empty() && text.size() <= 15 &&
                           std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= '0' && c <= '9'; });
    return is_number ? std::stoll(text) : -1;
}

// RFC 6749 5.2, as a code for the log; nothing where the answer is no OAuth error.
std::optional<std::string> read_oauth_error(const Json &answer) {
    auto error = answer.string("error");
    if (!error || error->empty()) {
        return std::nullopt;
    }
    return error;
}

using Secrets = std::vector<std::string_view>;

// A provider may well repeat what it was sent.
std::string concealed(std::string text, const Secrets &secrets) {
    constexpr std::string_view mask = "[hidden]";
    for (const auto secret : secrets) {
        for (size_t at = 0; !secret.empty() && (at = text.find(secret, at)) != std::string::npos; at += mask.size()) {
            text.replace(at, secret.size(), mask);
        }
    }
    return text;
}

Error refused(const Json &answer, const std::string &error, const Secrets &secrets) {
    std::string text = "the provider answered \"" + log_safe(concealed(error, secrets)) + "\"";
    const auto description = answer.string("error_description");
    if (description && !description->empty()) {
        text += ": " + log_safe(concealed(*description, secrets));
    }
    return provider_error("token_refused", std::move(text));
}

// What is neither a success nor a clear word from the provider's token endpoint must not end a session on refresh.
Error judge_failed_token(const http::Reply &reply, const Secrets &secrets) {
    const bool is_word = reply.status >= 400 && reply.status < 500 && reply.status != 408 && reply.status != 429;
    if (is_word) {
        const auto answer = parse_object(reply.body, "token response");
        const auto error = answer ? read_oauth_error(*answer) : std::nullopt;
        if (error && *error != "temporarily_unavailable" && *error != "server_error") {
            return refused(*answer, *error, secrets);
        }
    }
    return provider_error("token_unavailable", "token request: " + describe(reply), gateway_status(reply));
}

Error token_error(std::string text) {
    return provider_error("token_response", "token response: " + std::move(text));
}

Result<TokenAnswer> judge_token(const Json &json, Grant grant) {
    const std::string type = json.string("token_type").value_or("");
    if (strcasecmp(type.c_str(), "bearer") != 0) {
        return token_error("expected token_type Bearer, found \"" + log_safe(type) + "\"");
    }
    TokenAnswer answer;
    answer.access_token = json.string("access_token").value_or("");
    answer.id_token = json.string("id_token").value_or("");
    answer.refresh_token = json.string("refresh_token").value_or("");
    answer.scope = json.string("scope").value_or("");
    answer.expires_in = read_expires_in(json);
    if (answer.access_token.empty()) {
        return token_error("there is no access_token");
    }
    if (!is_token_text(answer.access_token) || !is_token_text(answer.id_token) ||
        !is_refresh_token_text(answer.refresh_token)) {
        return token_error("a token has characters that no token may have");
    }
    // C 3.1.3.3: without an ID token nobody has been identified. C 12.2 lets a refresh come without.
    if (grant == Grant::code && answer.id_token.empty()) {
        return token_error("there is no id_token (is openid among the scopes?)");
    }
    return answer;
}

}  // namespace

http::Request discovery_request(const Client &client) {
    return get_request("metadata request", client.discovery_url(), max_metadata);
}

Result<Metadata> read_discovery(const Client &client, const http::Reply &reply) {
    if (reply.status != 200) {
        return provider_error("metadata_unavailable", "metadata request: " + describe(reply), 503);
    }
    return read_metadata(client, reply.body);
}

// RFC 7517 8.5.2
http::Request keys_request(const Metadata &metadata) {
    http::Request request = get_request("key set request", metadata.jwks_uri, max_keys);
    request.headers = {{"Accept", "application/jwk-set+json, application/json"}};
    return request;
}

Result<KeySet> read_keys(const http::Reply &reply) {
    if (reply.status != 200) {
        return provider_error("keys_unavailable", "key set request: " + describe(reply), 503);
    }
    return KeySet::parse(reply.body);
}

// C 3.1.3.1; RFC 7636 4.5
Result<http::Request> token_request(const Client &client, const Metadata &metadata, const CodeGrant &grant,
                                    int64_t now) {
    Post post{"token request", metadata.token_endpoint, {{"grant_type", "authorization_code"}}};
    post.form.emplace_back("code", grant.code);
    post.form.emplace_back("redirect_uri", grant.redirect_uri);
    if (!grant.verifier.empty()) {
        post.form.emplace_back("code_verifier", grant.verifier);
    }
    return post_request(client, metadata, std::move(post), now);
}

// C 12.1. Without `scope`: the same as before is meant (RFC 6749 6).
Result<http::Request> refresh_request(const Client &client, const Metadata &metadata, std::string_view refresh_token,
                                      int64_t now) {
    Post post{"refresh request", metadata.token_endpoint, {{"grant_type", "refresh_token"}}};
    post.form.emplace_back("refresh_token", refresh_token);
    return post_request(client, metadata, std::move(post), now);
}

Result<TokenAnswer> read_token(const http::Reply &reply, Grant grant, const Secrets &secrets) {
    if (!is_success(reply)) {
        return judge_failed_token(reply, secrets);
    }
    const auto json = parse_object(reply.body, "token response");
    if (!json) {
        return provider_error("token_response", json.error().text);
    }
    // Some providers refuse with status 200.
    if (const auto error = read_oauth_error(*json)) {
        return refused(*json, *error, secrets);
    }
    return judge_token(*json, grant);
}

// C 5.3.1; the token goes into the header (RFC 6750 2.1), the one place that every provider reads.
http::Request userinfo_request(const Metadata &metadata, std::string_view access_token) {
    http::Request request = get_request("UserInfo request", metadata.userinfo_endpoint, max_answer);
    request.headers = {{"Accept", "application/json, application/jwt"},
                       {"Authorization", "Bearer " + std::string(access_token)}};
    return request;
}

// RFC 7009 2.1
Result<http::Request> revocation_request(const Client &client, const Metadata &metadata, const TokenToRevoke &revoked,
                                         int64_t now) {
    if (metadata.revocation_endpoint.empty()) {
        return provider_error("revocation_endpoint", "the metadata has no revocation_endpoint");
    }
    Post post{"revocation request", metadata.revocation_endpoint, {}};
    post.form.emplace_back("token", revoked.token);
    if (!revoked.type_hint.empty()) {
        post.form.emplace_back("token_type_hint", revoked.type_hint);
    }
    return post_request(client, metadata, std::move(post), now);
}

// RFC 7662 2.1
Result<http::Request> introspection_request(const Client &client, const Metadata &metadata, std::string_view token,
                                            int64_t now) {
    if (metadata.introspection_endpoint.empty()) {
        return provider_error("introspection_endpoint", "the provider has no introspection_endpoint");
    }
    Post post{"introspection request", metadata.introspection_endpoint, {}};
    post.form.emplace_back("token", token);
    post.form.emplace_back("token_type_hint", "access_token");
    return post_request(client, metadata, std::move(post), now);
}

std::optional<std::string> end_session_url(const Client &client, const Metadata &metadata, const LogoutQuery &query) {
    if (metadata.end_session_endpoint.empty()) {
        return std::nullopt;
    }
    // RP-Initiated Logout 1.0 section 2. What says who asks and what comes back is not for logout_args to change.
    Query parameters;
    parameters.set("client_id", client.client_id);
    parameters.set("post_logout_redirect_uri", query.post_logout_redirect_uri);
    for (const auto &[name, value] : form_decode(query.extra).value_or(Parameters())) {
        if (name != "client_id" && name != "state" && name != "id_token_hint") {
            parameters.set(name, value);
        }
    }
    parameters.set("state", query.state);
    parameters.set("id_token_hint", query.id_token_hint);
    return parameters.url(metadata.end_session_endpoint);
}

}  // namespace oidc
