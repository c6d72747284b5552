#include "provider.hpp"

#include <strings.h>

#include "http.hpp"

namespace oidc {

namespace {

struct Endpoint {
    const char *member;
    std::string Metadata::*field;
    bool required;
    std::string StaticData::*fixed;  // the configuration's word for it, where there is one
    bool is_ours = false;            // we call it, and not the browser
};

// A provider that names no token_endpoint cannot serve the code flow, whatever D 3 allows to implicit-only ones.
constexpr Endpoint endpoints[] = {
    {"authorization_endpoint", &Metadata::authorization_endpoint, true, &StaticData::authorization_endpoint},
    {"token_endpoint", &Metadata::token_endpoint, true, &StaticData::token_endpoint, true},
    {"jwks_uri", &Metadata::jwks_uri, false, &StaticData::jwks_uri},
    {"userinfo_endpoint", &Metadata::userinfo_endpoint, false, &StaticData::userinfo_endpoint, true},
    {"end_session_endpoint", &Metadata::end_session_endpoint, false, &StaticData::end_session_endpoint},
    {"revocation_endpoint", &Metadata::revocation_endpoint, false, &StaticData::revocation_endpoint, true},
    {"introspection_endpoint", &Metadata::introspection_endpoint, false, &StaticData::introspection_endpoint, true},
    {"check_session_iframe", &Metadata::check_session_iframe, false, nullptr},
};

// Plain http is for a provider on this machine that is itself named so, or for those who wrote insecure_http.
bool is_allowed_endpoint(const Client &client, const http::Url &url) {
    if (url.scheme == "https" || client.insecure_http) {
        return true;
    }
    const auto issuer = http::parse_url(client.issuer);
    return issuer && issuer->scheme == url.scheme && http::is_loopback_host(issuer->host) &&
           http::is_loopback_host(url.host);
}

// A bad optional endpoint is an error too: to leave it out would switch something off without a word.
Result<std::string> read_endpoint(const Client &client, const Json &document, const Endpoint &endpoint) {
    // nginx -t has checked what is configured.
    if (endpoint.fixed != nullptr && !(client.fixed.*endpoint.fixed).empty()) {
        return client.fixed.*endpoint.fixed;
    }
    // RFC 8705 5: who shows a certificate uses the aliases where there are any.
    const bool by_certificate = client.auth == ClientAuth::tls || client.auth == ClientAuth::self_signed_tls;
    const Json aliases = by_certificate && endpoint.is_ours ? document.member("mtls_endpoint_aliases") : Json();
    const bool alias = aliases && aliases.has(endpoint.member);
    const std::string value = (alias ? aliases : document).string(endpoint.member).value_or("");
    if (value.empty()) {
        if (endpoint.required) {
            return provider_error("metadata_endpoint", std::string("the metadata has no ") + endpoint.member);
        }
        return value;
    }
    const auto url = http::parse_url(value);
    if (!url || !is_allowed_endpoint(client, *url)) {
        return provider_error("metadata_endpoint", std::string(endpoint.member) + ": expected " +
                                                       (url ? "https" : "an absolute https URL") + ", found \"" +
                                                       log_safe(value) + "\"");
    }
    return value;
}

constexpr std::string_view placeholder = "{tenantid}";

// The segment of `issuer` where the pattern has its placeholder; nothing when anything else differs.
std::optional<std::string_view> tenant_in(std::string_view pattern, std::string_view issuer) {
    const size_t start = pattern.find(placeholder);
    if (start == pattern.npos) {
        return std::nullopt;
    }
    const std::string_view before = pattern.substr(0, start), behind = pattern.substr(start + placeholder.size());
    if (issuer.size() <= before.size() + behind.size() || !starts_with(issuer, before) || !ends_with(issuer, behind)) {
        return std::nullopt;
    }
    const std::string_view tenant = issuer.substr(start, issuer.size() - before.size() - behind.size());
    return tenant.find('/') == tenant.npos ? std::optional(tenant) : std::nullopt;
}

// The metadata at .../common/... are for a whole pattern of issuers. Who wrote issuer_tenants, or gave the URL only,
// means that; anybody else gets the issuer that was written.
bool stands_for(std::string_view pattern, const Client &client) {
    return (client.issuer_slash || !client.tenants.empty()) && tenant_in(pattern, client.issuer).has_value();
}

bool same_tenant(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// What is not known cannot be verified, so it need not be remembered.
std::vector<std::string> read_algs(const Json &document, const char *member) {
    std::vector<std::string> known;
    for (const auto &alg : document.strings(member).value_or(std::vector<std::string>())) {
        if (is_known_signing_alg(alg)) {
            known.push_back(alg);
        }
    }
    return known;
}

// Absent is not the same as empty: without the list, D 3 says client_secret_basic.
std::vector<std::string> read_auth_methods(const Json &document) {
    const char *member = "token_endpoint_auth_methods_supported";
    if (!document.has(member)) {
        return {"client_secret_basic"};
    }
    return document.strings(member).value_or(std::vector<std::string>());
}

// Who verifies by the client secret alone needs no key set.
bool needs_keys(const Client &client, const Metadata &metadata) {
    for (const auto &alg : id_token_algs(client, metadata)) {
        if (is_asymmetric_signing_alg(alg)) {
            return true;
        }
    }
    return false;
}

}  // namespace

std::string Client::binding() const {
    // Each part with its length in front: no two triples run together into the same text.
    std::string text;
    for (const std::string *part : {&name, &issuer, &client_id}) {
        text += std::to_string(part->size()) + ':' + *part;
    }
    return std::string(bytes(sha256(text)).substr(0, 16));
}

std::string Client::discovery_url() const {
    if (!config_url.empty()) {
        return config_url;
    }
    // D 4.1: a terminating slash goes before the well-known path is appended.
    std::string url = issuer;
    if (!url.empty() && url.back() == '/') {
        url.pop_back();
    }
    return url + "/.well-known/openid-configuration";
}

bool Client::needs_no_discovery() const {
    return !fixed.authorization_endpoint.empty() && !fixed.token_endpoint.empty() &&
           (!fixed.jwks_uri.empty() || !fixed.keys.empty());
}

std::string static_document(const Client &client) {
    Json document = Json::object();
    document.set("issuer", std::string_view(client.issuer));
    for (const Endpoint &endpoint : endpoints) {
        if (endpoint.fixed != nullptr && !(client.fixed.*endpoint.fixed).empty()) {
            document.set(endpoint.member, std::string_view(client.fixed.*endpoint.fixed));
        }
    }
    // Nobody announces algorithms: the keys decide among the asymmetric ones. PKCE harms no provider that ignores it.
    document.set("id_token_signing_alg_values_supported",
                 std::string_view("RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA"));
    document.set("code_challenge_methods_supported", std::string_view("S256"));
    return document.dump();
}

bool is_for_tenants(const Metadata &metadata) {
    return metadata.issuer.find(placeholder) != std::string::npos;
}

bool fits_pattern(const Metadata &metadata, std::string_view iss) {
    return tenant_in(metadata.issuer, iss).has_value();
}

bool takes_tenant(const Client &client, std::string_view tid) {
    if (tid.empty() || tid.find('/') != tid.npos || tid == placeholder) {
        return false;
    }
    for (const std::string &tenant : client.tenants) {
        if (tenant == "any" || same_tenant(tenant, tid)) {
            return true;
        }
    }
    return false;
}

bool is_issuer(const Client &client, const Metadata &metadata, std::string_view iss) {
    if (!is_for_tenants(metadata)) {
        return client.is_issuer(iss);
    }
    const auto tenant = tenant_in(metadata.issuer, iss);
    return tenant && takes_tenant(client, *tenant);
}

Result<Metadata> read_metadata(const Client &client, std::string_view text) {
    auto document = parse_object(text, "metadata");
    if (!document) {
        return provider_error("metadata_format", document.error().text);
    }
    Metadata metadata;
    metadata.issuer = document->string("issuer").value_or("");
    // D 4.3: identical, or one provider could speak for another.
    if (!client.is_issuer(metadata.issuer) && !stands_for(metadata.issuer, client)) {
        return provider_error("metadata_issuer", "expected \"" + log_safe(client.issuer) + "\", found \"" +
                                                     log_safe(metadata.issuer) + "\"");
    }
    for (const auto &endpoint : endpoints) {
        auto value = read_endpoint(client, *document, endpoint);
        if (!value) {
            return value.error();
        }
        metadata.*endpoint.field = std::move(*value);
    }
    metadata.id_token_algs = read_algs(*document, "id_token_signing_alg_values_supported");
    metadata.userinfo_algs = read_algs(*document, "userinfo_signing_alg_values_supported");
    metadata.token_auth_methods = read_auth_methods(*document);
    metadata.code_challenge_methods =
        document->strings("code_challenge_methods_supported").value_or(std::vector<std::string>());
    metadata.iss_parameter = document->boolean("authorization_response_iss_parameter_supported").value_or(false);
    if (metadata.jwks_uri.empty() && client.fixed.keys.empty() && needs_keys(client, metadata)) {
        return provider_error("metadata_endpoint", "the metadata has no jwks_uri: no ID token can be verified");
    }
    return metadata;
}

std::vector<std::string> id_token_algs(const Client &client, const Metadata &metadata) {
    if (!client.id_token_algs.empty()) {
        return client.id_token_algs;
    }
    // HMAC only where it is configured: the metadata alone must not turn a client secret into a verification key.
    std::vector<std::string> algs;
    for (const auto &alg : metadata.id_token_algs) {
        if (is_asymmetric_signing_alg(alg)) {
            algs.push_back(alg);
        }
    }
    if (algs.empty()) {
        algs.emplace_back("RS256");
    }
    return algs;
}

bool uses_pkce(const Client &client, const Metadata &metadata) {
    // BCP 2.1.1: without a credential the verifier is all that ties the code to us.
    if (client.is_public() || client.auth == ClientAuth::none || client.pkce == Pkce::on) {
        return true;
    }
    return client.pkce == Pkce::automatic && contains(metadata.code_challenge_methods, "S256");
}

}  // namespace oidc
