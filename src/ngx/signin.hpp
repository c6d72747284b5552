// The beginning of a login: from a request without a session to the provider's authorization endpoint.
#pragma once

#include <string>

#include "request.hpp"

namespace auth_oidc {

// All tickets of a browser together: two 4 KB cookies too many and nginx answers 400 to every page.
constexpr size_t max_ticket_bytes = 2500;

struct LoginWish {
    std::string target;                   // where to return to
    std::string origin{};                 // of the target, where it is another host of the cookie_domain
    oidc::Parameters extra;               // beside extra_auth_args, over them
    std::vector<std::string> acr_values;  // a step-up's, and how fresh the sign-in has to be (-1: no matter)
    int64_t max_age = -1;
    bool retried = false;  // the fresh login after login_required
};

// 302 to the provider with a ticket in a cookie, or a page that says why not. NGX_AGAIN while provider data is fetched.
ngx_int_t start_login(ngx_http_request_t *r, Context &context, Provider &provider, const LoginWish &wish);

// "/oidc_login?provider=NAME&return_to=/here", for links and for programs.
std::string login_url(const Provider &provider, std::string_view return_to);

// The sign-in page, one button for each provider: 401 in place of what was asked for, 200 at login_uri.
ngx_int_t send_choice(ngx_http_request_t *r, const std::vector<Provider *> &providers, const std::string &target,
                      ngx_uint_t status);

// How the cookies of a login in flight, ticket and loop guard, are set and deleted: a callback by POST is a cross-site
// request. provider: null when nobody knows whose it was.
decltype(&set_own_cookie) login_cookie_setter(const Provider *provider);

// Waits for provider data: NGX_AGAIN, or what the request is answered with when there is none.
ngx_int_t wait_for_data(ngx_http_request_t *r, Context &context, Provider &provider, Need need);

// The loop guard: callbacks of the last minute, however they ended, counted in a sealed cookie of this browser.
void count_callback(ngx_http_request_t *r, Context &context, Provider &provider, bool secure);

// The ticket of a login in flight by its state: nothing when there is none that opens. `provider` is the one it belongs
// to.
struct OpenedTicket {
    Provider *provider;
    oidc::Ticket ticket;
};
std::optional<OpenedTicket> open_ticket(ngx_http_request_t *r, Context &context,
                                        const std::vector<Provider *> &providers, std::string_view state);

}  // namespace auth_oidc
