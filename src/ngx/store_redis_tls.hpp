#pragma once

#include <string>

#include "ngx.hpp"

namespace auth_oidc {

// The context that all connections of a store share, at configuration time. Null: logged.
ngx_ssl_t *redis_tls(ngx_conf_t *cf, const std::string &ca);

}  // namespace auth_oidc
