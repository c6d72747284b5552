// What needs https, held against the servers that use it.
#pragma once

#include "config.hpp"

namespace auth_oidc {

// At the end of the configuration. NGX_CONF_ERROR: logged.
char *check_https(ngx_conf_t *cf, const ServerConf &server, const ngx_http_core_srv_conf_t &core);

}  // namespace auth_oidc
