// Sessions in a shared memory zone of nginx.
#pragma once

#include <vector>

#include "store.hpp"

namespace auth_oidc {

struct ZoneOptions {
    ngx_str_t name{};
    size_t size = 0;     // 0: refer to a zone that keyval_zone declares elsewhere
    time_t timeout = 0;  // 0: none but the sessions' own
    ngx_str_t state{};   // a file that keeps it over restarts; empty: none
};

// Declares the zone (or refers to it; nginx then finds at the end of the configuration whether it exists) and returns
// its store. Null on failure, which nginx has logged.
Store *zone_store(ngx_conf_t *cf, const ZoneOptions &options);

// The cookie_secret of a provider that uses the zone: the first one's seals the state file, all of them open it.
void seal_state_with(const Store &store, const std::vector<std::string> &secrets);

// For the status endpoint: live sessions, and the bytes in use and in all.
struct ZoneUse {
    uint64_t sessions, used, size, evicted;
};
ZoneUse zone_use(const Store &store);

}  // namespace auth_oidc
