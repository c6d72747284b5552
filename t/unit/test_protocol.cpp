// The exchanges with a provider: what is sent, and how each answer is judged (RFC 6749 5, C 3.1.3 and 5.3, RFC 7009).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

#include "fake_provider.hpp"
#include "oidc/protocol.hpp"

extern "C" {
#include <cmocka.h>
}

using namespace oidc;

namespace {

const fake::Key &rsa() {
    static const fake::Key key = fake::Key::rsa("rsa-1");
    return key;
}

void expect_text(const char *name, const std::string &found, const std::string &expected) {
    if (found != expected) {
        fail_msg("%s: expected \"%s\", found \"%s\"", name, expected.c_str(), found.c_str());
    }
}

http::Reply reply(int status, std::string body, const char *type = "application/json") {
    http::Reply reply;
    reply.status = status;
    reply.headers = {{"content-type", type}};
    reply.body = std::move(body);
    return reply;
}

http::Reply failure(const char *why) {
    http::Reply reply;
    reply.failure = why;
    return reply;
}

std::string header(const http::Request &request, const char *name) {
    for (const auto &[known, value] : request.headers) {
        if (known == name) {
            return value;
        }
    }
    return {};
}

void provider_data_requests(void **) {
    const auto discovery = discovery_request(fake::client());
    expect_text("discovery", discovery.url, "https://id.example/realm/.well-known/openid-configuration");
    expect_text("discovery", discovery.method, "GET");
    assert_int_equal(discovery.max_reply, 256 * 1024);
    const auto keys = keys_request(fake::data({&rsa()}).metadata);
    expect_text("keys", keys.url, "https://id.example/keys");
    assert_int_equal(keys.max_reply, 512 * 1024);
}

void provider_data_answers(void **) {
    const std::string good_keys = fake::key_set({&rsa()});
    const struct {
        const char *name;
        http::Reply reply;
        const char *discovery, *keys;
    } cases[] = {
        {"no answer", failure("connection refused"), "metadata_unavailable", "keys_unavailable"},
        {"500", reply(500, good_keys), "metadata_unavailable", "keys_unavailable"},
        {"a redirect", reply(302, good_keys), "metadata_unavailable", "keys_unavailable"},
        {"404", reply(404, "{}"), "metadata_unavailable", "keys_unavailable"},
    };
    for (const auto &one : cases) {
        const auto discovery = read_discovery(fake::client(), one.reply);
        expect_text(one.name, discovery ? "" : discovery.error().rule, one.discovery);
        assert_int_equal(discovery.error().status, 503);
        const auto keys = read_keys(one.reply);
        expect_text(one.name, keys ? "" : keys.error().rule, one.keys);
        assert_int_equal(keys.error().status, 503);
    }
    assert_true(bool(read_discovery(fake::client(), reply(200, fake::metadata().dump()))));
    const auto keys = read_keys(reply(200, good_keys));
    assert_true(keys && keys->size() == 1);
    assert_false(bool(read_keys(reply(200, "<html>"))));
}

void token_request_form(void **) {
    const Metadata metadata = fake::data({&rsa()}).metadata;
    const struct {
        const char *name, *verifier;
        ClientAuth auth;
        const char *body;
    } cases[] = {
        {"with PKCE", "v-1", ClientAuth::basic,
         "grant_type=authorization_code&code=c%2F1+2&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&code_verifier=v-1"},
        {"without", "", ClientAuth::basic,
         "grant_type=authorization_code&code=c%2F1+2&redirect_uri=https%3A%2F%2Fapp.example%2Fcb"},
        {"public", "v-1", ClientAuth::none,
         "grant_type=authorization_code&code=c%2F1+2&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&code_verifier=v-1"
         "&client_id=app+1"},
    };
    for (const auto &one : cases) {
        Client client = fake::client();
        client.auth = one.auth;
        const auto request =
            token_request(client, metadata, {"c/1 2", "https://app.example/cb", one.verifier}, fake::now);
        assert_true(bool(request));
        expect_text(one.name, request->method + ' ' + request->url, "POST https://id.example/token");
        expect_text(one.name, request->body, one.body);
        expect_text(one.name, header(*request, "Content-Type"), "application/x-www-form-urlencoded");
        assert_int_equal(header(*request, "Authorization").empty(), one.auth == ClientAuth::none);
        assert_int_equal(request->max_reply, 64 * 1024);
    }
}

void other_requests(void **) {
    const Client client = fake::client();
    Metadata metadata = fake::data({&rsa()}).metadata;
    const auto refresh = refresh_request(client, metadata, "r&1", fake::now);
    assert_true(bool(refresh));
    expect_text("refresh", refresh->body, "grant_type=refresh_token&refresh_token=r%261");
    assert_false(header(*refresh, "Authorization").empty());
    const auto userinfo = userinfo_request(metadata, "the-token");
    expect_text("userinfo", userinfo.method + ' ' + userinfo.url, "GET https://id.example/userinfo");
    expect_text("userinfo", header(userinfo, "Authorization"), "Bearer the-token");
    const auto revocation = revocation_request(client, metadata, {"r", "refresh_token"}, fake::now);
    assert_true(bool(revocation));
    expect_text("revocation", revocation->url, "https://id.example/revoke");
    expect_text("revocation", revocation->body, "token=r&token_type_hint=refresh_token");
    metadata.revocation_endpoint.clear();
    assert_false(bool(revocation_request(client, metadata, {"r", ""}, fake::now)));
    Client keyless = client;
    keyless.auth = ClientAuth::private_key_jwt;
    assert_false(bool(token_request(keyless, metadata, {"c", "u", ""}, fake::now)));
}

constexpr const char *good_token =
    R"({"access_token":"at","token_type":"Bearer","id_token":"it","refresh_token":"rt","scope":"openid","expires_in":300})";

// What a refresh makes of it is the same unless it is said.
struct TokenCase {
    const char *name;
    int status;
    const char *body, *rule, *on_refresh;
};
const TokenCase token_cases[] = {
    {"good", 200, good_token, "", ""},
    {"another case", 200, R"({"access_token":"at","token_type":"bEARER","id_token":"it"})", "", ""},
    {"no id_token", 200, R"({"access_token":"at","token_type":"Bearer"})", "token_response", ""},
    {"id_token is null", 200, R"({"access_token":"at","token_type":"Bearer","id_token":null})", "token_response", ""},
    {"no access_token", 200, R"({"token_type":"Bearer","id_token":"it"})", "token_response", "token_response"},
    {"no token_type", 200, R"({"access_token":"at","id_token":"it"})", "token_response", "token_response"},
    {"another token_type", 200, R"({"access_token":"at","token_type":"mac","id_token":"it"})", "token_response",
     "token_response"},
    {"token with a line break", 200, R"({"access_token":"a\r\nX: y","token_type":"Bearer","id_token":"it"})",
     "token_response", "token_response"},
    {"token with a blank", 200, R"({"access_token":"a t","token_type":"Bearer","id_token":"it"})", "token_response",
     "token_response"},
    {"no JSON", 200, "access_token=at&token_type=Bearer", "token_response", "token_response"},
    {"a list", 200, "[]", "token_response", "token_response"},
    {"empty", 200, "", "token_response", "token_response"},
    {"a member twice", 200, R"({"access_token":"a","access_token":"b","token_type":"Bearer","id_token":"it"})",
     "token_response", "token_response"},
    {"an error with 200", 200, R"({"error":"bad_verification_code"})", "token_refused", "token_refused"},
    {"invalid_grant", 400, R"({"error":"invalid_grant"})", "token_refused", "token_refused"},
    {"invalid_client", 401, R"({"error":"invalid_client"})", "token_refused", "token_refused"},
    {"forbidden", 403, R"({"error":"unauthorized_client"})", "token_refused", "token_refused"},
    {"temporarily_unavailable", 400, R"({"error":"temporarily_unavailable"})", "token_unavailable",
     "token_unavailable"},
    {"a page", 404, "<html>", "token_unavailable", "token_unavailable"},
    {"JSON of another kind", 400, R"({"message":"no"})", "token_unavailable", "token_unavailable"},
    {"too many", 429, R"({"error":"slow_down"})", "token_unavailable", "token_unavailable"},
    {"request timeout", 408, R"({"error":"invalid_grant"})", "token_unavailable", "token_unavailable"},
    {"server error", 500, R"({"error":"invalid_grant"})", "token_unavailable", "token_unavailable"},
    {"busy", 503, "", "token_unavailable", "token_unavailable"},
    {"a redirect", 302, good_token, "token_unavailable", "token_unavailable"},
    {"not modified", 304, "", "token_unavailable", "token_unavailable"},
};

void token_answers(void **) {
    for (const auto &one : token_cases) {
        const auto code = read_token(reply(one.status, one.body), Grant::code);
        expect_text(one.name, code ? "" : code.error().rule, one.rule);
        const auto refresh = read_token(reply(one.status, one.body), Grant::refresh);
        expect_text(one.name, refresh ? "" : refresh.error().rule, one.on_refresh);
    }
}

void token_values(void **) {
    const auto answer = read_token(reply(200, good_token), Grant::code);
    assert_true(bool(answer));
    expect_text("access", answer->access_token, "at");
    expect_text("id", answer->id_token, "it");
    expect_text("refresh", answer->refresh_token, "rt");
    expect_text("scope", answer->scope, "openid");
    const struct {
        const char *value;
        int64_t expected;
    } cases[] = {
        {"300", 300}, {"0", 0},   {"300.9", 300}, {"\"3599\"", 3599}, {"\"soon\"", -1},
        {"null", -1}, {"-1", -1}, {"1e300", -1},  {"\"\"", -1},       {"\"99999999999999999\"", -1},
        {"true", -1},
    };
    for (const auto &one : cases) {
        const Json body = fake::with(fake::json(good_token), "expires_in", one.value);
        const auto timed = read_token(reply(200, body.dump()), Grant::code);
        assert_true(bool(timed));
        if (timed->expires_in != one.expected) {
            fail_msg("expires_in %s: found %lld", one.value, static_cast<long long>(timed->expires_in));
        }
    }
}

void token_failures(void **) {
    const struct {
        const char *why;
        int status;
    } cases[] = {
        {"connection refused", 502},
        {"connection timed out", 504},
        {"timeout after 10 s", 504},
        {"", 502},
    };
    for (const auto &one : cases) {
        const auto answer = read_token(failure(one.why), Grant::code);
        expect_text(one.why, answer ? "" : answer.error().rule, "token_unavailable");
        assert_int_equal(answer.error().status, one.status);
    }
}

void refusals_are_told_without_secrets(void **) {
    const auto answer =
        read_token(reply(400, R"({"error":"invalid_grant","error_description":"code SECRET7 is\nspent, client gone"})"),
                   Grant::code, {"SECRET7", ""});
    assert_false(bool(answer));
    expect_text("text", answer.error().text,
                "the provider answered \"invalid_grant\": code [hidden] is\\x0Aspent, client gone");
    const auto garbage = read_token(reply(200, R"({"access_token":"SECRET7",})"), Grant::code);
    assert_false(bool(garbage));
    assert_true(garbage.error().text.find("SECRET7") == std::string::npos);
}

void userinfo_answers(void **) {
    const struct {
        const char *name;
        int status;
        const char *body, *rule;
    } cases[] = {
        {"good", 200, R"({"sub":"alice","email":"a@b.example"})", ""},
        {"somebody else", 200, R"({"sub":"bob"})", "userinfo_sub"},
        {"another case", 200, R"({"sub":"Alice"})", "userinfo_sub"},
        {"no sub", 200, R"({"email":"a@b.example"})", "userinfo_sub"},
        {"sub is a list", 200, R"({"sub":["alice"]})", "userinfo_sub"},
        {"sub with a NUL behind", 200, R"({"sub":"alice\u0000"})", "userinfo_sub"},
        {"no JSON", 200, "sub=alice", "userinfo_format"},
        {"a list", 200, R"([{"sub":"alice"}])", "userinfo_format"},
        {"401", 401, R"({"sub":"alice"})", "userinfo_unavailable"},
        {"a redirect", 302, R"({"sub":"alice"})", "userinfo_unavailable"},
        {"500", 500, "", "userinfo_unavailable"},
        {"no answer", 0, "", "userinfo_unavailable"},
    };
    for (const auto &one : cases) {
        const auto claims = read_userinfo(fake::client(), fake::data({&rsa()}), reply(one.status, one.body), "alice");
        expect_text(one.name, claims ? "" : claims.error().rule, one.rule);
    }
}

void signed_userinfo(void **) {
    const fake::Key other = fake::Key::rsa("rsa-2");
    const struct {
        const char *name;
        const fake::Key &key;
        const char *type, *member, *value, *rule;
    } cases[] = {
        {"good", rsa(), "application/jwt", nullptr, nullptr, ""},
        {"with a charset", rsa(), "Application/JWT; charset=utf-8", nullptr, nullptr, ""},
        {"named as JSON", rsa(), "application/json", nullptr, nullptr, "userinfo_format"},
        {"no exp", rsa(), "application/jwt", "exp", nullptr, ""},
        {"no iss", rsa(), "application/jwt", "iss", nullptr, "userinfo_token"},
        {"another aud", rsa(), "application/jwt", "aud", "\"app 2\"", "userinfo_token"},
        {"somebody else", rsa(), "application/jwt", "sub", "\"bob\"", "userinfo_sub"},
        {"unknown key", other, "application/jwt", nullptr, nullptr, "jws_key"},
    };
    for (const auto &one : cases) {
        const std::string token = one.key.sign(fake::with(fake::claims(), one.member, one.value));
        const auto claims = read_userinfo(fake::client(), fake::data({&rsa()}), reply(200, token, one.type), "alice");
        expect_text(one.name, claims ? "" : claims.error().rule, one.rule);
    }
}

void userinfo_algorithms(void **) {
    const std::string token = rsa().sign(fake::claims());
    const struct {
        const char *name;
        std::vector<std::string> configured, listed;
        const char *rule;
    } cases[] = {
        {"not listed", {}, {}, ""},
        {"listed", {}, {"ES256", "RS256"}, ""},
        {"others listed", {}, {"ES256"}, "jws_alg"},
        {"others configured", {"ES256"}, {"RS256"}, "jws_alg"},
    };
    for (const auto &one : cases) {
        Client client = fake::client();
        client.id_token_algs = one.configured;
        ProviderData data = fake::data({&rsa()});
        data.metadata.userinfo_algs = one.listed;
        const auto claims = read_userinfo(client, data, reply(200, token, "application/jwt"), "alice");
        expect_text(one.name, claims ? "" : claims.error().rule, one.rule);
    }
}

void logout_url(void **) {
    const struct {
        const char *name, *endpoint;
        LogoutQuery query;
        const char *expected;
    } cases[] = {
        {"no endpoint", "", {"u", "s", "", ""}, "(none)"},
        {"least", "https://id.example/out", {}, "https://id.example/out?client_id=app+1"},
        {"all",
         "https://id.example/out",
         {"https://app.example/", "s-1", "h.i.t", ""},
         "https://id.example/out?client_id=app+1&post_logout_redirect_uri=https%3A%2F%2Fapp.example%2F&state=s-1"
         "&id_token_hint=h.i.t"},
        {"its own query", "https://id.example/out?p=x", {}, "https://id.example/out?p=x&client_id=app+1"},
        {"more arguments",
         "https://id.example/out",
         {"", "", "", "logout_uri=https%3A%2F%2Fa%2F&empty="},
         "https://id.example/out?client_id=app+1&logout_uri=https%3A%2F%2Fa%2F"},
        {"arguments that replace",
         "https://id.example/out",
         {"https://a/", "", "", "post_logout_redirect_uri=b"},
         "https://id.example/out?client_id=app+1&post_logout_redirect_uri=b"},
        {"arguments that must not",
         "https://id.example/out",
         {"", "s", "", "state=x&client_id=y&id_token_hint=z"},
         "https://id.example/out?client_id=app+1&state=s"},
    };
    for (const auto &one : cases) {
        Metadata metadata;
        metadata.end_session_endpoint = one.endpoint;
        expect_text(one.name, end_session_url(fake::client(), metadata, one.query).value_or("(none)"), one.expected);
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(provider_data_requests), cmocka_unit_test(provider_data_answers),
        cmocka_unit_test(token_request_form),     cmocka_unit_test(other_requests),
        cmocka_unit_test(token_answers),          cmocka_unit_test(token_values),
        cmocka_unit_test(token_failures),         cmocka_unit_test(refusals_are_told_without_secrets),
        cmocka_unit_test(userinfo_answers),       cmocka_unit_test(signed_userinfo),
        cmocka_unit_test(userinfo_algorithms),    cmocka_unit_test(logout_url),
    };
    return cmocka_run_group_tests_name("protocol", tests, nullptr, nullptr);
}
