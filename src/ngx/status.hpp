// auth_oidc_status: the setter of the directive; the rest hangs on the location.
#pragma once

#include "ngx.hpp"

namespace auth_oidc {

char *set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

}  // namespace auth_oidc
