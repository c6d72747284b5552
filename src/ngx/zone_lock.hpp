// The only lock of a zone: the mutex of its slab pool, which nginx opens when the worker that held it died.
#pragma once

#include "ngx.hpp"

namespace auth_oidc {

// Holds the lock while it lives. Shared is what the zone's init callback put into the pool's data.
template <class Shared>
class ZoneLock {
public:
    explicit ZoneLock(ngx_shm_zone_t *zone) : pool_(reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr)) {
        ngx_shmtx_lock(&pool_->mutex);
    }
    ~ZoneLock() { ngx_shmtx_unlock(&pool_->mutex); }
    ZoneLock(const ZoneLock &) = delete;
    ZoneLock &operator=(const ZoneLock &) = delete;
    Shared *shared() const { return static_cast<Shared *>(pool_->data); }
    Shared *operator->() const { return shared(); }

private:
    ngx_slab_pool_t *pool_;
};

}  // namespace auth_oidc
