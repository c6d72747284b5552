#include "revocations.hpp"

#include <openssl/rand.h>

#include <stdexcept>

#include "zone_lock.hpp"

namespace auth_oidc {

namespace {

RevokedKey key_of(const unsigned char (&bytes)[16]) {
    RevokedKey key;
    std::copy_n(bytes, key.size(), key.begin());
    return key;
}

bool is_named(const RevokedKey &key) {
    return key != RevokedKey{};
}

}  // namespace

class Revocations::Lock : public ZoneLock<RevocationList> {
public:
    explicit Lock(ngx_shm_zone_t *zone) : ZoneLock(zone) { shared()->repair(); }
};

Revocations::Revocations(ngx_conf_t *cf, const RevocationOptions &options) {
    ngx_str_t name = copy(cf->pool, view(options.name));
    zone_ = ngx_shared_memory_add(cf, &name, options.size, &ngx_http_auth_oidc_module);
    if (zone_ == nullptr) {
        throw std::runtime_error("the zone of signed-out sessions cannot be declared");
    }
    zone_->init = entry<&Revocations::init, NGX_ERROR>;
    zone_->data = this;
}

ngx_int_t Revocations::init(ngx_shm_zone_t *zone, void *old) {
    auto *pool = reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr);
    if (old != nullptr || zone->shm.exists) {
        return NGX_OK;
    }
    const size_t size = pool->pfree * ngx_pagesize;
    void *memory = size == 0 ? nullptr : ngx_slab_calloc(pool, size);
    uint64_t secret = 0;
    if (memory != nullptr && RAND_bytes(reinterpret_cast<unsigned char *>(&secret), sizeof(secret)) == 1) {
        pool->data = RevocationList::format(memory, size, secret);
    }
    if (pool->data == nullptr) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0, "auth_oidc: zone \"%V\" is too small", &zone->shm.name);
        return NGX_ERROR;
    }
    return NGX_OK;
}

bool Revocations::has(const oidc::CookieHead &head) const {
    const auto *pool = reinterpret_cast<ngx_slab_pool_t *>(zone_->shm.addr);
    if (static_cast<const RevocationList *>(pool->data)->is_empty()) {
        return false;
    }
    const Lock list(zone_);
    const RevokedKey sid = key_of(head.sid), sub = key_of(head.sub);
    return list->is_folded(head.begun) || list->has(key_of(head.id), head.begun) ||
           (is_named(sid) && list->has(sid, head.begun)) || (is_named(sub) && list->has(sub, head.begun));
}

void Revocations::add(const RevokedKey &key, const StoreCall &call, int64_t longest_life) const {
    bool fits;
    {
        const Lock list(zone_);
        fits = list->add(key, now_in_milliseconds(), call.now + longest_life, call.now);
    }
    if (!fits) {
        ngx_log_error(NGX_LOG_WARN, call.log, 0,
                      "auth_oidc: the list of signed-out sessions in zone \"%V\" is full: sessions that are older than "
                      "its oldest entry sign in again",
                      &zone_->shm.name);
    }
}

int64_t now_in_milliseconds() {
    const ngx_time_t *now = ngx_timeofday();
    return static_cast<int64_t>(now->sec) * 1000 + static_cast<int64_t>(now->msec);
}

}  // namespace auth_oidc
