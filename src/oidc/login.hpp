// The conversation of one login, without I/O. begin() says where to send the browser; then each resume() takes what has
// come back and returns the next Action: fetch this, fetch the keys again, signed in, start over, or stop.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "http.hpp"
#include "provider.hpp"
#include "result.hpp"
#include "session.hpp"
#include "text.hpp"

namespace oidc {

struct LoginStart {
    std::string redirect_uri;  // absolute
    std::string target;        // where to return to, begins with '/'
    std::string binding;       // client.binding(), where the caller has it at hand
    Parameters extra;          // extra_auth_args, evaluated; reserved names in it are ignored, empty values left out
    int64_t now = 0;           // seconds since 1970
    int64_t max_age = -1;      // step-up: overrides the client's
    std::vector<std::string> acr_values;  // step-up: overrides the client's
    bool retried = false;                 // after login_required: without prompt=none
};
struct LoginBegun {
    std::string url;    // the authorization request (C 3.1.2.1)
    std::string state;  // names the ticket's cookie
    Ticket ticket;
};
Result<LoginBegun> begin_login(const Client &client, const Metadata &metadata, const LoginStart &start);

// What the callback's parameters come to, before any ticket is known: no protocol parameter twice, `state` there.
struct Callback {
    std::string state, code, iss, error, error_description, response;
    bool has_iss = false;
    std::string session_state{};  // Session Management 1.0 section 2
};
Result<Callback> read_callback(std::string_view form);

struct FetchKeys {};  // unknown kid or a failed signature: have the key set fetched anew, then resume(data)
struct StartOver {};  // login_required and its kin: one fresh login to the same target, without prompt=none
struct SignedIn {
    Session session;
    std::string id_token_alg;
};
using Action = std::variant<http::Request, FetchKeys, SignedIn, StartOver, Error>;

class Login {
public:
    // `client` must outlive the login. The ticket was opened by the caller and belongs to this client; the caller has
    // checked its age and that its state was not used before.
    Login(const Client &client, std::shared_ptr<const ProviderData> data, Ticket ticket);

    // Judges the callback (iss, error, code) and asks for the token request.
    Action resume(const Callback &callback, int64_t now);
    // The reply to the request that was asked for last: token, then UserInfo where configured.
    Action resume(const http::Reply &reply, int64_t now);
    // Fresh keys after FetchKeys (or the old ones again when there are none newer).
    Action resume(std::shared_ptr<const ProviderData> data, int64_t now);

    const Ticket &ticket() const { return ticket_; }

private:
    enum class Step { callback, token, keys, userinfo, done };
    Action judge_id_token(int64_t now);
    Action judge_userinfo(int64_t now);
    Action finish(const Json &userinfo, int64_t now);
    Action stop(Error error);

    const Client &client_;
    std::shared_ptr<const ProviderData> data_;
    Ticket ticket_;
    Step step_ = Step::callback;
    bool keys_fetched_ = false;
    std::string state_, code_, session_state_;
    struct Tokens {
        std::string access_token, id_token, refresh_token;
        int64_t expires_in = -1;
    } tokens_;
    Json claims_;           // the verified ID token's
    std::string alg_;       // and what it is signed with
    http::Reply userinfo_;  // judged twice when its signature needs fresh keys
};

}  // namespace oidc
