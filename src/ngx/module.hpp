// What the configuration needs of the rest: the phase handlers and the variables.
#pragma once

#include "ngx.hpp"

namespace auth_oidc {

ngx_int_t install_handlers(ngx_conf_t *cf);                                // phases (module.cpp)
char *set_claim_variable(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);  // auth_oidc_claim_set (claim_variables.cpp)
ngx_int_t take_over_remote_user(ngx_conf_t *cf);                           // $remote_user (claim_variables.cpp)
char *set_require_values(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);  // auth_require (require_values.cpp)
ngx_int_t check_values_required(ngx_http_request_t *r);  // NGX_OK, or the status of the first that fails
ngx_int_t add_variables(ngx_conf_t *cf);                 // $oidc_* (variables.cpp)
bool uses_variable(ngx_conf_t *cf, std::string_view name);

// The phases.
ngx_int_t on_post_read(ngx_http_request_t *r);       // takes the callback's query out of sight of every log
ngx_int_t on_server_rewrite(ngx_http_request_t *r);  // endpoints
ngx_int_t on_preaccess(ngx_http_request_t *r);       // our cookies leave the request
ngx_int_t on_precontent(ngx_http_request_t *r);      // headers for the upstream
ngx_int_t on_access(ngx_http_request_t *r);          // who may come in

}  // namespace auth_oidc
