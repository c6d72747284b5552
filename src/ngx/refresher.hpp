// Sessions are renewed in time: one refresh per session over all workers, which belongs to the worker and not to the
// request that began it.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "lease.hpp"
#include "request.hpp"

namespace auth_oidc {

class RefreshFlight;

// The refreshes of this worker, and what it knows of those of the others.
class Refresher {
public:
    Refresher(ngx_conf_t *cf, SharedState &state);
    ~Refresher();
    Refresher(const Refresher &) = delete;
    Refresher &operator=(const Refresher &) = delete;

    // The refresh of this session that runs in this worker, or null.
    RefreshFlight *find(const oidc::Digest &session);
    RefreshFlight &start(Provider &provider, std::string_view cookie, const oidc::Digest &session);
    void remove(RefreshFlight &flight);
    // The worker ends.
    void drop();

    Leases leases;
    SharedState &state;

private:
    std::unordered_map<std::string, std::unique_ptr<RefreshFlight>> flights_;
};

// Before a request with a session goes on. NGX_OK: it may. NGX_AGAIN: it waits, the phases will run again and the
// session has to be looked up anew. Anything else is the answer.
ngx_int_t keep_fresh(ngx_http_request_t *r, Context &context);

// The setter of session_refresh.
char *set_session_refresh(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
// Its defaults.
void complete_refresh(ngx_conf_t *cf, Provider &provider);

}  // namespace auth_oidc
