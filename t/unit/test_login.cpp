// Whole logins without a network: each Request gets a canned Reply (C 3.1, RFC 9207).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <functional>
#include <string>

#include "scenario.hpp"

extern "C" {
#include <cmocka.h>
}

using namespace oidc;
using fake::expect_text;
using fake::next_key;
using fake::rsa;
using fake::Scenario;

namespace {

struct LoginCase {
    const char *name;
    std::function<void(Scenario &)> tweak;
    const char *outcome;
    const char *asked;  // what was wanted of the provider: t = token, u = UserInfo, k = keys
    int status = 0;
};

const LoginCase callback_cases[] = {
    {"as it should be", [](auto &) {}, "signed in", "t"},
    {"iss is ours", [](auto &s) { s.answer += "&iss=https%3A%2F%2Fid.example%2Frealm"; }, "signed in", "t"},
    {"iss is announced and ours",
     [](auto &s) {
         s.data.metadata.iss_parameter = true;
         s.answer += "&iss=https%3A%2F%2Fid.example%2Frealm";
     },
     "signed in", "t"},
    {"iss is another's", [](auto &s) { s.answer += "&iss=https%3A%2F%2Fevil.example"; }, "callback_iss", ""},
    {"iss has a slash more", [](auto &s) { s.answer += "&iss=https%3A%2F%2Fid.example%2Frealm%2F"; }, "callback_iss",
     ""},
    {"iss is empty", [](auto &s) { s.answer += "&iss="; }, "callback_iss", ""},
    {"iss is announced and missing", [](auto &s) { s.data.metadata.iss_parameter = true; }, "callback_iss", ""},
    {"iss is another's, with an error", [](auto &s) { s.answer = "error=login_required&iss=x"; }, "callback_iss", ""},
    {"neither code nor error", [](auto &s) { s.answer = "x=y"; }, "callback_code", ""},
    {"the code is empty", [](auto &s) { s.answer = "code="; }, "callback_code", ""},
    {"access_denied", [](auto &s) { s.answer = "error=access_denied&error_description=no"; }, "login_denied", "", 403},
    {"an error beside a code", [](auto &s) { s.answer += "&error=access_denied"; }, "login_denied", "", 403},
    {"unmet requirements", [](auto &s) { s.answer = "error=unmet_authentication_requirements"; }, "login_denied", "",
     403},
    {"login_required", [](auto &s) { s.answer = "error=login_required"; }, "start over", ""},
    {"interaction_required", [](auto &s) { s.answer = "error=interaction_required"; }, "start over", ""},
    {"account_selection_required", [](auto &s) { s.answer = "error=account_selection_required"; }, "start over", ""},
    {"consent_required", [](auto &s) { s.answer = "error=consent_required"; }, "start over", ""},
    {"login_required again",
     [](auto &s) {
         s.answer = "error=login_required";
         s.start.retried = true;
     },
     "login_denied", "", 403},
    {"server_error", [](auto &s) { s.answer = "error=server_error"; }, "login_refused", ""},
    {"invalid_scope", [](auto &s) { s.answer = "error=invalid_scope"; }, "login_refused", ""},
};

const LoginCase token_cases[] = {
    {"no id_token", [](auto &s) { s.with_id_token = false; }, "token_response", "t"},
    {"code refused",
     [](auto &s) {
         s.status = 400;
         s.tokens = fake::json(R"({"error":"invalid_grant"})");
     },
     "token_refused", "t"},
    {"provider away", [](auto &s) { s.status = 503; }, "token_unavailable", "t", 502},
    {"wrong nonce", [](auto &s) { s.set_claim("nonce", "\"other\""); }, "id_token_nonce", "t"},
    {"wrong audience", [](auto &s) { s.set_claim("aud", "\"other\""); }, "id_token_aud", "t"},
    {"code of another login", [](auto &s) { s.set_claim("c_hash", "\"LDktKdoQak3Pk0cnXxCltA\""); }, "id_token_c_hash",
     "t"},
    {"new key, fetched",
     [](auto &s) {
         s.signer = &next_key();
         s.fetched = fake::data({&rsa(), &next_key()});
     },
     "signed in", "tk"},
    {"unknown key, fetched in vain", [](auto &s) { s.signer = &next_key(); }, "jws_key", "tk"},
    {"unknown key, nowhere to fetch",
     [](auto &s) {
         s.signer = &next_key();
         s.data.metadata.jwks_uri.clear();
     },
     "jws_key", "t"},
    {"expired", [](auto &s) { s.set_claim("exp", "1699990000"); }, "id_token_exp", "t"},
    {"max_age sent, no auth_time", [](auto &s) { s.client.max_age = 10; }, "id_token_auth_time", "t"},
    {"max_age sent, auth_time fresh",
     [](auto &s) {
         s.client.max_age = 10;
         s.set_claim("auth_time", "1700000000");
     },
     "signed in", "t"},
    {"max_age by extra argument",
     [](auto &s) {
         s.start.extra = {{"max_age", "10"}};
     },
     "id_token_auth_time", "t"},
    {"acr not met", [](auto &s) { s.client.acr_values = {"gold"}; }, "id_token_acr", "t", 403},
    {"acr met",
     [](auto &s) {
         s.client.acr_values = {"gold"};
         s.set_claim("acr", "\"gold\"");
     },
     "signed in", "t"},
    {"acr of a step-up not met",
     [](auto &s) {
         s.client.acr_values = {"silver"};
         s.start.acr_values = {"gold"};
         s.set_claim("acr", "\"silver\"");
     },
     "id_token_acr", "t", 403},
    {"client without the key it needs", [](auto &s) { s.client.auth = ClientAuth::private_key_jwt; }, "client_auth",
     ""},
};

const LoginCase userinfo_cases[] = {
    {"UserInfo", [](auto &s) { s.client.userinfo = true; }, "signed in", "tu"},
    {"UserInfo of somebody else",
     [](auto &s) {
         s.client.userinfo = true;
         s.userinfo = R"({"sub":"bob"})";
     },
     "userinfo_sub", "tu"},
    {"UserInfo without endpoint",
     [](auto &s) {
         s.client.userinfo = true;
         s.data.metadata.userinfo_endpoint.clear();
     },
     "userinfo_endpoint", "t"},
    {"UserInfo broken",
     [](auto &s) {
         s.client.userinfo = true;
         s.userinfo = "{";
     },
     "userinfo_format", "tu"},
    {"UserInfo signed by a new key",
     [](auto &s) {
         s.client.userinfo = true;
         s.userinfo = next_key().sign(fake::claims());
         s.fetched = fake::data({&rsa(), &next_key()});
     },
     "signed in", "tuk"},
    {"one fetch of keys for both",
     [](auto &s) {
         s.client.userinfo = true;
         s.signer = &next_key();
         s.fetched = fake::data({&next_key()});
         s.userinfo = rsa().sign(fake::claims());
     },
     "jws_key", "tku"},
    {"ID token fails before UserInfo",
     [](auto &s) {
         s.client.userinfo = true;
         s.set_claim("nonce", "\"other\"");
     },
     "id_token_nonce", "t"},
};

std::string letters(const Scenario &scenario) {
    std::string text;
    for (const auto &url : scenario.asked) {
        text += url == "keys" ? 'k' : url == "https://id.example/token" ? 't' : 'u';
    }
    return text;
}

template <size_t count>
void play_all(const LoginCase (&cases)[count]) {
    for (const auto &one : cases) {
        Scenario scenario;
        one.tweak(scenario);
        const std::string outcome = scenario.play();
        expect_text(one.name, outcome, one.outcome);
        expect_text(one.name, letters(scenario), one.asked);
        if (scenario.error.status != one.status) {
            fail_msg("%s: expected status %d, found %d", one.name, one.status, scenario.error.status);
        }
    }
}

void logins_judged_at_the_callback(void **) {
    play_all(callback_cases);
}
void logins_judged_by_the_token(void **) {
    play_all(token_cases);
}
void logins_judged_by_userinfo(void **) {
    play_all(userinfo_cases);
}

void faults_are_told_apart(void **) {
    const struct {
        const char *answer;
        Fault fault;
    } cases[] = {
        {"error=access_denied", Fault::browser},
        {"error=server_error", Fault::provider},
        {"code=c&iss=x", Fault::browser},
    };
    for (const auto &one : cases) {
        Scenario scenario;
        scenario.answer = one.answer;
        (void)scenario.play();
        assert_true(scenario.error.fault == one.fault);
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(logins_judged_at_the_callback),
        cmocka_unit_test(logins_judged_by_the_token),
        cmocka_unit_test(logins_judged_by_userinfo),
        cmocka_unit_test(faults_are_told_apart),
    };
    return cmocka_run_group_tests_name("login", tests, nullptr, nullptr);
}
