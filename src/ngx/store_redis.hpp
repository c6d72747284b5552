// Sessions in Redis or Valkey: sealed before they leave, under a hash of their id, ended by Redis's own expiry.
#pragma once

#include "config.hpp"
#include "store_redis_url.hpp"

namespace auth_oidc {

// For `session_store` with a URL, at configuration time. Null: logged.
Store *redis_store(ngx_conf_t *cf, Provider &provider);

}  // namespace auth_oidc
