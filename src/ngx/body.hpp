// A small request body, read into memory of ours: nginx would spool a large one to disk.
#pragma once

#include <memory>
#include <string>

#include "request.hpp"

namespace auth_oidc {

constexpr size_t max_body = 64 * 1024;

// The body of a form. NGX_OK: text is the whole of it. NGX_AGAIN: the phases run again when it is there. Anything else:
// the status.
ngx_int_t read_form(ngx_http_request_t *r, Context &context, std::string &text);

// The page for a body that is none of these, with the status that read_form gave.
ngx_int_t refuse_form(ngx_http_request_t *r, ngx_int_t status);

}  // namespace auth_oidc
