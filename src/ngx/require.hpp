// Who may come in (auth_oidc_require, auth_oidc_max_age), and what the upstream is told (auth_oidc_set_header).
#pragma once

#include "headers.hpp"
#include "request.hpp"

namespace auth_oidc {

char *set_require(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *set_set_header(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *set_max_age(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
// What a location inherits, and what server and providers have to know of it.
char *merge_rules(ngx_conf_t *cf, const LocationConf &above, LocationConf &here);

// Holds the rules of this location against the session. NGX_OK: they hold. Anything else is what the handler has to
// return: a refusal, or one new login where a better or fresher sign-in would help.
ngx_int_t check_rules(ngx_http_request_t *r, Context &context);

// A navigation, or somebody's program (access.cpp).
bool is_navigation(ngx_http_request_t *r);
bool is_program(ngx_http_request_t *r);

}  // namespace auth_oidc
