// Whose session a request carries.
#pragma once

#include "request.hpp"

namespace auth_oidc {

// Looks for a session of one of these providers. NGX_OK: context.session is set. NGX_DECLINED: nobody is signed in.
// NGX_AGAIN: the store works on it, the phases will run again. NGX_ERROR: the store gives no answer (503).
ngx_int_t find_session(ngx_http_request_t *r, Context &context, const std::vector<Provider *> &providers);

// Whether a cookie of that name holds a session of this provider.
bool is_session_cookie(ngx_http_request_t *r, const Provider &provider, std::string_view name);

// What a store is asked about for that cookie: its value, put together where a session is in several cookies. Empty
// when a part of it is missing.
std::string_view session_value(ngx_http_request_t *r, Context &context, const Provider &provider, const Cookie &cookie);

// The whole record of context.session, read when it is first asked for; null when it is gone (or nobody is signed in).
const oidc::SessionView *load_session(ngx_http_request_t *r, Context &context);

// The same with one question and answer at a time, for endpoints. `done` of the call resumes the request.
void prepare_call(ngx_http_request_t *r, StoreCall &call, const Provider &provider, std::string_view cookie);

}  // namespace auth_oidc
