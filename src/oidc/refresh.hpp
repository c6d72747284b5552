// The renewal of a session, without I/O: is it due, and the conversation with the provider that does it.
#pragma once

#include <memory>
#include <string_view>
#include <variant>

#include "http.hpp"
#include "login.hpp"
#include "protocol.hpp"
#include "provider.hpp"
#include "result.hpp"
#include "session.hpp"

namespace oidc {

// session_refresh and session_recheck.
struct RefreshPolicy {
    bool on = true;
    bool required = false;  // without a living access token there is no answer
    bool id_token = false;  // $oidc_id_token is in use: it has to live too
    int64_t before = 60;    // seconds before the end of a token
    int64_t recheck = 0;    // seconds, 0: off
    bool watches() const { return on || recheck > 0; }
};

// soon: whoever does not do it himself goes on with what is there. now: nobody goes on before it was tried.
enum class Due { no, soon, now };
Due refresh_due(const SessionHead &head, const RefreshPolicy &policy, int64_t now);
// The access token has ended and must not be shown any more.
bool is_access_token_over(const SessionHead &head, int64_t now);
// Under which name a session keeps what a field held at the login, where that is asked for. No claim can be called so.
std::string frozen_key(Field field);
bool has_field(const SessionHead &head, Field field);

// complete is false when UserInfo could not be had: the tokens are new, the claims are still the old ones.
struct Refreshed {
    Session session;
    std::string id_token_alg;  // empty: no ID token came along
    bool complete = true;
};
using RefreshAction = std::variant<http::Request, FetchKeys, Refreshed, Error>;

// With a refresh token by the token endpoint (C 12), and then UserInfo where configured; without one by UserInfo alone.
class Refresh {
public:
    // `client` must outlive it. `before` as in the policy.
    Refresh(const Client &client, std::shared_ptr<const ProviderData> data, Session session, int64_t before);

    RefreshAction begin(int64_t now);
    RefreshAction resume(const http::Reply &reply, int64_t now);
    RefreshAction resume(std::shared_ptr<const ProviderData> data, int64_t now);

    // The provider has said no, or answered with what must not be trusted: the session ends. Otherwise it was only
    // away.
    static bool ends_session(const Error &error);

private:
    enum class Step { idle, token, keys, userinfo };
    RefreshAction take_tokens(const http::Reply &reply, int64_t now);
    RefreshAction judge_id_token(int64_t now);
    RefreshAction ask_userinfo(int64_t now);
    RefreshAction judge_userinfo(int64_t now);
    RefreshAction finish(const Json &userinfo, int64_t now);
    RefreshAction stop(Error error);
    void keep_tokens(int64_t now);

    const Client &client_;
    std::shared_ptr<const ProviderData> data_;
    Session session_;
    const int64_t before_;
    Step step_ = Step::idle;
    bool keys_fetched_ = false, has_tokens_ = false;
    TokenAnswer tokens_;
    Json claims_;  // the refreshed ID token's, if there is one
    std::string alg_;
    http::Reply userinfo_;  // judged twice when its signature needs fresh keys
};

}  // namespace oidc
