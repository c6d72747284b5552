// The renewal of a session: when it is due, and what the provider's answers do to it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "oidc/refresh.hpp"
#include "scenario.hpp"

extern "C" {
#include <cmocka.h>
}

using namespace oidc;
using fake::expect_text;
using fake::rsa;

namespace {

constexpr int64_t now = fake::now + 3000;

struct Renewal {
    Client client = fake::client();
    ProviderData data = fake::data({&rsa()});
    ProviderData fetched = fake::data({&rsa()});
    Json claims =
        fake::with(fake::with(fake::with(fake::claims(), "nonce", nullptr), "exp", "1700006000"), "iat", "1700003000");
    Json tokens = fake::json(
        R"({"access_token":"new-access","token_type":"Bearer","refresh_token":"new-refresh","expires_in":300})");
    std::string userinfo = R"({"sub":"alice","groups":["staff"]})";
    const fake::Key *signer = &rsa();
    bool with_id_token = true;
    int status = 200, userinfo_status = 200;
    int64_t before = 60;

    Session session;
    std::vector<std::string> asked;
    bool complete = false;
    Error error{Fault::us, "", ""};

    Renewal() {
        client.keep.refresh_token = client.keep.access_token = client.keep.id_token = true;
        session.head.ends = fake::now + 8 * 3600;
        session.head.ends_at_last = fake::now + 9 * 3600;
        session.head.access_token_ends = now + 10;
        session.head.id_token_ends = fake::now + 600;
        session.head.claims_as_of = fake::now;
        session.head.auth_time = fake::now - 5;
        session.head.revision = 7;
        session[Field::sub] = "alice";
        session[Field::sid] = "sid-1";
        session[Field::access_token] = "old-access";
        session[Field::refresh_token] = "old-refresh";
        session[Field::id_token] = "old-id";
        session.claims = {{"aud", "app 1"}, {"groups", "admin"}, {"sub", "alice"}};
    }
    std::string text(const char *name) const {
        for (const auto &claim : session.claims) {
            if (claim.first == name) {
                return claim.second;
            }
        }
        return "";
    }
    http::Reply reply_to(const http::Request &request) {
        asked.push_back(request.what);
        http::Reply reply;
        reply.status = status;
        if (request.url == data.metadata.userinfo_endpoint) {
            reply.status = userinfo_status;
            reply.body = userinfo;
            return reply;
        }
        Json body = fake::with(tokens, nullptr, nullptr);
        if (with_id_token && status == 200) {
            body.set("id_token", std::string_view(signer->sign(claims)));
        }
        reply.body = body.dump();
        return reply;
    }
    std::string play() {
        Refresh refresh(client, std::make_shared<ProviderData>(data), session, before);
        RefreshAction action = refresh.begin(now);
        for (int turn = 0; turn < 8; turn++) {
            if (const auto *request = std::get_if<http::Request>(&action)) {
                action = refresh.resume(reply_to(*request), now);
            } else if (std::holds_alternative<FetchKeys>(action)) {
                asked.emplace_back("keys");
                action = refresh.resume(std::make_shared<ProviderData>(fetched), now);
            } else if (auto *refreshed = std::get_if<Refreshed>(&action)) {
                session = refreshed->session;
                complete = refreshed->complete;
                return "refreshed";
            } else {
                error = std::get<Error>(action);
                return error.rule;
            }
        }
        return "an endless refresh";
    }
};

// The head as the store hands it out: with the sizes of the fields.
SessionHead head_of(const Session &session) {
    return SessionView::over(write_session(session))->head();
}

// ---- when ----

void due_before_the_access_token_ends(void **) {
    Renewal renewal;
    RefreshPolicy policy;
    const SessionHead head = head_of(renewal.session);
    assert_true(refresh_due(head, policy, head.access_token_ends - 61) == Due::no);
    assert_true(refresh_due(head, policy, head.access_token_ends - 60) == Due::soon);
    assert_true(refresh_due(head, policy, head.access_token_ends - 1) == Due::soon);
    assert_true(refresh_due(head, policy, head.access_token_ends) == Due::now);
    policy.on = false;
    assert_true(refresh_due(head, policy, head.access_token_ends) == Due::no);
}

void due_before_the_id_token_ends_where_it_is_used(void **) {
    Renewal renewal;
    renewal.session.head.access_token_ends = 0;
    RefreshPolicy policy;
    const SessionHead head = head_of(renewal.session);
    assert_true(refresh_due(head, policy, head.id_token_ends) == Due::no);
    policy.id_token = true;
    assert_true(refresh_due(head, policy, head.id_token_ends - 61) == Due::no);
    assert_true(refresh_due(head, policy, head.id_token_ends - 60) == Due::soon);
    assert_true(refresh_due(head, policy, head.id_token_ends) == Due::now);
}

void never_due_without_a_refresh_token(void **) {
    Renewal renewal;
    renewal.session[Field::refresh_token].clear();
    RefreshPolicy policy;
    const SessionHead head = head_of(renewal.session);
    assert_true(refresh_due(head, policy, head.access_token_ends + 5) == Due::no);
    policy.required = true;
    assert_true(refresh_due(head, policy, head.access_token_ends - 1) == Due::no);
    assert_true(refresh_due(head, policy, head.access_token_ends) == Due::now);
}

void recheck_is_due_after_its_time(void **) {
    Renewal renewal;
    RefreshPolicy policy;
    policy.on = false;
    policy.recheck = 100;
    const SessionHead head = head_of(renewal.session);
    assert_true(refresh_due(head, policy, head.claims_as_of + 99) == Due::no);
    assert_true(refresh_due(head, policy, head.claims_as_of + 100) == Due::now);
}

// A provider whose tokens live for less than `before` is asked at half their life, not at every request.
void short_lived_tokens_are_not_refreshed_without_end(void **) {
    Renewal renewal;
    renewal.tokens.set("expires_in", int64_t{30});
    renewal.claims = fake::with(renewal.claims, "exp", "1700003020");
    expect_text("refresh", renewal.play(), "refreshed");
    RefreshPolicy policy;
    const SessionHead head = head_of(renewal.session);
    assert_true(refresh_due(head, policy, now + 14) == Due::no);
    assert_true(refresh_due(head, policy, now + 15) == Due::soon);
    policy.id_token = true;
    assert_true(refresh_due(head, policy, now + 9) == Due::no);
    assert_true(refresh_due(head, policy, now + 10) == Due::soon);
}

// ---- what a good answer does ----

void tokens_claims_and_times_are_new(void **) {
    Renewal renewal;
    renewal.claims = fake::with(renewal.claims, "groups", R"(["guest"])");
    expect_text("refresh", renewal.play(), "refreshed");
    assert_true(renewal.complete);
    Session &session = renewal.session;
    expect_text("access token", session[Field::access_token], "new-access");
    expect_text("refresh token", session[Field::refresh_token], "new-refresh");
    assert_true(session[Field::id_token] != "old-id");
    expect_text("groups", renewal.text("groups"), "guest");
    expect_text("sid", session[Field::sid], "sid-1");
    assert_int_equal(session.head.access_token_ends, now + 300);
    assert_int_equal(session.head.id_token_ends, 1700006000);
    assert_int_equal(session.head.claims_as_of, now);
    assert_int_equal(session.head.auth_time, fake::now - 5);
    assert_int_equal(session.head.revision, 7);
}

void timeout_begins_anew_and_max_age_does_not(void **) {
    Renewal renewal;
    expect_text("refresh", renewal.play(), "refreshed");
    assert_int_equal(renewal.session.head.ends, now + 8 * 3600);
    assert_int_equal(renewal.session.head.ends_at_last, fake::now + 9 * 3600);
}

// C 12.2: both may be left out.
void without_new_refresh_and_id_token_the_old_ones_stay(void **) {
    Renewal renewal;
    renewal.with_id_token = false;
    renewal.tokens = fake::json(R"({"access_token":"new-access","token_type":"Bearer"})");
    expect_text("refresh", renewal.play(), "refreshed");
    expect_text("refresh token", renewal.session[Field::refresh_token], "old-refresh");
    expect_text("ID token", renewal.session[Field::id_token], "old-id");
    expect_text("groups", renewal.text("groups"), "admin");
    assert_int_equal(renewal.session.head.access_token_ends, 0);
    RefreshPolicy policy;
    policy.id_token = true;
    // It would be asked for without end.
    assert_true(refresh_due(head_of(renewal.session), policy, now) == Due::no);
}

void userinfo_is_renewed_too(void **) {
    Renewal renewal;
    renewal.client.userinfo = renewal.client.keep.userinfo = renewal.client.keep.claims_json = true;
    expect_text("refresh", renewal.play(), "refreshed");
    expect_text("groups", renewal.text("groups"), "staff");
    expect_text("userinfo", renewal.session[Field::userinfo], renewal.userinfo);
    assert_true(fake::json(renewal.session[Field::claims_json].c_str()).has("groups"));
}

void userinfo_alone_renews_where_there_is_no_refresh_token(void **) {
    Renewal renewal;
    renewal.client.userinfo = renewal.client.keep.userinfo = true;
    renewal.session[Field::refresh_token].clear();
    renewal.session[Field::userinfo] = R"({"sub":"alice","groups":["admin"],"left":"x"})";
    renewal.session.claims.emplace_back("left", "x");
    const int64_t ends = renewal.session.head.ends = fake::now + 5000;
    expect_text("refresh", renewal.play(), "refreshed");
    expect_text("groups", renewal.text("groups"), "staff");
    expect_text("what is not there any more", renewal.text("left"), "");
    expect_text("the ID token's", renewal.text("aud"), "app 1");
    expect_text("access token", renewal.session[Field::access_token], "old-access");
    // No refresh, so the life goes on as it was.
    assert_int_equal(renewal.session.head.ends, ends);
}

void tokens_are_kept_when_userinfo_is_away(void **) {
    Renewal renewal;
    renewal.client.userinfo = true;
    renewal.userinfo_status = 503;
    expect_text("refresh", renewal.play(), "refreshed");
    assert_false(renewal.complete);
    expect_text("refresh token", renewal.session[Field::refresh_token], "new-refresh");
    expect_text("groups", renewal.text("groups"), "admin");
    assert_int_equal(renewal.session.head.claims_as_of, fake::now);
}

void unknown_key_is_fetched_once(void **) {
    Renewal renewal;
    renewal.signer = &fake::next_key();
    renewal.fetched = fake::data({&rsa(), &fake::next_key()});
    expect_text("refresh", renewal.play(), "refreshed");
    assert_int_equal(renewal.asked.size(), 2);
    Renewal forged;
    forged.signer = &fake::next_key();
    assert_true(forged.play() != "refreshed");
    assert_int_equal(forged.asked.size(), 2);
    assert_true(Refresh::ends_session(forged.error));
}

// ---- what ends a session, and what does not ----

void refusal_ends_the_session_and_tells_no_token(void **) {
    Renewal renewal;
    renewal.status = 400;
    renewal.tokens = fake::json(R"({"error":"invalid_grant","error_description":"old-refresh is spent"})");
    expect_text("refresh", renewal.play(), "token_refused");
    assert_true(Refresh::ends_session(renewal.error));
    assert_true(renewal.error.text.find("old-refresh") == std::string::npos);
}

void provider_that_is_away_does_not(void **) {
    for (int status : {0, 500, 503, 429, 404}) {
        Renewal renewal;
        renewal.status = status;
        renewal.tokens = fake::json("{}");
        expect_text("refresh", renewal.play(), "token_unavailable");
        assert_false(Refresh::ends_session(renewal.error));
    }
}

void identity_must_stay_the_same(void **) {
    const struct {
        const char *name, *value, *rule;
    } cases[] = {
        {"sub", "\"bob\"", "refresh_sub"},     {"iss", "\"https://other.example\"", "id_token_iss"},
        {"aud", "\"app 2\"", "id_token_aud"},  {"aud", R"(["app 1","app 2"])", nullptr},
        {"exp", "1700000001", "id_token_exp"},
    };
    for (const auto &one : cases) {
        Renewal renewal;
        renewal.claims = fake::with(renewal.claims, one.name, one.value);
        renewal.claims = fake::with(renewal.claims, "azp", "\"app 1\"");
        const std::string rule = renewal.play();
        expect_text(one.value, rule, one.rule ? one.rule : "refresh_aud");
        assert_true(Refresh::ends_session(renewal.error));
    }
}

void userinfo_of_somebody_else_ends_it(void **) {
    Renewal renewal;
    renewal.client.userinfo = true;
    renewal.userinfo = R"({"sub":"bob"})";
    expect_text("refresh", renewal.play(), "userinfo_sub");
    assert_true(Refresh::ends_session(renewal.error));
    renewal.userinfo_status = 401;
    expect_text("refresh", renewal.play(), "userinfo_refused");
    assert_true(Refresh::ends_session(renewal.error));
}

void nothing_to_renew_with_ends_it(void **) {
    Renewal renewal;
    renewal.session[Field::refresh_token].clear();
    expect_text("refresh", renewal.play(), "refresh_impossible");
    assert_true(Refresh::ends_session(renewal.error));
    assert_int_equal(renewal.asked.size(), 0);
}

void steps_out_of_order(void **) {
    Renewal renewal;
    Refresh refresh(renewal.client, std::make_shared<ProviderData>(renewal.data), renewal.session, 60);
    expect_text("a reply first", std::get<Error>(refresh.resume(http::Reply(), now)).rule, "refresh_step");
    expect_text("keys first", std::get<Error>(refresh.resume(nullptr, now)).rule, "refresh_step");
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(due_before_the_access_token_ends),
        cmocka_unit_test(due_before_the_id_token_ends_where_it_is_used),
        cmocka_unit_test(never_due_without_a_refresh_token),
        cmocka_unit_test(recheck_is_due_after_its_time),
        cmocka_unit_test(short_lived_tokens_are_not_refreshed_without_end),
        cmocka_unit_test(tokens_claims_and_times_are_new),
        cmocka_unit_test(timeout_begins_anew_and_max_age_does_not),
        cmocka_unit_test(without_new_refresh_and_id_token_the_old_ones_stay),
        cmocka_unit_test(userinfo_is_renewed_too),
        cmocka_unit_test(userinfo_alone_renews_where_there_is_no_refresh_token),
        cmocka_unit_test(tokens_are_kept_when_userinfo_is_away),
        cmocka_unit_test(unknown_key_is_fetched_once),
        cmocka_unit_test(refusal_ends_the_session_and_tells_no_token),
        cmocka_unit_test(provider_that_is_away_does_not),
        cmocka_unit_test(identity_must_stay_the_same),
        cmocka_unit_test(userinfo_of_somebody_else_ends_it),
        cmocka_unit_test(nothing_to_renew_with_ends_it),
        cmocka_unit_test(steps_out_of_order),
    };
    return cmocka_run_group_tests_name("refresh", tests, nullptr, nullptr);
}
