// All of a session in the browser's own cookie, sealed: no state here but who was signed out.
#pragma once

#include "config.hpp"
#include "revocations.hpp"
#include "revocations_redis.hpp"
#include "successors.hpp"

namespace auth_oidc {

struct CookieStore {
    Provider *provider = nullptr;
    std::unique_ptr<Revocations> revocations;   // of this host, or
    std::unique_ptr<RemoteRevocations> remote;  // in Redis
    std::unique_ptr<Successors> successors;     // null: no session is refreshed
    std::string bound_to;

    // What the seal is bound to: nothing of another cookie opens here. The name stands only when all servers were read.
    const std::string &purpose() {
        if (bound_to.empty()) {
            bound_to = "session cookie " + provider->cookie;
        }
        return bound_to;
    }
};

// `session_store cookie`. Null: the mistake is logged.
Store *cookie_store(ngx_conf_t *cf, Provider &provider);

// session_revocation (revocations_conf.cpp): fills in who keeps the list. NGX_CONF_OK or NGX_CONF_ERROR, logged.
char *complete_revocation(ngx_conf_t *cf, Provider &provider, CookieStore &store);

}  // namespace auth_oidc
