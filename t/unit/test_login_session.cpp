// What a login leaves behind, and what may not come of it any more.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <algorithm>
#include <string>

#include "scenario.hpp"

extern "C" {
#include <cmocka.h>
}

using namespace oidc;
using fake::expect_text;
using fake::rsa;
using fake::Scenario;
using fake::start;

namespace {

void session_has_its_times(void **) {
    Scenario scenario;
    scenario.client.session_timeout = 100;
    scenario.client.session_max_age = 1000;
    scenario.client.keep.access_token = true;
    scenario.tokens.set("expires_in", int64_t{300});
    scenario.set_claim("auth_time", "1699999000");
    expect_text("login", scenario.play(), "signed in");
    const SessionHead &head = scenario.session.head;
    assert_int_equal(head.signed_in, fake::now);
    assert_int_equal(head.last_used, fake::now);
    assert_int_equal(head.claims_as_of, fake::now);
    assert_int_equal(head.ends, fake::now + 100);
    assert_int_equal(head.ends_at_last, fake::now + 1000);
    assert_int_equal(head.access_token_ends, fake::now + 300);
    assert_int_equal(head.id_token_ends, fake::now + 600);
    assert_int_equal(head.auth_time, 1699999000);
    assert_memory_equal(head.binding, scenario.client.binding().data(), 16);
}

void session_without_what_was_not_said(void **) {
    Scenario scenario;
    scenario.client.keep.access_token = true;
    expect_text("login", scenario.play(), "signed in");
    assert_int_equal(scenario.session.head.ends_at_last, 0);
    assert_int_equal(scenario.session.head.access_token_ends, 0);
    assert_int_equal(scenario.session.head.auth_time, 0);
    expect_text("sid", scenario.session[Field::sid], "");
}

void session_keeps_only_what_is_wanted(void **) {
    const struct {
        bool Keep::*what;
        Field field;
    } cases[] = {
        {&Keep::id_token, Field::id_token},           {&Keep::access_token, Field::access_token},
        {&Keep::refresh_token, Field::refresh_token}, {&Keep::claims_json, Field::claims_json},
        {&Keep::userinfo, Field::userinfo},
    };
    for (const auto &one : cases) {
        Scenario scenario;
        scenario.client.userinfo = true;
        scenario.client.keep.*one.what = true;
        expect_text("login", scenario.play(), "signed in");
        for (const auto &other : cases) {
            assert_int_equal(scenario.session[other.field].empty(), other.field != one.field);
        }
    }
}

void session_knows_who_signed_in(void **) {
    Scenario scenario;
    scenario.set_claim("sid", "\"sid-1\"");
    scenario.client.userinfo = true;
    scenario.client.keep.claims_json = scenario.client.keep.userinfo = true;
    expect_text("login", scenario.play(), "signed in");
    Session &session = scenario.session;
    expect_text("sub", session[Field::sub], "alice");
    expect_text("sid", session[Field::sid], "sid-1");
    assert_int_equal(session[Field::state].size(), 43);
    expect_text("userinfo", session[Field::userinfo], scenario.userinfo);
    const Json all = fake::json(session[Field::claims_json].c_str());
    expect_text("ID token's", all.string("iss").value_or(""), fake::issuer);
    expect_text("UserInfo's", all.string("email").value_or(""), "alice@example.org");
    const std::pair<std::string, std::string> email{"email", "alice@example.org"};
    assert_true(std::find(session.claims.begin(), session.claims.end(), email) != session.claims.end());
}

// A double click brings the same state again and must be recognised by it.
void session_remembers_its_state(void **) {
    const Client client = fake::client();
    const auto data = std::make_shared<ProviderData>(fake::data({&rsa()}));
    const auto begun = begin_login(client, data->metadata, start());
    assert_true(bool(begun));
    Login login(client, data, begun->ticket);
    Action action = login.resume(*read_callback("code=c&state=" + begun->state), fake::now);
    const auto &request = std::get<http::Request>(action);
    assert_true(request.body.find("code_verifier=" + begun->ticket.verifier) != std::string::npos);
    Json claims = fake::claims();
    claims.set("nonce", std::string_view(begun->ticket.nonce));
    http::Reply reply;
    reply.status = 200;
    reply.body = R"({"access_token":"a","token_type":"Bearer","id_token":")" + rsa().sign(claims) + "\"}";
    action = login.resume(reply, fake::now);
    expect_text("state", std::get<SignedIn>(action).session[Field::state],
                base64url_encode(bytes(sha256(begun->state))));
    // Nothing more may come of it.
    action = login.resume(reply, fake::now);
    expect_text("again", std::get<Error>(action).rule, "login_step");
}

void steps_out_of_order(void **) {
    const Client client = fake::client();
    const auto data = std::make_shared<ProviderData>(fake::data({&rsa()}));
    const auto begun = begin_login(client, data->metadata, start());
    const Callback callback = *read_callback("code=c&state=" + begun->state);
    Login early(client, data, begun->ticket);
    expect_text("a reply first", std::get<Error>(early.resume(http::Reply(), fake::now)).rule, "login_step");
    expect_text("keys first", std::get<Error>(early.resume(data, fake::now)).rule, "login_step");
    assert_true(std::holds_alternative<http::Request>(early.resume(callback, fake::now)));
    expect_text("a second callback", std::get<Error>(early.resume(callback, fake::now)).rule, "login_step");
    Client other = client;
    other.name = "other";
    Login foreign(other, data, begun->ticket);
    expect_text("another provider's ticket", std::get<Error>(foreign.resume(callback, fake::now)).rule,
                "callback_ticket");
}

void refusals_tell_no_code(void **) {
    Scenario scenario;
    scenario.status = 400;
    scenario.tokens = fake::json(R"({"error":"invalid_grant","error_description":"the-code is spent"})");
    expect_text("login", scenario.play(), "token_refused");
    assert_true(scenario.error.text.find("the-code") == std::string::npos);
    assert_true(scenario.error.text.find("invalid_grant") != std::string::npos);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(session_has_its_times),
        cmocka_unit_test(session_without_what_was_not_said),
        cmocka_unit_test(session_keeps_only_what_is_wanted),
        cmocka_unit_test(session_knows_who_signed_in),
        cmocka_unit_test(session_remembers_its_state),
        cmocka_unit_test(steps_out_of_order),
        cmocka_unit_test(refusals_tell_no_code),
    };
    return cmocka_run_group_tests_name("login session", tests, nullptr, nullptr);
}
