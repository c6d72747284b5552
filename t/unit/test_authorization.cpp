// The authorization request and what comes back with the browser (C 3.1.2, RFC 7636).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "scenario.hpp"

extern "C" {
#include <cmocka.h>
}

using namespace oidc;
using fake::expect_text;
using fake::rsa;
using fake::start;

namespace {

Parameters query_of(const std::string &url) {
    const auto query = form_decode(url.substr(url.find('?') + 1));
    assert_true(bool(query));
    return *query;
}

std::string value_of(const Parameters &query, const char *name) {
    const std::string *value = find_parameter(query, name);
    return value ? *value : "(none)";
}

void request_has_each_parameter_once(void **) {
    const auto begun = begin_login(fake::client(), fake::data({&rsa()}).metadata, start());
    assert_true(bool(begun));
    assert_true(starts_with(begun->url, "https://id.example/authorize?"));
    const Parameters query = query_of(begun->url);
    assert_null(find_duplicate(query));
    const std::set<std::string> expected = {"response_type", "client_id", "redirect_uri",   "scope",
                                            "state",         "nonce",     "code_challenge", "code_challenge_method"};
    std::set<std::string> found;
    for (const auto &[name, value] : query) {
        found.insert(name);
    }
    assert_true(found == expected);
    expect_text("type", value_of(query, "response_type"), "code");
    expect_text("client", value_of(query, "client_id"), fake::client_id);
    expect_text("redirect", value_of(query, "redirect_uri"), "https://app.example/oidc_callback");
    expect_text("scope", value_of(query, "scope"), "openid");
    expect_text("method", value_of(query, "code_challenge_method"), "S256");
}

void ticket_matches_the_request(void **) {
    const auto begun = begin_login(fake::client(), fake::data({&rsa()}).metadata, start());
    const auto again = begin_login(fake::client(), fake::data({&rsa()}).metadata, start());
    assert_true(begun && again);
    const Parameters query = query_of(begun->url);
    const Ticket &ticket = begun->ticket;
    expect_text("state", value_of(query, "state"), begun->state);
    expect_text("nonce", value_of(query, "nonce"), ticket.nonce);
    // RFC 7636 4.2
    expect_text("challenge", value_of(query, "code_challenge"), base64url_encode(bytes(sha256(ticket.verifier))));
    for (const std::string *random : {&begun->state, &ticket.nonce, &ticket.verifier}) {
        assert_int_equal(random->size(), 43);
    }
    expect_text("provider", ticket.provider, fake::client().binding());
    expect_text("target", ticket.target, "/app?a=b%20c");
    assert_int_equal(ticket.created, fake::now);
    assert_int_equal(ticket.max_age, -1);
    assert_false(begun->state == again->state || ticket.nonce == again->ticket.nonce ||
                 ticket.verifier == again->ticket.verifier);
}

struct BeginCase {
    const char *name;
    std::function<void(Client &, Metadata &, LoginStart &)> tweak;
    const char *parameter, *expected;
};

const BeginCase begin_cases[] = {
    {"openid is added", [](auto &client, auto &, auto &) { client.scope = "email"; }, "scope", "openid email"},
    {"openid stays", [](auto &client, auto &, auto &) { client.scope = "email openid"; }, "scope", "email openid"},
    {"no scope", [](auto &client, auto &, auto &) { client.scope = ""; }, "scope", "openid"},
    {"scope replaced",
     [](auto &, auto &, auto &start) {
         start.extra = {{"scope", "openid groups"}};
     },
     "scope", "openid groups"},
    {"scope replaced without openid",
     [](auto &, auto &, auto &start) {
         start.extra = {{"scope", "groups"}};
     },
     "scope", "openid groups"},
    {"an argument more",
     [](auto &, auto &, auto &start) {
         start.extra = {{"ui_locales", "de en"}};
     },
     "ui_locales", "de en"},
    {"an empty argument",
     [](auto &, auto &, auto &start) {
         start.extra = {{"login_hint", ""}};
     },
     "login_hint", "(none)"},
    {"an empty scope changes nothing",
     [](auto &, auto &, auto &start) {
         start.extra = {{"scope", ""}};
     },
     "scope", "openid"},
    {"an argument twice",
     [](auto &, auto &, auto &start) {
         start.extra = {{"hd", "a"}, {"hd", "b"}};
     },
     "hd", "b"},
    {"client_id is ours",
     [](auto &, auto &, auto &start) {
         start.extra = {{"client_id", "x"}};
     },
     "client_id", "app 1"},
    {"response_type is ours",
     [](auto &, auto &, auto &start) {
         start.extra = {{"response_type", "token"}};
     },
     "response_type", "code"},
    {"redirect_uri is ours",
     [](auto &, auto &, auto &start) {
         start.extra = {{"redirect_uri", "https://evil/"}};
     },
     "redirect_uri", "https://app.example/oidc_callback"},
    {"method is ours",
     [](auto &, auto &, auto &start) {
         start.extra = {{"code_challenge_method", "plain"}};
     },
     "code_challenge_method", "S256"},
    {"PKCE stays off",
     [](auto &client, auto &, auto &start) {
         client.pkce = Pkce::off;
         start.extra = {{"code_challenge", "x"}};
     },
     "code_challenge", "(none)"},
    {"a public client has PKCE",
     [](auto &client, auto &metadata, auto &) {
         client.pkce = Pkce::off;
         client.client_secret.clear();
         metadata.code_challenge_methods.clear();
     },
     "code_challenge_method", "S256"},
    {"query of the endpoint", [](auto &, auto &metadata, auto &) { metadata.authorization_endpoint += "?p=a%20b&q"; },
     "p", "a b"},
    {"no second scope", [](auto &, auto &metadata, auto &) { metadata.authorization_endpoint += "?scope=x"; }, "scope",
     "openid"},
    {"max_age", [](auto &client, auto &, auto &) { client.max_age = 0; }, "max_age", "0"},
    {"max_age replaced",
     [](auto &client, auto &, auto &start) {
         client.max_age = 60;
         start.extra = {{"max_age", "5"}};
     },
     "max_age", "5"},
    {"max_age of a step-up",
     [](auto &client, auto &, auto &start) {
         client.max_age = 60;
         start.max_age = 10;
         start.extra = {{"max_age", "5000"}};
     },
     "max_age", "10"},
    {"acr_values",
     [](auto &client, auto &, auto &) {
         client.acr_values = {"a", "b"};
     },
     "acr_values", "a b"},
    {"acr_values of a step-up",
     [](auto &client, auto &, auto &start) {
         client.acr_values = {"a"};
         start.acr_values = {"c"};
         start.extra = {{"acr_values", "x"}};
     },
     "acr_values", "c"},
    {"prompt",
     [](auto &, auto &, auto &start) {
         start.extra = {{"prompt", "none"}};
     },
     "prompt", "none"},
    {"prompt after login_required",
     [](auto &, auto &, auto &start) {
         start.extra = {{"prompt", "none"}};
         start.retried = true;
     },
     "prompt", "(none)"},
    {"another prompt after login_required",
     [](auto &, auto &, auto &start) {
         start.extra = {{"prompt", "login"}};
         start.retried = true;
     },
     "prompt", "login"},
};

void begin_cases_each(void **) {
    for (const auto &one : begin_cases) {
        Client client = fake::client();
        Metadata metadata = fake::data({&rsa()}).metadata;
        LoginStart wish = start();
        one.tweak(client, metadata, wish);
        const auto begun = begin_login(client, metadata, wish);
        assert_true(bool(begun));
        const Parameters query = query_of(begun->url);
        expect_text(one.name, value_of(query, one.parameter), one.expected);
        assert_null(find_duplicate(query));
    }
}

void state_and_nonce_are_ours(void **) {
    LoginStart wish = start();
    wish.extra = {{"state", "fixed"}, {"nonce", "fixed"}, {"code_challenge", "fixed"}, {"code_challenge_x", "fixed"}};
    const auto begun = begin_login(fake::client(), fake::data({&rsa()}).metadata, wish);
    assert_true(bool(begun));
    assert_true(begun->url.find("fixed") == std::string::npos);
}

void ticket_remembers_what_was_sent(void **) {
    Client client = fake::client();
    client.max_age = 60;
    LoginStart wish = start();
    wish.acr_values = {"gold"};
    wish.retried = true;
    const Metadata metadata = fake::data({&rsa()}).metadata;
    const auto plain = begin_login(client, metadata, wish);
    wish.extra = {{"max_age", "5"}};
    const auto replaced = begin_login(client, metadata, wish);
    wish.extra = {{"max_age", "soon"}};
    const auto garbled = begin_login(client, metadata, wish);
    assert_true(plain && replaced && garbled);
    assert_int_equal(plain->ticket.max_age, 60);
    assert_int_equal(replaced->ticket.max_age, 5);
    assert_int_equal(garbled->ticket.max_age, 60);
    assert_true(plain->ticket.retried);
    assert_true(plain->ticket.acr_values == std::vector<std::string>{"gold"});
}

void target_must_be_a_path(void **) {
    for (const char *target : {"", "https://evil.example/", "app"}) {
        LoginStart wish = start();
        wish.target = target;
        const auto begun = begin_login(fake::client(), fake::data({&rsa()}).metadata, wish);
        expect_text(target, begun ? "" : begun.error().rule, "return_target");
    }
}

// ---- the callback's parameters ----

void callback_parameters(void **) {
    const struct {
        const char *form, *rule;
    } cases[] = {
        {"code=c&state=s", ""},
        {"code=c&state=s&iss=i&foo=1&foo=2", ""},
        {"error=access_denied&state=s", ""},
        {"response=h.c.s", ""},
        {"state=s", ""},
        {"", "callback_state"},
        {"code=c", "callback_state"},
        {"code=c&state=", "callback_state"},
        {"code=c&state=a%0d%0ab", "callback_state"},
        {"code=c&state=a;b", "callback_state"},
        {"code=c&state=s&state=s", "callback_duplicate"},
        {"code=c&code=d&state=s", "callback_duplicate"},
        {"code=c&state=s&iss=a&iss=a", "callback_duplicate"},
        {"error=a&error=b&state=s", "callback_duplicate"},
        {"response=a&response=b", "callback_duplicate"},
        {"error=a&error_description=b&error_description=b&state=s", "callback_duplicate"},
        {"c%6fde=c&code=d&state=s", "callback_duplicate"},
        {"code=%&state=s", "callback_format"},
        {"code=%zz&state=s", "callback_format"},
        {"code=a%00b&state=s", "callback_format"},
    };
    for (const auto &one : cases) {
        const auto callback = read_callback(one.form);
        expect_text(one.form, callback ? "" : callback.error().rule, one.rule);
        assert_true(callback || callback.error().fault == Fault::browser);
    }
    const auto callback = read_callback("code=a%2Fb+c&state=s-_1&iss=https%3A%2F%2Fi&error=e&error_description=d");
    assert_true(bool(callback));
    expect_text("code", callback->code, "a/b c");
    expect_text("state", callback->state, "s-_1");
    expect_text("iss", callback->iss, "https://i");
    expect_text("error", callback->error + callback->error_description, "ed");
    assert_true(callback->has_iss);
    assert_true(read_callback("state=s&iss=")->has_iss);
    assert_false(read_callback("state=s&code=c")->has_iss);
    assert_false(bool(read_callback("code=c&state=" + std::string(129, 'a'))));
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(request_has_each_parameter_once),
        cmocka_unit_test(ticket_matches_the_request),
        cmocka_unit_test(begin_cases_each),
        cmocka_unit_test(state_and_nonce_are_ours),
        cmocka_unit_test(ticket_remembers_what_was_sent),
        cmocka_unit_test(target_must_be_a_path),
        cmocka_unit_test(callback_parameters),
    };
    return cmocka_run_group_tests_name("authorization", tests, nullptr, nullptr);
}
