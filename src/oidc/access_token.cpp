#include "access_token.hpp"

#include <strings.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "claims.hpp"
#include "protocol.hpp"
#include "query.hpp"
#include "token_checks.hpp"

namespace oidc {

using namespace token;

namespace {

constexpr const char *scope_claims[] = {"scope", "scp"};

// What a client did wrong is told to it; the log needs no more than a line at info.
Error invalid_request(std::string rule, std::string text) {
    return browser_error(std::move(rule), std::move(text), 400);
}
Error invalid_token(std::string rule, std::string text) {
    return browser_error(std::move(rule), std::move(text), 401);
}

bool is_same(std::string_view a, const char *b) {
    return a.size() == std::strlen(b) && strncasecmp(a.data(), b, a.size()) == 0;
}

// RFC 6750 2.1: b64token. Every request with a token looks at each of its characters.
constexpr std::array<bool, 256> token_characters() {
    std::array<bool, 256> known{};
    for (const char c : std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=")) {
        known[static_cast<unsigned char>(c)] = true;
    }
    return known;
}
constexpr std::array<bool, 256> is_token_character = token_characters();

// RFC 9068 4: by its type alone an access token is told from every other token of the same provider.
bool is_access_token_type(const Json &header) {
    const std::string typ = header.string("typ").value_or("");
    return is_same(typ, "at+jwt") || is_same(typ, "application/at+jwt");
}

// Without the type, what the claims show has to do: an ID token has the first three, a logout token has events, and
// some providers write the kind into a claim of their own.
Verdict check_other_kinds(const Json &claims) {
    for (const char *name : {"nonce", "at_hash", "c_hash", "events"}) {
        if (claims.has(name)) {
            return invalid_token("access_token_kind", std::string("there is ") + name + ", which no access token has");
        }
    }
    if (claims.has("typ") && claims.string("typ").value_or("") != "Bearer") {
        return invalid_token("access_token_kind",
                             "claim typ: " + expected_found("Bearer", claims.string("typ").value_or("")));
    }
    return std::nullopt;
}

Verdict check_type(const Jws &jws, const AccessTokenRules &rules) {
    if (is_access_token_type(jws.header)) {
        return std::nullopt;
    }
    const std::string typ = jws.header.string("typ").value_or("");
    const bool accepted = rules.jwt_type && (!jws.header.has("typ") || is_same(typ, "JWT"));
    if (!accepted) {
        return invalid_token("access_token_typ",
                             "header typ: " + expected_found(rules.jwt_type ? "at+jwt or JWT" : "at+jwt", typ));
    }
    return check_other_kinds(jws.claims);
}

// RFC 9449 7.1, RFC 8705 3: whoever shows no proof of possession beside it may have stolen it.
Verdict check_unbound(const Json &claims) {
    return claims.has("cnf") ? Verdict(invalid_token("access_token_cnf",
                                                     "the token is bound to a key (cnf): as a "
                                                     "plain bearer token it is not accepted"))
                             : std::nullopt;
}

bool is_meant(const std::vector<std::string> &found, const std::vector<std::string> &audiences) {
    return std::any_of(audiences.begin(), audiences.end(),
                       [&](const std::string &one) { return contains(found, one); });
}

std::vector<std::string> wanted_audiences(const Client &client, const AccessTokenRules &rules) {
    return rules.audiences.empty() ? std::vector<std::string>{client.client_id} : rules.audiences;
}

Error wrong_audience(const std::vector<std::string> &wanted, const std::vector<std::string> &found) {
    return invalid_token("access_token_aud", "audience: " + expected_found(join_words(wanted), join_words(found)));
}

Verdict check_audience(const Check &check, const AccessTokenRules &rules) {
    const auto wanted = wanted_audiences(check.client, rules);
    const auto found = check.claims.list("aud").value_or(std::vector<std::string>());
    return is_meant(found, wanted) ? Verdict() : wrong_audience(wanted, found);
}

// An answer without `aud` says at least for which client the token was made (RFC 7662 2.2).
Verdict check_introspected_audience(const Check &check, const AccessTokenRules &rules) {
    const bool own_client = rules.audiences.empty() && !check.claims.has("aud") &&
                            check.claims.string("client_id").value_or("") == check.client.client_id;
    return own_client ? Verdict() : check_audience(check, rules);
}

Verdict optional_begin(const Check &check, const char *claim, const char *rule) {
    return check.claims.has(claim) ? check_begin(check, claim, rule) : Verdict();
}

// RFC 9068 2.2: iss, exp, aud, sub and iat are demanded.
Verdict check_signed(const Check &check, const AccessTokenRules &rules) {
    Verdict error = check_iss(check, "access_token_iss");
    error = error ? error : check_tenants(check);
    error = error ? error : check_audience(check, rules);
    error = error ? error : check_exp(check, "access_token_exp");
    error = error ? error : check_begin(check, "iat", "access_token_iat");
    error = error ? error : optional_begin(check, "nbf", "access_token_nbf");
    error = error ? error : check_sub(check, "access_token_sub");
    return error ? error : check_unbound(check.claims);
}

// RFC 7662 2.2: everything but `active` is optional; what is there has to fit.
Verdict check_introspected(const Check &check, const AccessTokenRules &rules) {
    const Json &claims = check.claims;
    const std::string type = claims.string("token_type").value_or("");
    if (claims.has("token_type") && !is_same(type, "Bearer")) {
        return invalid_token("access_token_kind", "token_type: " + expected_found("Bearer", type));
    }
    Verdict error = claims.has("iss") ? check_iss(check, "access_token_iss") : Verdict();
    error = error ? error : check_tenants(check);
    error = error ? error : check_introspected_audience(check, rules);
    error = error || !claims.has("exp") ? error : check_exp(check, "access_token_exp");
    error = error ? error : optional_begin(check, "iat", "access_token_iat");
    error = error ? error : optional_begin(check, "nbf", "access_token_nbf");
    error = error || !claims.has("sub") ? error : check_sub(check, "access_token_sub");
    error = error ? error : check_other_kinds(claims);
    return error ? error : check_unbound(claims);
}

// The token came from a stranger: whatever is wrong with it, it is not the provider's fault.
Error as_invalid_token(const Error &error) {
    return invalid_token(error.rule, error.text);
}

Error unavailable(std::string text) {
    return provider_error("introspection_unavailable", "introspection request: " + std::move(text), 503);
}

// Values that claim_table keeps one by one, and each may hold several words.
bool has_scope(const SessionView &session, const std::string &wanted) {
    for (const char *claim : scope_claims) {
        std::string list(session.claim(values_key(claim)).value_or(std::string_view()));
        std::replace(list.begin(), list.end(), '\0', ' ');
        if (contains(split_words(list), wanted)) {
            return true;
        }
    }
    return false;
}

}  // namespace

std::string_view bearer_error(const Error &error) {
    switch (error.status) {
        case 400:
            return "invalid_request";
        case 401:
            return "invalid_token";
        case 403:
            return "insufficient_scope";
        default:
            return "temporarily_unavailable";
    }
}

// RFC 6750 3: %x20-21 / %x23-5B / %x5D-7E
std::string description_safe(std::string_view text) {
    std::string safe(text);
    for (char &c : safe) {
        c = c == '"' || c == '\\' ? '\'' : c < 0x20 || c > 0x7e ? ' ' : c;
    }
    return safe;
}

Result<std::string_view> read_credentials(std::string_view authorization) {
    const size_t end = std::min(authorization.find(' '), authorization.size());
    if (!is_same(authorization.substr(0, end), "Bearer")) {
        return std::string_view();
    }
    std::string_view token = authorization.substr(end);
    token.remove_prefix(std::min(token.find_first_not_of(' '), token.size()));
    if (token.empty()) {
        return invalid_request("bearer_credentials", "there is no token behind Bearer");
    }
    if (token.size() > max_access_token) {
        return invalid_token("bearer_size", "expected at most " + std::to_string(max_access_token) + " bytes, found " +
                                                std::to_string(token.size()));
    }
    if (!std::all_of(token.begin(), token.end(), [](unsigned char c) { return is_token_character[c]; })) {
        return invalid_request("bearer_credentials", "there are characters behind Bearer that no token has");
    }
    return token;
}

bool has_query_token(std::string_view query) {
    constexpr std::string_view name = "access_token=";
    for (size_t at = query.find(name); at != std::string_view::npos; at = query.find(name, at + 1)) {
        if (at == 0 || query[at - 1] == '&') {
            return true;
        }
    }
    return false;
}

bool is_signed_token(std::string_view token) {
    if (std::count(token.begin(), token.end(), '.') != 2) {
        return false;
    }
    const auto header = base64url_decode(token.substr(0, token.find('.')));
    return header && starts_with(*header, "{");
}

Result<Json> check_access_token(const Client &client, const ProviderData &data, std::string_view token,
                                const AccessTokenRules &rules) {
    VerifyRules allowed;
    allowed.algs = id_token_algs(client, data.metadata);
    allowed.secret = client.client_secret;
    allowed.max_size = max_access_token;
    auto jws = verify(token, data.keys, allowed);
    if (!jws) {
        return as_invalid_token(jws.error());
    }
    if (auto error = check_type(*jws, rules)) {
        return std::move(*error);
    }
    IdTokenRules clock;
    clock.now = rules.now;
    if (auto error = check_signed({client, data.metadata, jws->claims, clock, jws->alg}, rules)) {
        return as_invalid_token(*error);
    }
    return jws->claims;
}

Result<Json> read_introspection(const Client &client, const Metadata &metadata, const http::Reply &reply,
                                const AccessTokenRules &rules) {
    if (reply.status != 200) {
        return unavailable(reply.status ? "expected 200, found " + std::to_string(reply.status)
                                        : "no answer: " + log_safe(reply.failure));
    }
    auto claims = parse_object(reply.body, "introspection answer");
    if (!claims) {
        return unavailable(claims.error().text);
    }
    const auto active = claims->boolean("active");
    if (!active) {
        return unavailable("there is no boolean active in the answer");
    }
    if (!*active) {
        return invalid_token("access_token_inactive", "the provider does not know the token, or it has ended");
    }
    IdTokenRules clock;
    clock.now = rules.now;
    if (auto error = check_introspected({client, metadata, *claims, clock, ""}, rules)) {
        return as_invalid_token(*error);
    }
    return claims;
}

Session session_of_token(const Client &client, const Json &claims, int64_t fallback_end) {
    Session session;
    const std::string binding = client.binding();
    std::memcpy(session.head.binding, binding.data(), std::min(binding.size(), sizeof session.head.binding));
    session.head.ends = claims.time("exp").value_or(fallback_end);
    session.head.auth_time = claims.time("auth_time").value_or(0);
    session[Field::sub] = claims.string("sub").value_or("");
    Keep keep = client.keep;
    keep.all_claims = true;
    keep.rules.insert(keep.rules.end(), std::begin(scope_claims), std::end(scope_claims));
    session[Field::claims_json] = keep.claims_json ? claims.dump() : "";
    session.claims = claim_table(claims, keep);
    return session;
}

bool has_scopes(const SessionView &session, const std::vector<std::string> &wanted) {
    return std::all_of(wanted.begin(), wanted.end(),
                       [&](const std::string &scope) { return has_scope(session, scope); });
}

}  // namespace oidc
