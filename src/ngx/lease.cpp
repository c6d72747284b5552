#include "lease.hpp"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

namespace auth_oidc {

namespace {

constexpr size_t zone_size = 256 * 1024;
constexpr size_t bucket_count = 256, per_bucket = 8;
constexpr size_t key_size = 16;

bool is_before(ngx_msec_t a, ngx_msec_t b) {
    return static_cast<ngx_msec_int_t>(a - b) < 0;
}

struct LeaseEntry {
    unsigned char key[key_size];  // the first half of a SHA-256
    pid_t owner;                  // 0: nobody holds it
    uint32_t failures;
    ngx_msec_t until;  // of the lease, or of the pause

    bool is(const oidc::Digest &what) const { return std::memcmp(key, what.data(), key_size) == 0; }
    // A lease of our own pid is a leftover of a process before us: whoever asks here has nothing running.
    bool is_held() const {
        return owner != 0 && owner != ngx_pid && is_before(ngx_current_msec, until) &&
               (kill(owner, 0) == 0 || errno != ESRCH);
    }
    bool is_paused() const { return owner == 0 && failures != 0 && is_before(ngx_current_msec, until); }
};

}  // namespace

struct Leases::Shared {
    LeaseEntry entries[bucket_count][per_bucket];

    LeaseEntry *bucket(const oidc::Digest &what) { return entries[what[key_size] % bucket_count]; }
    LeaseEntry *find(const oidc::Digest &what) {
        LeaseEntry *first = bucket(what);
        LeaseEntry *found =
            std::find_if(first, first + per_bucket, [&](const LeaseEntry &entry) { return entry.is(what); });
        return found == first + per_bucket ? nullptr : found;
    }
    // One that means nothing any more, else a pause, else null: what is being done is never forgotten.
    LeaseEntry *take(const oidc::Digest &what) {
        LeaseEntry *first = bucket(what);
        LeaseEntry *last = first + per_bucket;
        LeaseEntry *found =
            std::find_if(first, last, [](const LeaseEntry &e) { return !e.is_held() && !e.is_paused(); });
        if (found == last) {
            found = std::find_if(first, last, [](const LeaseEntry &entry) { return entry.is_paused(); });
        }
        if (found == last) {
            return nullptr;
        }
        *found = LeaseEntry{};
        std::memcpy(found->key, what.data(), key_size);
        return found;
    }
};

// The zone's own lock: nginx opens it when a worker dies with it.
class Leases::Lock {
public:
    explicit Lock(ngx_shm_zone_t *zone) : pool_(reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr)) {
        ngx_shmtx_lock(&pool_->mutex);
    }
    ~Lock() { ngx_shmtx_unlock(&pool_->mutex); }
    Lock(const Lock &) = delete;
    Lock &operator=(const Lock &) = delete;
    Shared *operator->() const { return static_cast<Shared *>(pool_->data); }

private:
    ngx_slab_pool_t *pool_;
};

Leases::Leases(ngx_conf_t *cf) {
    ngx_str_t name = ngx_string("oidc_refresh");
    zone_ = ngx_shared_memory_add(cf, &name, zone_size, &ngx_http_auth_oidc_module);
    if (zone_ == nullptr) {
        throw std::runtime_error("the zone \"oidc_refresh\" cannot be declared");
    }
    zone_->init = entry<&Leases::init, NGX_ERROR>;
    zone_->data = this;
}

ngx_int_t Leases::init(ngx_shm_zone_t *zone, void *old) {
    static_assert(sizeof(Shared) < zone_size - 64 * 1024, "the slab's own pages need room");
    auto *pool = reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr);
    if (old == nullptr && !zone->shm.exists) {
        pool->data = ngx_slab_calloc(pool, sizeof(Shared));
    }
    return pool->data == nullptr ? NGX_ERROR : NGX_OK;
}

LeaseTurn Leases::claim(const oidc::Digest &what, ngx_msec_t life) const {
    const Lock shared(zone_);
    LeaseEntry *entry = shared->find(what);
    if (entry != nullptr && entry->is_held()) {
        return LeaseTurn::running;
    }
    if (entry != nullptr && entry->is_paused()) {
        return LeaseTurn::paused;
    }
    if (entry == nullptr) {
        entry = shared->take(what);
    }
    if (entry == nullptr) {
        return LeaseTurn::running;
    }
    entry->owner = ngx_pid;
    entry->until = ngx_current_msec + life;
    return LeaseTurn::ours;
}

void Leases::extend(const oidc::Digest &what, ngx_msec_t life) const {
    const Lock shared(zone_);
    LeaseEntry *entry = shared->find(what);
    if (entry != nullptr && entry->owner == ngx_pid) {
        entry->until = ngx_current_msec + life;
    }
}

void Leases::conclude(const oidc::Digest &what, bool failed) const {
    constexpr uint32_t longest = 30;
    const Lock shared(zone_);
    LeaseEntry *entry = shared->find(what);
    if (entry == nullptr || entry->owner != ngx_pid) {
        return;
    }
    entry->owner = 0;
    entry->failures = failed ? entry->failures + 1 : 0;
    const uint32_t pause = std::min<uint32_t>((1U << std::min<uint32_t>(entry->failures, 6)) / 2, longest);
    entry->until = ngx_current_msec + static_cast<ngx_msec_t>(pause) * 1000;
}

ngx_uint_t Leases::retry_after(const oidc::Digest &what) const {
    const Lock shared(zone_);
    const LeaseEntry *entry = shared->find(what);
    return entry != nullptr && entry->is_paused() ? (entry->until - ngx_current_msec + 999) / 1000 : 1;
}

}  // namespace auth_oidc
