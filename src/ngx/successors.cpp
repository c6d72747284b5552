#include "successors.hpp"

#include <stdexcept>

namespace auth_oidc {

namespace {

constexpr size_t zone_size = 4 * 1024 * 1024;
constexpr int64_t life = 300;  // seconds

}  // namespace

// The zone's own mutex is the only lock: nginx frees it when the worker that held it died.
class Successors::Lock {
public:
    explicit Lock(ngx_shm_zone_t *zone) : pool_(reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr)) {
        ngx_shmtx_lock(&pool_->mutex);
        arena = Arena(pool_->data);
        arena.repair();
        arena.reap(ngx_time());
    }
    ~Lock() { ngx_shmtx_unlock(&pool_->mutex); }
    Lock(const Lock &) = delete;
    Lock &operator=(const Lock &) = delete;

    Arena arena;

private:
    ngx_slab_pool_t *pool_;
};

Successors::Successors(ngx_conf_t *cf, std::string_view name) {
    ngx_str_t copied = copy(cf->pool, name);
    zone_ = ngx_shared_memory_add(cf, &copied, zone_size, &ngx_http_auth_oidc_module);
    if (zone_ == nullptr) {
        throw std::runtime_error("the zone of refreshed sessions cannot be declared");
    }
    zone_->init = entry<&Successors::init, NGX_ERROR>;
    zone_->data = this;
}

ngx_int_t Successors::init(ngx_shm_zone_t *zone, void *old) {
    auto *pool = reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr);
    if (old != nullptr || zone->shm.exists) {
        return NGX_OK;
    }
    const size_t size = pool->pfree * ngx_pagesize;
    void *memory = ngx_slab_alloc(pool, size);
    if (memory == nullptr || !Arena::format(memory, size)) {
        return NGX_ERROR;
    }
    pool->data = memory;
    return NGX_OK;
}

std::string Successors::find(const RecordId &former) const {
    const Lock lock(zone_);
    const Place place = lock.arena.find(former);
    if (place == 0) {
        return {};
    }
    std::string cookie(lock.arena.size(place), '\0');
    lock.arena.read(place, reinterpret_cast<unsigned char *>(cookie.data()));
    return cookie;
}

bool Successors::add(const RecordId &former, std::string_view cookie) const {
    Lock lock(zone_);
    if (lock.arena.find(former) != 0 || !lock.arena.fits(cookie.size())) {
        return false;
    }
    ArenaRecord record;
    record.id = former;
    record.ends = ngx_time() + life;
    record.head = cookie.substr(0, Arena::head_room);
    record.rest = cookie.substr(record.head.size());
    lock.arena.insert(record, ngx_time());
    return true;
}

}  // namespace auth_oidc
