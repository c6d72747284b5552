// A whole login as a value: the client, the provider at the other end, and what may go wrong between them.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "fake_provider.hpp"
#include "oidc/login.hpp"
#include "oidc/protocol.hpp"

extern "C" {
#include <cmocka.h>
}

namespace fake {

using namespace oidc;

inline const fake::Key &rsa() {
    static const fake::Key key = fake::Key::rsa("rsa-1");
    return key;
}
inline const fake::Key &next_key() {
    static const fake::Key key = fake::Key::rsa("rsa-2");
    return key;
}

inline void expect_text(const char *name, const std::string &found, const std::string &expected) {
    if (found != expected) {
        fail_msg("%s: expected \"%s\", found \"%s\"", name, expected.c_str(), found.c_str());
    }
}

inline LoginStart start() {
    LoginStart start;
    start.redirect_uri = "https://app.example/oidc_callback";
    start.target = "/app?a=b%20c";
    start.now = fake::now;
    return start;
}

struct Scenario {
    Client client = fake::client();
    ProviderData data = fake::data({&rsa()});
    LoginStart start = fake::start();
    std::string answer = "code=the-code";  // `state` is added
    Json claims = fake::with(fake::claims(), "nonce", nullptr);
    const fake::Key *signer = &rsa();
    ProviderData fetched = fake::data({&rsa()});
    Json tokens =
        fake::json(R"({"access_token":"the-access-token","token_type":"Bearer","refresh_token":"the-refresh"})");
    int status = 200;
    std::string userinfo = R"({"sub":"alice","email":"alice@example.org"})";
    bool with_id_token = true;

    std::vector<std::string> asked;  // what the login wanted, in order
    Session session;
    Error error{Fault::us, "", ""};

    void set_claim(const char *name, const char *value) { claims = fake::with(claims, name, value); }
    std::string play();

private:
    http::Reply reply_to(const http::Request &request);
};

inline http::Reply Scenario::reply_to(const http::Request &request) {
    http::Reply reply;
    reply.status = status;
    if (request.url == data.metadata.userinfo_endpoint) {
        reply.status = 200;
        reply.headers = {{"content-type", starts_with(userinfo, "{") ? "application/json" : "application/jwt"}};
        reply.body = userinfo;
        return reply;
    }
    Json body = tokens;
    if (with_id_token) {
        body.set("id_token", std::string_view(signer->sign(claims)));
    }
    reply.body = body.dump();
    return reply;
}

// "signed in", "start over", or the rule that failed.
inline std::string Scenario::play() {
    const auto begun = begin_login(client, data.metadata, start);
    assert_true(bool(begun));
    if (!claims.has("nonce")) {
        claims.set("nonce", std::string_view(begun->ticket.nonce));
    }
    const auto callback = read_callback(answer + "&state=" + begun->state);
    assert_true(bool(callback));
    Login login(client, std::make_shared<ProviderData>(data), begun->ticket);
    Action action = login.resume(*callback, fake::now);
    for (int turn = 0; turn < 8; turn++) {
        if (const auto *request = std::get_if<http::Request>(&action)) {
            asked.push_back(request->url);
            action = login.resume(reply_to(*request), fake::now);
        } else if (std::holds_alternative<FetchKeys>(action)) {
            asked.emplace_back("keys");
            action = login.resume(std::make_shared<ProviderData>(fetched), fake::now);
        } else if (auto *signed_in = std::get_if<SignedIn>(&action)) {
            session = signed_in->session;
            return "signed in";
        } else if (std::holds_alternative<StartOver>(action)) {
            return "start over";
        } else {
            error = std::get<Error>(action);
            return error.rule;
        }
    }
    return "an endless login";
}

}  // namespace fake
