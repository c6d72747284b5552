// A provider and what we are to it: the configured client, the provider's metadata, and what follows from both.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jose.hpp"
#include "text.hpp"

namespace oidc {

enum class Pkce { automatic, on, off };
enum class ClientAuth { automatic, basic, post, secret_jwt, private_key_jwt, tls, self_signed_tls, none };

// What is kept of a login in the session.
struct Keep {
    bool id_token = false;
    bool access_token = false;
    bool refresh_token = false;
    bool claims_json = false;                         // all claims as JSON, for nested names and "who am I"
    bool userinfo = false;                            // UserInfo's answer as it came
    bool session_state = false;                       // where the provider has a check_session_iframe
    bool first_claims = false, first_tokens = false;  // as at the login, beside the renewed ones
    bool all_claims = true;                           // every top-level claim in the flat table; else those named
    std::vector<std::string> claims;
    std::vector<std::string> rules;   // paths that rules ask for: their values one by one
    std::vector<std::string> nested;  // paths behind variables: their texts
};

// What the configuration says in place of the provider's metadata; empty: the metadata's.
struct StaticData {
    std::string authorization_endpoint, token_endpoint, userinfo_endpoint, end_session_endpoint;
    std::string revocation_endpoint, introspection_endpoint, jwks_uri;
    std::string keys;  // a key set, as it stands in a file
};

// One oidc_provider block as plain values.
struct Client {
    std::string name;
    std::string issuer;
    std::string client_id, client_secret;  // no secret: a public client
    std::string config_url;                // empty: issuer + the well-known path (D 4)
    std::string scope = "openid";
    std::string redirect_uri = "/oidc_callback";  // path or absolute URL
    std::string response_mode;    // as sent; empty: query, which needs no word (OAuth 2.0 Multiple Response Types 2.1)
    std::string post_logout_uri;  // path, absolute URL or empty
    bool issuer_slash = false;    // the issuer may end in a slash that `issuer` lacks
    bool logout_token_hint = false;
    bool userinfo = false;
    bool insecure_http = false;
    Pkce pkce = Pkce::automatic;
    ClientAuth auth = ClientAuth::automatic;
    std::vector<std::string> id_token_algs;  // empty: what the metadata lists
    std::vector<std::string> acr_values;
    std::vector<std::string> tenants;             // issuer_tenants: of an issuer with {tenantid}; "any" alone: all
    int64_t clock_skew = 60;                      // seconds
    int64_t max_age = -1;                         // seconds; -1: not asked for
    int64_t session_timeout = int64_t{8} * 3600;  // seconds
    int64_t session_max_age = 0;                  // seconds; 0: off
    Keep keep;
    StaticData fixed;
    std::optional<SigningKey> key;  // client_key

    // 16 bytes that bind a session to provider, issuer and client.
    std::string binding() const;
    std::string discovery_url() const;
    bool is_issuer(std::string_view found) const { return found == issuer || (issuer_slash && found == issuer + "/"); }
    // Endpoints and a source of keys are configured: nothing is left to discover.
    bool needs_no_discovery() const;
    bool is_public() const {
        return client_secret.empty() && auth != ClientAuth::private_key_jwt && auth != ClientAuth::tls &&
               auth != ClientAuth::self_signed_tls;
    }
};

// OpenID Provider Metadata (D 3), only what is used.
struct Metadata {
    std::string issuer;
    std::string authorization_endpoint, token_endpoint, userinfo_endpoint, jwks_uri;
    std::string end_session_endpoint, revocation_endpoint, introspection_endpoint, check_session_iframe;
    std::vector<std::string> id_token_algs, token_auth_methods, code_challenge_methods, userinfo_algs;
    bool iss_parameter = false;  // authorization_response_iss_parameter_supported
};

// Metadata and keys as one immutable value, shared by those who use it at the moment.
struct ProviderData {
    Metadata metadata;
    KeySet keys;
};

// D 3 and 4.3: the issuer equals the configured one byte for byte; endpoints are https (or the issuer's own scheme on a
// loopback host, or http with insecure_http); the required members are there.
Result<Metadata> read_metadata(const Client &client, std::string_view document);

// Entra ID's metadata for several organisations has {tenantid} where a token's own issuer has the organisation's `tid`.
bool is_for_tenants(const Metadata &metadata);
bool fits_pattern(const Metadata &metadata, std::string_view iss);
bool takes_tenant(const Client &client, std::string_view tid);
// Whether `iss` speaks for the provider: its issuer, or that of an organisation that may come in.
bool is_issuer(const Client &client, const Metadata &metadata, std::string_view iss);

// A metadata document of what is configured, for those who need no discovery.
std::string static_document(const Client &client);

// The ID token algorithms that count: configured ones, else the metadata's among RS/PS/ES/EdDSA, else RS256.
std::vector<std::string> id_token_algs(const Client &client, const Metadata &metadata);
bool uses_pkce(const Client &client, const Metadata &metadata);

// The client's part of a token, revocation or introspection request.
struct AuthenticatedForm {
    Parameters form;
    std::vector<std::pair<std::string, std::string>> headers;
};
// Adds the client's authentication (RFC 6749 2.3, C 9). `now` is seconds since 1970.
Result<bool> authenticate(const Client &client, const Metadata &metadata, int64_t now, AuthenticatedForm &request);

}  // namespace oidc
