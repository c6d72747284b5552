#include "jose.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "jose_alg.hpp"
#include "text.hpp"

namespace oidc {

using jose::Alg;

namespace {

// A compact JWS taken apart; nothing in it is to be believed yet.
struct Compact {
    std::string_view protected_part, payload_part, signature_part;
    std::string_view signing_input;  // the first two with the dot between them
    std::string payload, signature;
    Json header;
    std::string alg, kid;
};

Error format_error(std::string text) {
    return provider_error("jws_format", std::move(text));
}
Error header_error(std::string text) {
    return provider_error("jws_header", std::move(text));
}

// RFC 7515 3.1: three parts. An encrypted token has five (RFC 7516 3.1).
std::optional<Error> split(std::string_view token, Compact &out) {
    const auto dots = std::count(token.begin(), token.end(), '.');
    if (dots != 2) {
        return format_error("token: expected 3 parts, found " + std::to_string(dots + 1));
    }
    const size_t first = token.find('.'), last = token.rfind('.');
    out.protected_part = token.substr(0, first);
    out.payload_part = token.substr(first + 1, last - first - 1);
    out.signature_part = token.substr(last + 1);
    out.signing_input = token.substr(0, last);
    return std::nullopt;
}

// RFC 7515 4.1. What the header says about keys (jwk, jku, x5u, x5c, x5t) is never looked at.
std::optional<Error> read_header(std::string_view text, Compact &out) {
    auto header = parse_object(text, "token header");
    if (!header) {
        return header_error(header.error().text);
    }
    out.header = std::move(*header);
    // RFC 7515 4.1.11: no extension is understood here.
    if (out.header.has("crit")) {
        return header_error("token header: critical extensions (crit) are not understood");
    }
    const auto alg = out.header.string("alg");
    const auto kid = out.header.string("kid");
    if (!alg || (!kid && out.header.has("kid"))) {
        return header_error(std::string("token header: ") + (alg ? "kid" : "alg") + " must be a string");
    }
    out.alg = *alg;
    out.kid = kid.value_or("");
    return std::nullopt;
}

Result<Compact> parse_compact(std::string_view token, size_t max_size) {
    if (token.size() > max_size) {
        return format_error("token: expected at most " + std::to_string(max_size) + " bytes, found " +
                            std::to_string(token.size()));
    }
    Compact out;
    if (auto error = split(token, out)) {
        return *error;
    }
    const auto header = base64url_decode(out.protected_part);
    auto payload = base64url_decode(out.payload_part);
    auto signature = base64url_decode(out.signature_part);
    if (!header || !payload || !signature) {
        const char *const which = !header ? "header" : !payload ? "payload" : "signature";
        return format_error(std::string("token: the ") + which + " is not strict base64url");
    }
    if (auto error = read_header(*header, out)) {
        return *error;
    }
    out.payload = std::move(*payload);
    out.signature = std::move(*signature);
    return out;
}

Result<Json> read_claims(std::string_view payload) {
    auto claims = parse_object(payload, "token payload");
    if (!claims) {
        return format_error(claims.error().text);
    }
    return claims;
}

// The allow-list decides, never the header; "none" is in no spelling a known algorithm.
Result<const Alg *> allowed_alg(const std::string &name, const VerifyRules &rules) {
    const Alg *alg = jose::find_alg(name);
    if (alg != nullptr && contains(rules.algs, name)) {
        return alg;
    }
    std::string expected;
    for (const auto &allowed : rules.algs) {
        expected += " " + allowed;
    }
    return provider_error("jws_alg",
                          "token alg: expected one of" + log_safe(expected) + ", found " + log_safe(name, 40));
}

// RFC 7518 3.4: R and S in full length, side by side; OpenSSL wants a DER sequence. Empty when OpenSSL fails.
std::string der_ecdsa(std::string_view signature) {
    const size_t size = signature.size() / 2;
    const jose::EcdsaSignature pair(ECDSA_SIG_new());
    jose::Number r(BN_bin2bn(octets(signature), static_cast<int>(size), nullptr));
    jose::Number s(BN_bin2bn(octets(signature) + size, static_cast<int>(size), nullptr));
    if (!pair || !r || !s) {
        return {};
    }
    ECDSA_SIG_set0(pair.get(), r.release(), s.release());
    std::string out(static_cast<size_t>(std::max(i2d_ECDSA_SIG(pair.get(), nullptr), 0)), '\0');
    auto *to = reinterpret_cast<unsigned char *>(out.data());
    i2d_ECDSA_SIG(pair.get(), &to);
    return out;
}

bool verify_with_key(const Compact &token, const Alg &alg, const Jwk &key) {
    std::string signature = token.signature;
    if (alg.kty == "EC") {
        // A DER sequence or a short form is no signature.
        if (signature.size() != 2 * alg.coordinate_size) {
            return false;
        }
        signature = der_ecdsa(signature);
    }
    const jose::MdContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX *key_context = nullptr;
    return key.key && context &&
           EVP_DigestVerifyInit_ex(context.get(), &key_context, alg.hash, nullptr, nullptr, key.key.get(), nullptr) ==
               1 &&
           (!jose::is_pss(alg) || jose::use_pss(key_context)) &&
           EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(token.signing_input),
                            token.signing_input.size()) == 1;
}

std::optional<Error> verify_by_secret(const Compact &token, const Alg &alg, std::string_view secret) {
    // RFC 7518 3.2: a key at least as long as the hash.
    if (secret.size() < alg.hash_size) {
        return provider_error("jws_alg", "token alg: " + token.alg + " needs a client secret of at least " +
                                             std::to_string(alg.hash_size) + " bytes");
    }
    const std::string expected = jose::hmac(alg, secret, token.signing_input);
    if (expected.empty() || !equal_constant_time(expected, token.signature)) {
        return provider_error("jws_signature",
                              "token signature: " + token.alg + " with the client secret does not verify");
    }
    return std::nullopt;
}

Result<const Jwk *> verify_by_keys(const Compact &token, const Alg &alg, const KeySet &keys) {
    const auto candidates = keys.candidates(token.kid, token.alg);
    if (candidates.empty()) {
        return provider_error("jws_key", "token key: none of the provider's " + std::to_string(keys.size()) +
                                             " keys fits alg " + token.alg + " and kid \"" + log_safe(token.kid, 60) +
                                             "\"");
    }
    for (const Jwk *key : candidates) {
        if (verify_with_key(token, alg, *key)) {
            return key;
        }
    }
    return provider_error("jws_signature", "token signature: alg " + token.alg + ", kid \"" + log_safe(token.kid, 60) +
                                               "\" verifies with none of " + std::to_string(candidates.size()) +
                                               " keys");
}

}  // namespace

Result<Jws> parse_jws(std::string_view token, size_t max_size) {
    auto compact = parse_compact(token, max_size);
    if (!compact) {
        return compact.error();
    }
    auto claims = read_claims(compact->payload);
    if (!claims) {
        return claims.error();
    }
    return Jws{std::move(compact->header), std::move(*claims), std::move(compact->alg), std::move(compact->kid), ""};
}

// RFC 7515 5.2.
Result<SignedPayload> verify_payload(std::string_view token, const KeySet &keys, const VerifyRules &rules) {
    const jose::CleanErrors clean;
    auto compact = parse_compact(token, rules.max_size);
    if (!compact) {
        return compact.error();
    }
    const auto alg = allowed_alg(compact->alg, rules);
    if (!alg) {
        return alg.error();
    }
    std::string crv;
    if ((*alg)->kty == "oct") {
        if (auto error = verify_by_secret(*compact, **alg, rules.secret)) {
            return *error;
        }
    } else {
        const auto key = verify_by_keys(*compact, **alg, keys);
        if (!key) {
            return key.error();
        }
        crv = (*key)->crv;
    }
    return SignedPayload{std::move(compact->header), std::move(compact->alg), std::move(compact->kid), std::move(crv),
                         std::move(compact->payload)};
}

Result<Jws> verify(std::string_view token, const KeySet &keys, const VerifyRules &rules) {
    auto verified = verify_payload(token, keys, rules);
    if (!verified) {
        return verified.error();
    }
    auto claims = read_claims(verified->payload);
    if (!claims) {
        return claims.error();
    }
    return Jws{std::move(verified->header), std::move(*claims), std::move(verified->alg), std::move(verified->kid),
               std::move(verified->crv)};
}

bool may_be_stale_keys(const Error &error) {
    return error.rule == "jws_key" || error.rule == "jws_signature";
}

}  // namespace oidc
