// Metadata, what follows from it, and client authentication (D 3 and 4, RFC 6749 2.3, C 9).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

#include "fake_provider.hpp"

extern "C" {
#include <cmocka.h>
}

using namespace oidc;

namespace {

void expect_text(const char *name, const std::string &found, const std::string &expected) {
    if (found != expected) {
        fail_msg("%s: expected \"%s\", found \"%s\"", name, expected.c_str(), found.c_str());
    }
}

void discovery_url(void **) {
    const struct {
        const char *issuer, *config_url, *expected;
    } cases[] = {
        {"https://id.example", "", "https://id.example/.well-known/openid-configuration"},
        {"https://id.example/", "", "https://id.example/.well-known/openid-configuration"},
        {"https://id.example/realm", "", "https://id.example/realm/.well-known/openid-configuration"},
        {"https://id.example/realm/", "", "https://id.example/realm/.well-known/openid-configuration"},
        {"https://id.example", "https://other.example/conf", "https://other.example/conf"},
    };
    for (const auto &one : cases) {
        Client client;
        client.issuer = one.issuer;
        client.config_url = one.config_url;
        expect_text(one.issuer, client.discovery_url(), one.expected);
    }
}

void binding_tells_clients_apart(void **) {
    const auto binding = [](const char *name, const char *issuer, const char *id) {
        Client client;
        client.name = name;
        client.issuer = issuer;
        client.client_id = id;
        return client.binding();
    };
    const std::string one = binding("a", "https://b", "c");
    assert_int_equal(one.size(), 16);
    assert_true(one == binding("a", "https://b", "c"));
    assert_false(one == binding("x", "https://b", "c"));
    assert_false(one == binding("a", "https://x", "c"));
    assert_false(one == binding("a", "https://b", "x"));
    assert_false(binding("ab", "c", "d") == binding("a", "bc", "d"));
}

// One member of good metadata is changed; a null value removes it. `rule` empty: accepted.
struct MetadataCase {
    const char *name, *member, *value, *rule;
    void (*tweak)(Client &);
};

void on_loopback(Client &client) {
    client.issuer = "http://localhost:8080";
}
void insecure(Client &client) {
    client.insecure_http = true;
}
void hmac_only(Client &client) {
    client.id_token_algs = {"HS256"};
}
void with_slash(Client &client) {
    client.issuer += '/';
}

const MetadataCase metadata_cases[] = {
    {"as it is", nullptr, nullptr, "", nullptr},
    {"another issuer", "issuer", "\"https://evil.example\"", "metadata_issuer", nullptr},
    {"issuer in other case", "issuer", "\"https://ID.example/realm\"", "metadata_issuer", nullptr},
    {"issuer with a slash more", "issuer", "\"https://id.example/realm/\"", "metadata_issuer", nullptr},
    {"issuer with a slash less", nullptr, nullptr, "metadata_issuer", with_slash},
    {"issuer with a slash on both sides", "issuer", "\"https://id.example/realm/\"", "", with_slash},
    {"no issuer", "issuer", nullptr, "metadata_issuer", nullptr},
    {"issuer is a number", "issuer", "1", "metadata_issuer", nullptr},
    {"issuer with a NUL behind", "issuer", "\"https://id.example/realm\\u0000\"", "metadata_issuer", nullptr},
    {"no authorization_endpoint", "authorization_endpoint", nullptr, "metadata_endpoint", nullptr},
    {"no token_endpoint", "token_endpoint", nullptr, "metadata_endpoint", nullptr},
    {"token_endpoint is a list", "token_endpoint", "[\"https://id.example/t\"]", "metadata_endpoint", nullptr},
    {"token_endpoint is empty", "token_endpoint", "\"\"", "metadata_endpoint", nullptr},
    {"no jwks_uri", "jwks_uri", nullptr, "metadata_endpoint", nullptr},
    {"no jwks_uri, HMAC configured", "jwks_uri", nullptr, "", hmac_only},
    {"no userinfo_endpoint", "userinfo_endpoint", nullptr, "", nullptr},
    {"no algorithms", "id_token_signing_alg_values_supported", nullptr, "", nullptr},
    {"plain http", "token_endpoint", "\"http://id.example/token\"", "metadata_endpoint", nullptr},
    {"plain http, insecure_http", "token_endpoint", "\"http://id.example/token\"", "", insecure},
    {"http on loopback, https issuer", "token_endpoint", "\"http://localhost/token\"", "metadata_endpoint", nullptr},
    {"http keys", "jwks_uri", "\"http://id.example/keys\"", "metadata_endpoint", nullptr},
    {"http logout", "end_session_endpoint", "\"http://id.example/logout\"", "metadata_endpoint", nullptr},
    {"file:", "jwks_uri", "\"file:///etc/passwd\"", "metadata_endpoint", nullptr},
    {"file:, insecure_http", "jwks_uri", "\"file:///etc/passwd\"", "metadata_endpoint", insecure},
    {"exec:", "token_endpoint", "\"exec:id\"", "metadata_endpoint", nullptr},
    {"a path", "token_endpoint", "\"/token\"", "metadata_endpoint", nullptr},
    {"user info in the URL", "token_endpoint", "\"https://a:b@id.example/token\"", "metadata_endpoint", nullptr},
    {"a line break", "token_endpoint", "\"https://id.example/\\r\\nX: y\"", "metadata_endpoint", nullptr},
    {"another host", "token_endpoint", "\"https://tokens.example/token\"", "", nullptr},
    {"a query", "authorization_endpoint", "\"https://id.example/authorize?p=x\"", "", nullptr},
    {"unknown algorithms", "id_token_signing_alg_values_supported", "[\"XY1\", \"none\", 5]", "", nullptr},
};

void read_metadata_cases(void **) {
    for (const auto &one : metadata_cases) {
        Client client = fake::client();
        if (one.tweak != nullptr) {
            one.tweak(client);
        }
        const auto metadata = read_metadata(client, fake::with(fake::metadata(), one.member, one.value).dump());
        expect_text(one.name, metadata ? "" : metadata.error().rule, one.rule);
        assert_true(metadata || metadata.error().fault == Fault::provider);
    }
}

void read_metadata_on_loopback(void **) {
    const struct {
        const char *token_endpoint, *rule;
    } cases[] = {
        {"http://localhost:8080/token", ""},
        {"http://127.0.0.1/token", ""},
        {"https://id.example/token", ""},
        {"http://id.example/token", "metadata_endpoint"},
    };
    Client client = fake::client();
    on_loopback(client);
    Json document = fake::with(fake::metadata(), "issuer", "\"http://localhost:8080\"");
    for (const auto &one : cases) {
        document.set("token_endpoint", std::string_view(one.token_endpoint));
        const auto metadata = read_metadata(client, document.dump());
        expect_text(one.token_endpoint, metadata ? "" : metadata.error().rule, one.rule);
    }
}

// An issuer that only insecure_http lets in opens no door to this machine's own services.
void http_issuer_elsewhere(void **) {
    Client client = fake::client();
    client.issuer = "http://id.example";
    Json document = fake::with(fake::metadata(), "issuer", "\"http://id.example\"");
    assert_true(bool(read_metadata(client, document.dump())));
    document.set("token_endpoint", std::string_view("http://localhost:8080/token"));
    const auto metadata = read_metadata(client, document.dump());
    expect_text("loopback", metadata ? "" : metadata.error().rule, "metadata_endpoint");
}

void read_metadata_values(void **) {
    Json document = fake::with(fake::metadata(), "authorization_response_iss_parameter_supported", "true");
    const auto metadata = read_metadata(fake::client(), document.dump());
    assert_true(bool(metadata));
    expect_text("authorization", metadata->authorization_endpoint, "https://id.example/authorize");
    expect_text("userinfo", metadata->userinfo_endpoint, "https://id.example/userinfo");
    expect_text("logout", metadata->end_session_endpoint, "https://id.example/logout");
    expect_text("revocation", metadata->revocation_endpoint, "https://id.example/revoke");
    assert_int_equal(metadata->id_token_algs.size(), 2);
    assert_true(metadata->iss_parameter);
    for (const char *text : {"", "[]", "{", "null", "{\"issuer\":\"a\",\"issuer\":\"a\"}"}) {
        const auto broken = read_metadata(fake::client(), text);
        expect_text(text, broken ? "" : broken.error().rule, "metadata_format");
    }
}

void id_token_algs_cases(void **) {
    using Words = std::vector<std::string>;
    const struct {
        const char *name;
        Words configured, listed, expected;
    } cases[] = {
        {"nothing said", {}, {}, {"RS256"}},
        {"listed", {}, {"ES256", "RS256"}, {"ES256", "RS256"}},
        {"HMAC is not taken from the metadata", {}, {"HS256", "PS256"}, {"PS256"}},
        {"only HMAC listed", {}, {"HS256"}, {"RS256"}},
        {"configured", {"HS256"}, {"RS256"}, {"HS256"}},
        {"configured and not listed", {"ES384"}, {"RS256"}, {"ES384"}},
    };
    for (const auto &one : cases) {
        Client client;
        client.id_token_algs = one.configured;
        Metadata metadata;
        metadata.id_token_algs = one.listed;
        if (id_token_algs(client, metadata) != one.expected) {
            fail_msg("%s", one.name);
        }
    }
}

void uses_pkce_cases(void **) {
    const struct {
        const char *name;
        Pkce pkce;
        bool listed, with_secret;
        ClientAuth auth;
        bool expected;
    } cases[] = {
        {"auto, listed", Pkce::automatic, true, true, ClientAuth::automatic, true},
        {"auto, not listed", Pkce::automatic, false, true, ClientAuth::automatic, false},
        {"on, not listed", Pkce::on, false, true, ClientAuth::automatic, true},
        {"off", Pkce::off, true, true, ClientAuth::automatic, false},
        {"public, auto, not listed", Pkce::automatic, false, false, ClientAuth::automatic, true},
        {"public, off", Pkce::off, false, false, ClientAuth::automatic, true},
        {"a secret that is not sent, off", Pkce::off, false, true, ClientAuth::none, true},
        {"private_key_jwt, off", Pkce::off, true, false, ClientAuth::private_key_jwt, false},
    };
    for (const auto &one : cases) {
        Client client;
        client.pkce = one.pkce;
        client.auth = one.auth;
        client.client_secret = one.with_secret ? "s" : "";
        Metadata metadata;
        metadata.code_challenge_methods =
            one.listed ? std::vector<std::string>{"plain", "S256"} : std::vector<std::string>{"plain"};
        if (uses_pkce(client, metadata) != one.expected) {
            fail_msg("%s", one.name);
        }
    }
}

struct Authenticated : AuthenticatedForm {
    std::string rule;
};

Authenticated run(const Client &client, const Metadata &metadata) {
    Authenticated out;
    const auto done = authenticate(client, metadata, fake::now, out);
    out.rule = done ? "" : done.error().rule;
    return out;
}

std::string method_of(const Authenticated &out) {
    if (!out.rule.empty()) {
        return out.rule;
    }
    if (!out.headers.empty()) {
        return out.form.empty() ? "basic" : "basic and more";
    }
    if (find_parameter(out.form, "client_secret") != nullptr) {
        return "post";
    }
    const std::string *assertion = find_parameter(out.form, "client_assertion");
    if (assertion != nullptr) {
        const auto jws = parse_jws(*assertion);
        return jws ? jws->alg : "broken assertion";
    }
    return find_parameter(out.form, "client_id") != nullptr ? "none" : "nothing";
}

void authenticate_chooses(void **) {
    const fake::Key key = fake::Key::rsa("k");
    const struct {
        const char *name;
        ClientAuth auth;
        const char *secret;
        bool with_key;
        const char *methods, *expected;
    } cases[] = {
        {"no list", ClientAuth::automatic, fake::secret, false, nullptr, "basic"},
        {"both listed", ClientAuth::automatic, fake::secret, false, "[\"client_secret_post\",\"client_secret_basic\"]",
         "basic"},
        {"post listed", ClientAuth::automatic, fake::secret, false, "[\"client_secret_post\"]", "post"},
        {"only secret_jwt listed", ClientAuth::automatic, fake::secret, false, "[\"client_secret_jwt\"]", "HS256"},
        {"nothing known listed", ClientAuth::automatic, fake::secret, false, "[\"x\"]", "basic"},
        {"secret and key", ClientAuth::automatic, fake::secret, true, "[\"private_key_jwt\",\"client_secret_post\"]",
         "post"},
        {"key only", ClientAuth::automatic, "", true, "[\"private_key_jwt\",\"client_secret_basic\"]", "RS256"},
        {"key only, not listed", ClientAuth::automatic, "", true, "[\"client_secret_basic\"]", "none"},
        {"public", ClientAuth::automatic, "", false, "[\"client_secret_basic\"]", "none"},
        {"configured post", ClientAuth::post, fake::secret, false, "[\"client_secret_basic\"]", "post"},
        {"configured basic", ClientAuth::basic, fake::secret, false, "[\"client_secret_post\"]", "basic"},
        {"configured none", ClientAuth::none, fake::secret, false, nullptr, "none"},
        {"configured secret_jwt", ClientAuth::secret_jwt, fake::secret, false, nullptr, "HS256"},
        {"configured private_key_jwt", ClientAuth::private_key_jwt, fake::secret, true, nullptr, "RS256"},
        {"by certificate", ClientAuth::tls, "", false, nullptr, "none"},
        {"basic without a secret", ClientAuth::basic, "", false, nullptr, "client_auth"},
        {"secret_jwt without a secret", ClientAuth::secret_jwt, "", false, nullptr, "client_auth"},
        {"private_key_jwt without a key", ClientAuth::private_key_jwt, "", false, nullptr, "client_auth"},
    };
    for (const auto &one : cases) {
        Client client = fake::client();
        client.auth = one.auth;
        client.client_secret = one.secret;
        if (one.with_key) {
            client.key = *SigningKey::from_pem(key.pem(), "", "");
        }
        const auto metadata = read_metadata(
            client, fake::with(fake::metadata(), "token_endpoint_auth_methods_supported", one.methods).dump());
        assert_true(bool(metadata));
        expect_text(one.name, method_of(run(client, *metadata)), one.expected);
    }
}

void basic_is_form_encoded(void **) {
    const struct {
        const char *id, *secret, *credentials;
    } cases[] = {
        {"app", "secret", "app:secret"},
        {"app 1", "a+b", "app+1:a%2Bb"},
        {"https://app.example", "p:q", "https%3A%2F%2Fapp.example:p%3Aq"},
        {"\xc3\xa4", "%41", "%C3%A4:%2541"},
    };
    for (const auto &one : cases) {
        Client client = fake::client();
        client.client_id = one.id;
        client.client_secret = one.secret;
        const auto out = run(client, Metadata());
        assert_int_equal(out.headers.size(), 1);
        expect_text(one.id, out.headers[0].first, "Authorization");
        expect_text(one.id, out.headers[0].second, "Basic " + base64_encode(one.credentials));
    }
}

void assertion_has_what_the_rfc_wants(void **) {
    const fake::Key key = fake::Key::ec("mine");
    Client client = fake::client();
    client.client_secret.clear();
    client.auth = ClientAuth::private_key_jwt;
    client.key = *SigningKey::from_pem(key.pem(), "", "mine");
    Metadata metadata;
    metadata.token_endpoint = "https://id.example/token";
    const auto out = run(client, metadata);
    expect_text("type", *find_parameter(out.form, "client_assertion_type"),
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    VerifyRules rules;
    rules.algs = {"ES256"};
    const auto jws =
        verify(*find_parameter(out.form, "client_assertion"), *KeySet::parse(fake::key_set({&key})), rules);
    assert_true(bool(jws));
    expect_text("iss", jws->claims.string("iss").value_or(""), fake::client_id);
    expect_text("sub", jws->claims.string("sub").value_or(""), fake::client_id);
    expect_text("aud", jws->claims.string("aud").value_or(""), "https://id.example/token");
    assert_int_equal(jws->claims.time("iat").value_or(0), fake::now);
    assert_int_equal(jws->claims.time("exp").value_or(0), fake::now + 60);
    const auto second = parse_jws(*find_parameter(run(client, metadata).form, "client_assertion"));
    assert_true(bool(second));
    assert_true(jws->claims.string("jti").value_or("").size() >= 22);
    assert_false(jws->claims.string("jti") == second->claims.string("jti"));
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(discovery_url),
        cmocka_unit_test(binding_tells_clients_apart),
        cmocka_unit_test(read_metadata_cases),
        cmocka_unit_test(read_metadata_on_loopback),
        cmocka_unit_test(http_issuer_elsewhere),
        cmocka_unit_test(read_metadata_values),
        cmocka_unit_test(id_token_algs_cases),
        cmocka_unit_test(uses_pkce_cases),
        cmocka_unit_test(authenticate_chooses),
        cmocka_unit_test(basic_is_form_encoded),
        cmocka_unit_test(assertion_has_what_the_rfc_wants),
    };
    return cmocka_run_group_tests_name("provider", tests, nullptr, nullptr);
}
