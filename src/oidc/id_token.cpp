// What an ID token and a UserInfo answer must prove (C 3.1.3.7 and 5.3.2).
#include <strings.h>

#include <algorithm>

#include "protocol.hpp"
#include "query.hpp"
#include "token_checks.hpp"

namespace oidc {

using namespace token;

namespace {

Error refuse(std::string rule, std::string text, int status = 0) {
    return provider_error(std::move(rule), std::move(text), status);
}

std::string quoted(std::string_view text) {
    return "\"" + log_safe(text) + "\"";
}

}  // namespace

namespace token {

std::string expected_found(std::string_view expected, std::string_view found) {
    return "expected " + quoted(expected) + ", found " + quoted(found);
}

// A text is one audience, whatever blanks are in it. Empty for anything malformed.
std::vector<std::string> audiences(const Json &claims) {
    return claims.list("aud").value_or(std::vector<std::string>());
}

// The issuer with the token's own `tid` in it, and that one of those who may come in.
Verdict check_tenant(const Check &check, const char *rule, const std::string &iss) {
    const std::string tid = check.claims.string("tid").value_or("");
    std::string expected = check.metadata.issuer;
    expected.replace(expected.find("{tenantid}"), 10, tid);
    if (tid.empty() || iss != expected) {
        return refuse(rule, expected_found(expected, iss));
    }
    if (!takes_tenant(check.client, tid)) {
        return refuse("id_token_tenant", "expected one of issuer_tenants, found " + quoted(tid), 403);
    }
    return std::nullopt;
}

// C 3.1.3.7 rule 2
Verdict check_iss(const Check &check, const char *rule) {
    const std::string iss = check.claims.string("iss").value_or("");
    if (is_for_tenants(check.metadata) && iss != check.metadata.issuer) {
        return check_tenant(check, rule, iss);
    }
    if (!is_issuer(check.client, check.metadata, iss)) {
        return refuse(rule, expected_found(check.client.issuer, iss));
    }
    return std::nullopt;
}

// issuer_tenants counts at an issuer of one organisation too.
Verdict check_tenants(const Check &check) {
    const std::string tid = check.claims.string("tid").value_or("");
    if (check.client.tenants.empty() || check.client.tenants[0] == "any" || takes_tenant(check.client, tid)) {
        return std::nullopt;
    }
    return refuse("id_token_tenant", "expected one of issuer_tenants, found " + quoted(tid), 403);
}

// Rule 3
Verdict check_aud(const Check &check, const char *rule) {
    const auto list = audiences(check.claims);
    if (!contains(list, check.client.client_id)) {
        return refuse(rule, expected_found(check.client.client_id, join_words(list)));
    }
    return std::nullopt;
}

// Rules 4 and 5, stricter: with several audiences the token must say that it was made for us.
Verdict check_azp(const Check &check) {
    if (!check.claims.has("azp")) {
        if (audiences(check.claims).size() > 1) {
            return refuse("id_token_azp", "several audiences and no azp");
        }
        return std::nullopt;
    }
    const std::string azp = check.claims.string("azp").value_or("");
    if (azp != check.client.client_id) {
        return refuse("id_token_azp", expected_found(check.client.client_id, azp));
    }
    return std::nullopt;
}

// Times are at most 2^53, so that a sum with a few configured seconds cannot overflow.
std::string far_from(const char *claim, int64_t found, int64_t now) {
    return std::string(claim) + " is " + std::to_string(found) + ", the time here is " + std::to_string(now);
}

// Rule 9
Verdict check_exp(const Check &check, const char *rule) {
    const auto exp = check.claims.time("exp");
    if (!exp) {
        return refuse(rule, "there is no usable exp");
    }
    if (*exp + check.client.clock_skew <= check.rules.now) {
        return refuse(rule, far_from("exp", *exp, check.rules.now));
    }
    return std::nullopt;
}

// iat (rule 10, demanded by C 2) and nbf: not from the future.
Verdict check_begin(const Check &check, const char *claim, const char *rule) {
    const auto begin = check.claims.time(claim);
    if (!begin) {
        return refuse(rule, std::string("there is no usable ") + claim);
    }
    if (*begin > check.rules.now + check.client.clock_skew) {
        return refuse(rule, far_from(claim, *begin, check.rules.now));
    }
    return std::nullopt;
}

// C 2: at most 255 characters. Control characters would be smuggled into logs and headers.
Verdict check_sub(const Check &check, const char *rule) {
    const std::string sub = check.claims.string("sub").value_or("");
    const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    const auto begins_character = [](unsigned char c) { return (c & 0xc0) != 0x80; };
    const auto length = std::count_if(sub.begin(), sub.end(), begins_character);
    if (length < 1 || length > 255) {
        return refuse(rule, "expected 1 to 255 characters, found " + std::to_string(length));
    }
    if (std::any_of(sub.begin(), sub.end(), is_control)) {
        return refuse(rule, "there are control characters in it");
    }
    return std::nullopt;
}

}  // namespace token

namespace {

Verdict check_times(const Check &check) {
    if (auto error = check_exp(check, "id_token_exp")) {
        return error;
    }
    if (auto error = check_begin(check, "iat", "id_token_iat")) {
        return error;
    }
    return check.claims.has("nbf") ? check_begin(check, "nbf", "id_token_nbf") : std::nullopt;
}

Verdict check_subject(const Check &check) {
    return check_sub(check, "id_token_sub");
}

// Rule 11. The values stay out of the text: whoever reads the log must not learn them.
Verdict check_nonce(const Check &check) {
    const std::string nonce = check.claims.string("nonce").value_or("");
    if (!check.rules.nonce.empty() && !equal_constant_time(nonce, check.rules.nonce)) {
        return refuse("id_token_nonce", nonce.empty() ? "there is no nonce" : "it is not the one that was sent");
    }
    return std::nullopt;
}

// C 3.1.3.8 and 3.3.2.11
Verdict check_hash(const Check &check, const char *claim, std::string_view text) {
    if (text.empty() || !check.claims.has(claim)) {
        return std::nullopt;
    }
    const std::string expected = half_hash(check.alg, text);
    const std::string found = check.claims.string(claim).value_or("");
    if (expected.empty() || !equal_constant_time(found, expected)) {
        return refuse("id_token_" + std::string(claim), "it belongs to another value");
    }
    return std::nullopt;
}

// Rule 13. Written as a difference: max_age may be any number that fits.
Verdict check_auth_time(const Check &check) {
    if (check.rules.max_age < 0) {
        return std::nullopt;
    }
    if (auto error = check_begin(check, "auth_time", "id_token_auth_time")) {
        return error;
    }
    const int64_t auth_time = check.claims.time("auth_time").value_or(0);
    if (check.rules.now - auth_time - check.client.clock_skew > check.rules.max_age) {
        return refuse("id_token_auth_time", far_from("auth_time", auth_time, check.rules.now) + ", max_age " +
                                                std::to_string(check.rules.max_age));
    }
    return std::nullopt;
}

// Rule 12
Verdict check_acr(const Check &check) {
    const std::string acr = check.claims.string("acr").value_or("");
    if (!check.rules.acr_values.empty() && !contains(check.rules.acr_values, acr)) {
        return refuse("id_token_acr", expected_found(join_words(check.rules.acr_values), acr), 403);
    }
    return std::nullopt;
}

// From whom and for whom first: what follows only makes sense for a token that is meant for us.
Verdict check_claims(const Check &check) {
    if (auto error = check_iss(check, "id_token_iss")) {
        return error;
    }
    if (auto error = check_aud(check, "id_token_aud")) {
        return error;
    }
    if (auto error = check_hash(check, "at_hash", check.rules.access_token)) {
        return error;
    }
    if (auto error = check_hash(check, "c_hash", check.rules.code)) {
        return error;
    }
    for (const auto one :
         {check_tenants, check_azp, check_times, check_subject, check_nonce, check_auth_time, check_acr}) {
        if (auto error = one(check)) {
            return error;
        }
    }
    return std::nullopt;
}

// The configured list counts for UserInfo too; else the metadata's own one for it.
std::vector<std::string> userinfo_algs(const Client &client, const Metadata &metadata) {
    Metadata of_userinfo = metadata;
    if (!metadata.userinfo_algs.empty()) {
        of_userinfo.id_token_algs = metadata.userinfo_algs;
    }
    return id_token_algs(client, of_userinfo);
}

// C 5.3.2 leaves the choice to the provider and names the type by which to tell.
bool is_jwt(const http::Reply &reply) {
    const std::string_view type = reply.header("content-type");
    return strncasecmp(std::string(type).c_str(), "application/jwt", 15) == 0;
}

// C 5.3.2: a signed answer names its issuer and audience, and we demand both.
Result<Json> read_signed_userinfo(const Client &client, const ProviderData &data, std::string_view token) {
    VerifyRules allowed;
    allowed.algs = userinfo_algs(client, data.metadata);
    allowed.secret = client.client_secret;
    auto jws = verify(token, data.keys, allowed);
    if (!jws) {
        return jws.error();
    }
    const IdTokenRules none;
    const Check check{client, data.metadata, jws->claims, none, jws->alg};
    for (const auto one : {check_iss, check_aud}) {
        if (auto error = one(check, "userinfo_token")) {
            return std::move(*error);
        }
    }
    return jws->claims;
}

Result<Json> read_plain_userinfo(const http::Reply &reply) {
    auto claims = parse_object(reply.body, "UserInfo answer");
    if (!claims) {
        return provider_error("userinfo_format", claims.error().text);
    }
    return claims;
}

}  // namespace

Result<Jws> check_id_token(const Client &client, const ProviderData &data, std::string_view token,
                           const IdTokenRules &rules) {
    VerifyRules allowed;
    allowed.algs = id_token_algs(client, data.metadata);
    allowed.secret = client.client_secret;
    auto jws = verify(token, data.keys, allowed);
    if (!jws) {
        return jws.error();
    }
    if (auto error = check_claims({client, data.metadata, jws->claims, rules, jws->alg})) {
        return std::move(*error);
    }
    return jws;
}

Result<Json> read_userinfo(const Client &client, const ProviderData &data, const http::Reply &reply,
                           std::string_view sub) {
    if (reply.status != 200) {
        const std::string found = reply.status ? std::to_string(reply.status) : "no answer: " + log_safe(reply.failure);
        return provider_error("userinfo_unavailable", "UserInfo request: expected 200, found " + found);
    }
    auto claims = is_jwt(reply) ? read_signed_userinfo(client, data, reply.body) : read_plain_userinfo(reply);
    if (!claims) {
        return claims;
    }
    // Without this comparison somebody's access token could bring in another one's claims.
    const auto found = claims->string("sub");
    if (!found || *found != sub) {
        return provider_error("userinfo_sub", found ? "it names somebody else than the ID token" : "there is no sub");
    }
    return claims;
}

}  // namespace oidc
