// auth_oidc_streamlit: an unmodified Streamlit application behind us gets its own signed identity cookie, made for each
// request; no client ever sends one.
#pragma once

#include "request.hpp"

namespace auth_oidc {

// Streamlit's identity cookies of the client leave the request.
void strip_streamlit(ngx_http_request_t *r);
// Ours goes in where the location says so and somebody is signed in. NGX_DECLINED: go on.
ngx_int_t add_streamlit_identity(ngx_http_request_t *r);

// A provider that came from Streamlit's file, or null.
Provider *file_provider(const Endpoint &endpoint);
// "/" behind what redirect_uri has before Streamlit's own paths.
std::string app_base(const Provider &provider);

// What /auth/login was asked for: the provider that Streamlit's own token names, or null.
Provider *provider_by_token(const Endpoint &endpoint, std::string_view token);
// Where to return to when nothing was said: the page of this site that the browser was on, or the application's base.
std::string streamlit_target(ngx_http_request_t *r, const Provider &provider);

}  // namespace auth_oidc
