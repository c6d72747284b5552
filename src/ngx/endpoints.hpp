// Our own paths in a server: one table of handlers.
#pragma once

#include "request.hpp"

namespace auth_oidc {

// Each returns what the phase handler has to return; NGX_AGAIN: the phases will run again.
ngx_int_t serve_callback(ngx_http_request_t *r, Context &context);
ngx_int_t serve_login(ngx_http_request_t *r, Context &context);
ngx_int_t serve_session(ngx_http_request_t *r, Context &context);
ngx_int_t serve_session_frame(ngx_http_request_t *r, Context &context);  // session_uri?frame
ngx_int_t serve_logout(ngx_http_request_t *r, Context &context);
ngx_int_t serve_frontchannel(ngx_http_request_t *r, Context &context);
ngx_int_t serve_resource(ngx_http_request_t *r, Context &context);
ngx_int_t serve_backchannel(ngx_http_request_t *r, Context &context);

// Tells the provider that these tokens are of no use any more (RFC 7009). The calls belong to the worker; nobody waits.
void revoke_tokens(ngx_http_request_t *r, Provider &provider, const oidc::SessionView &session);

// Ends the session that the request's cookie names, and the cookie. The answer does not wait for the store.
void end_session(ngx_http_request_t *r, Context &context);
// A request that another site did not cause: Sec-Fetch-Site, or without it an Origin or Referer of ours.
bool is_own_request(ngx_http_request_t *r, std::string_view origin);

// Whether `iss`, a token's own word, speaks for the provider.
bool is_issuer(const Provider &provider, std::string_view iss);

// The query goes from everything that logs and variables read: the request line, $request_uri, $args.
void hide_query(ngx_http_request_t *r, Context &context);

// A refusal of method: 405 with Allow.
ngx_int_t refuse_method(ngx_http_request_t *r, std::string_view allowed);
// A value as path of this site to return to: `fallback` when it is none.
std::string safe_target(std::string_view value, std::string_view fallback);

// Streamlit's callback without an answer of the provider: the way back from a sign-out, to the application.
bool is_way_to_app(const Context &context);
ngx_int_t go_to_app(ngx_http_request_t *r, Context &context);

// The browser comes back from a sign-out at the provider: the state is compared, which changes nothing but a log line,
// and return_to is followed. NGX_DECLINED: the site's own page goes on.
ngx_int_t check_signed_out(ngx_http_request_t *r);

}  // namespace auth_oidc
