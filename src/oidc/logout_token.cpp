#include "logout_token.hpp"

#include <strings.h>

#include <algorithm>

namespace oidc {

namespace {

constexpr int64_t max_age = 300;  // seconds since iat
constexpr const char *logout_event = "http://schemas.openid.net/event/backchannel-logout";

struct Check {
    const Client &client;
    const Metadata &metadata;
    const Json &header;
    const Json &claims;
    int64_t now;
};
using Verdict = std::optional<Error>;

// The signature is good by now: whatever is wrong, the provider made it.
Error refuse(const char *rule, std::string text) {
    return provider_error(std::string("logout_token_") + rule, std::move(text), 400);
}

std::string expected_found(std::string_view expected, std::string_view found) {
    return "expected \"" + log_safe(expected) + "\", found \"" + log_safe(found) + "\"";
}

// A type of its own keeps tokens of other kinds out; many providers send none, or JWT.
Verdict check_typ(const Check &check) {
    if (!check.header.has("typ")) {
        return std::nullopt;
    }
    const std::string typ = check.header.string("typ").value_or("");
    for (const char *good : {"logout+jwt", "JWT", "application/logout+jwt"}) {
        if (strcasecmp(typ.c_str(), good) == 0) {
            return std::nullopt;
        }
    }
    return refuse("typ", expected_found("logout+jwt", typ));
}

Verdict check_iss(const Check &check) {
    const std::string iss = check.claims.string("iss").value_or("");
    return is_issuer(check.client, check.metadata, iss) ? Verdict()
                                                        : refuse("iss", expected_found(check.client.issuer, iss));
}

Verdict check_aud(const Check &check) {
    const auto list = check.claims.list("aud").value_or(std::vector<std::string>());
    return contains(list, check.client.client_id)
               ? Verdict()
               : refuse("aud", "\"" + log_safe(check.client.client_id) + "\" is not among its audiences");
}

std::string far_from(const char *claim, int64_t found, int64_t now) {
    return std::string(claim) + " is " + std::to_string(found) + ", the time here is " + std::to_string(now);
}

// Times are at most 2^53: no sum with a few seconds overflows.
Verdict check_iat(const Check &check) {
    const auto iat = check.claims.time("iat");
    if (!iat) {
        return refuse("iat", "there is no usable iat");
    }
    const int64_t skew = check.client.clock_skew;
    const bool fits = *iat <= check.now + skew && check.now <= *iat + max_age + skew;
    return fits ? Verdict() : refuse("iat", far_from("iat", *iat, check.now));
}

Verdict check_exp(const Check &check) {
    if (!check.claims.has("exp")) {
        return std::nullopt;
    }
    const auto exp = check.claims.time("exp");
    if (!exp) {
        return refuse("exp", "there is no usable exp");
    }
    return check.now < *exp + check.client.clock_skew ? Verdict() : refuse("exp", far_from("exp", *exp, check.now));
}

Verdict check_nbf(const Check &check) {
    if (!check.claims.has("nbf")) {
        return std::nullopt;
    }
    const auto nbf = check.claims.time("nbf");
    if (!nbf) {
        return refuse("nbf", "there is no usable nbf");
    }
    return *nbf <= check.now + check.client.clock_skew ? Verdict() : refuse("nbf", far_from("nbf", *nbf, check.now));
}

bool is_text(const std::string &text) {
    const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    return !text.empty() && text.size() <= 1024 && std::none_of(text.begin(), text.end(), is_control);
}

Verdict check_jti(const Check &check) {
    return is_text(check.claims.string("jti").value_or("")) ? Verdict() : refuse("jti", "there is no usable jti");
}

// An ID token, which has no such member, must never pass for a logout token.
Verdict check_events(const Check &check) {
    const Json events = check.claims.member("events");
    if (!events.is_object() || !events.has(logout_event)) {
        return refuse("events", "the logout event is not among its events");
    }
    return events.member(logout_event).is_object() ? Verdict() : refuse("events", "the logout event is no object");
}

// Nor a logout token for an ID token.
Verdict check_nonce(const Check &check) {
    return check.claims.has("nonce") ? refuse("nonce", "there is a nonce, which no logout token may have") : Verdict();
}

Verdict check_subject(const Check &check) {
    if (!check.claims.has("sid") && !check.claims.has("sub")) {
        return refuse("subject", "there is neither sid nor sub");
    }
    for (const char *name : {"sid", "sub"}) {
        if (check.claims.has(name) && !is_text(check.claims.string(name).value_or(""))) {
            return refuse("subject", std::string(name) + " is of no use");
        }
    }
    return std::nullopt;
}

}  // namespace

Result<LogoutToken> check_logout_token(const Client &client, const ProviderData &data, std::string_view token,
                                       const LogoutRules &rules) {
    VerifyRules allowed;
    allowed.algs = id_token_algs(client, data.metadata);
    allowed.secret = client.client_secret;
    auto jws = verify(token, data.keys, allowed);
    if (!jws) {
        return browser_error(jws.error().rule, jws.error().text, 400);
    }
    // One algorithm is registered for a client, its id_token_signed_response_alg, and it holds for both kinds of token.
    // It is judged after the signature: an unknown key has the keys fetched first, and with them it may have changed.
    if (client.id_token_algs.empty() && !rules.id_token_alg.empty() && jws->alg != rules.id_token_alg) {
        return browser_error("logout_token_alg",
                             expected_found(rules.id_token_alg, jws->alg) +
                                 "; if its ID tokens come with both, write \"id_token_signing_algs\"",
                             400);
    }
    const Check check{client, data.metadata, jws->header, jws->claims, rules.now};
    for (const auto one : {check_typ, check_iss, check_aud, check_iat, check_exp, check_nbf, check_jti, check_events,
                           check_nonce, check_subject}) {
        if (auto error = one(check)) {
            return std::move(*error);
        }
    }
    LogoutToken found;
    found.sid = jws->claims.string("sid").value_or("");
    found.sub = jws->claims.string("sub").value_or("");
    found.jti = jws->claims.string("jti").value_or("");
    found.remember_until = jws->claims.time("iat").value_or(rules.now) + max_age + client.clock_skew + 1;
    return found;
}

}  // namespace oidc
