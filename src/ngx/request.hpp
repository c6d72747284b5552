// What the module knows of one request, and the answers it can give.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "../oidc/result.hpp"
#include "../oidc/session.hpp"
#include "alarm.hpp"
#include "config.hpp"
#include "cookies.hpp"
#include "pages.hpp"
#include "waiters.hpp"

namespace auth_oidc {

class Exchange;
class Body;
class FrontWork;
class LogoutWork;
class OpenRequest;
class SignOut;

// Whose session a request carries.
struct FoundSession {
    Provider *provider = nullptr;        // null: anonymous
    std::string_view cookie;             // the session cookie's value
    std::string_view token;              // or the access token that came in place of one
    std::array<unsigned char, 16> id{};  // where has_id
    bool has_id = false;
    oidc::SessionHead head;
    std::string_view record;                // where the look-up brought it along
    std::optional<oidc::SessionView> view;  // once a claim or a token was asked for
    bool loaded = false;

    // What stays the same while the session lives.
    std::string_view identity() const { return has_id ? oidc::bytes(id.data(), id.size()) : cookie; }
};

// A search for the session of one provider after the other, over every cookie of the right name. Goes on where it
// stopped.
struct Lookup {
    size_t provider = 0;  // index into the location's providers
    size_t cookie = 0;
    bool running = false;
    ngx_msec_t began = 0;  // when the store was asked
    StoreCall call;
};

// The context of a main request; subrequests and internal redirects share it.
struct Context {
    explicit Context(ngx_http_request_t *request) : r(request) {}

    ngx_http_request_t *r;
    RequestCookies cookies;
    bool collected = false;

    Lookup lookup;
    FoundSession session;
    std::string new_cookie;              // the value of the session's cookie from now on: goes out with the answer
    bool sets_cookie = false;            // the answer sets or deletes a cookie of ours
    bool own_answer = false;             // and it has the headers of one of our own
    Provider *login_provider = nullptr;  // the one that $oidc_login_url is about

    const Endpoint *endpoint = nullptr;
    ngx_str_t query{};  // what the callback came with; taken out of sight of the logs
    std::string form;   // or the form that the callback was posted with
    bool posted = false;
    std::shared_ptr<Exchange> exchange;  // a callback that is being worked on
    std::shared_ptr<SignOut> sign_out;   // a sign-out that waits for the store
    std::shared_ptr<LogoutWork> logout;  // a logout token that is being worked on
    std::shared_ptr<FrontWork> front;    // a front-channel sign-out that waits for the store
    std::shared_ptr<Body> body;          // a request body that is being read

    std::unique_ptr<Waiter> waiter;                     // for provider data
    bool asked_for_keys = false, introspected = false;  // for the token that came
    std::shared_ptr<const std::string> token_record;    // its claims, which session.record looks into
    bool waited = false;                                // nobody waits for the same thing twice
    bool renewed = false;                               // has waited for a refresh of its session
    std::unique_ptr<Alarm> alarm;                       // to look again

    OpenRequest *open = nullptr;  // where it is watched, and how many sessions had ended when its own was looked for
    uint64_t ends = 0;

    bool site_page = false;                   // auth_oidc_page answers, with these facts
    std::string page_login_url, page_target;  // empty: as anywhere

    const char *status = "anonymous";      // $oidc_auth_status
    std::string error, error_description;  // $oidc_error, $oidc_error_description
};

// get: null when there is none yet. ensure: made when needed, found again after an internal redirect.
Context *get_context(ngx_http_request_t *r);
Context &ensure_context(ngx_http_request_t *r);
RequestCookies &cookies_of(ngx_http_request_t *r, Context &context);

// The value of a request header by its lower-case name, or empty.
std::string_view request_header(ngx_http_request_t *r, std::string_view lower_case_name);
std::string evaluate(ngx_http_request_t *r, ngx_http_complex_value_t *value);

// Scheme, host and port under which the browser knows us (auth_oidc_base_url, else as nginx parsed the
// request, and then only names of this server). An error of status 421 otherwise. `provider` with an absolute
// redirect_uri on the same host lends its scheme and port.
oidc::Result<std::string> base_url(ngx_http_request_t *r, const Provider *provider);
inline bool is_secure(std::string_view origin) {
    return oidc::starts_with(origin, "https:");
}
// The request target byte for byte, at most 1,200 bytes (longer: without the query); "/" when that does not begin with
// '/'.
std::string return_target(ngx_http_request_t *r);

// Answers. Each gives what the handler has to return; the headers that every answer of ours has are set.
ngx_int_t send_redirect(ngx_http_request_t *r, std::string_view url);
struct Answer {
    ngx_uint_t status = NGX_HTTP_OK;
    std::string_view type = "text/html; charset=utf-8";
    std::string body;
    std::string form_targets;  // for the Content-Security-Policy of a page
    bool framed = false;       // may be shown inside a frame
    std::string ancestors{};   // who else may frame it: origins, blanks between
    PageScript script = PageScript::none;
    std::string policy{};  // a Content-Security-Policy of its own
};
ngx_int_t send_answer(ngx_http_request_t *r, const Answer &answer);
struct Answer;
void set_own_headers(ngx_http_request_t *r, const Answer &answer);

// The end of what a handler of ours does: what it has to return then.
ngx_int_t finish(ngx_http_request_t *r, ngx_int_t status);

// Whether the site's own error_page answers a status in place of our page: the handler then returns the status.
bool is_taken_over(ngx_http_request_t *r, ngx_uint_t status);

// One log line at the level of whose fault it is, then the page (or the site's error_page): status 400, 502 or 500 by
// fault, or the error's own.
struct Failure {
    const Provider *provider = nullptr;
    oidc::Error error;
    std::string retry_url;         // "Sign in again"; empty: no link
    const char *action = "login";  // what failed, for the log
    ngx_uint_t retry_after = 0;    // seconds, for 503
    std::string explanation;       // for the page, where the status alone says too little
    std::string retry_text{};      // another word than "Sign in again"
    std::string title{};           // the page's, with an explanation
};
ngx_int_t fail(ngx_http_request_t *r, const Failure &failure);
// 503 where the session store gives no answer: never a way in. `provider` may be null.
ngx_int_t fail_store(ngx_http_request_t *r, const Provider *provider, const char *action);

// A later call of the handler continues what waits: rewrite phase handlers return NGX_DONE and access handlers
// NGX_AGAIN meanwhile. Lets the request notice a client that goes away.
void prepare_wait(ngx_http_request_t *r);
// Runs the request on from outside of its own events.
void resume(ngx_http_request_t *r);

}  // namespace auth_oidc
