// All of a session in the browser's own cookie, sealed: no state here but who was signed out.
#pragma once

#include "config.hpp"

namespace auth_oidc {

// `session_store cookie`. Null: the mistake is logged.
Store *cookie_store(ngx_conf_t *cf, Provider &provider);

}  // namespace auth_oidc
