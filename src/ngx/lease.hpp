// Who renews which session at the moment, over all workers of the host: leases in shared memory, each good until its
// deadline or the death of its process.
#pragma once

#include "../oidc/text.hpp"
#include "ngx.hpp"

namespace auth_oidc {

enum class LeaseTurn {
    ours,     // this worker does it now
    running,  // some worker does
    paused    // the last try failed a moment ago
};

class Leases {
public:
    // Declares the zone "oidc_refresh" of fixed size; called once per configuration.
    explicit Leases(ngx_conf_t *cf);
    Leases(const Leases &) = delete;
    Leases &operator=(const Leases &) = delete;

    // `life` in milliseconds from now.
    LeaseTurn claim(const oidc::Digest &what, ngx_msec_t life) const;
    void extend(const oidc::Digest &what, ngx_msec_t life) const;
    // After a failure the next try waits: a second, then twice as long each time, up to half a minute.
    void conclude(const oidc::Digest &what, bool failed) const;
    // Seconds until the next try, at least 1.
    ngx_uint_t retry_after(const oidc::Digest &what) const;

private:
    struct Shared;
    class Lock;
    static ngx_int_t init(ngx_shm_zone_t *zone, void *old);
    ngx_shm_zone_t *zone_;
};

}  // namespace auth_oidc
