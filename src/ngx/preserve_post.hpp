// auth_oidc_preserve_post: a form that this site posted meets an ended session. It is sealed and handed back to the
// browser, which keeps it until its user has signed in, brings it to "login_uri/post", and sends it again from there.
#pragma once

#include "request.hpp"

namespace auth_oidc {

// The page for a POST of somebody who is not signed in. NGX_AGAIN while the form is being read.
ngx_int_t answer_post(ngx_http_request_t *r, Context &context, const std::vector<Provider *> &providers);

ngx_int_t serve_post(ngx_http_request_t *r, Context &context);
ngx_int_t serve_post_script(ngx_http_request_t *r, Context &context);

// Remembers in this browser whose forms it may keep: nobody else sends them. Empty `sub`: forgets it.
void note_user(ngx_http_request_t *r, const Provider &provider, std::string_view sub, bool secure);

}  // namespace auth_oidc
