// Sessions and tickets in cookies have to fit into a request's header.
#pragma once

#include "request.hpp"

namespace auth_oidc {

// Why the session of this store's answer to `create` cannot be handed to the browser; nothing when it can.
std::optional<oidc::Error> session_size_error(ngx_http_request_t *r, const Provider &provider, const StoreCall &create);

// Whether the server's header buffers hold tickets and the smallest cookie session.
char *check_header_buffers(ngx_conf_t *cf, const ServerConf &server, const ngx_http_core_srv_conf_t &core);

}  // namespace auth_oidc
