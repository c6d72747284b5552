#include "token_cache.hpp"

#include <stdexcept>

#include "zone_arena.hpp"

namespace auth_oidc {

namespace {

constexpr size_t zone_size = 4 * 1024 * 1024;
constexpr size_t worker_bytes = 8 * 1024 * 1024;

}  // namespace

std::shared_ptr<const std::string> WorkerTokens::find(const std::string &key, int64_t now) {
    const auto found = index_.find(key);
    if (found == index_.end()) {
        return nullptr;
    }
    if (found->second->ends <= now) {
        drop(found->second);
        return nullptr;
    }
    return found->second->record;
}

std::shared_ptr<const std::string> WorkerTokens::add(const std::string &key, std::string record, int64_t ends) {
    if (const auto found = index_.find(key); found != index_.end()) {
        drop(found->second);
    }
    auto kept = std::make_shared<const std::string>(std::move(record));
    entries_.push_front({key, kept, ends});
    index_[entries_.front().key] = entries_.begin();
    bytes_ += entries_.front().bytes();
    while (bytes_ > worker_bytes) {
        drop(std::prev(entries_.end()));
    }
    return kept;
}

void WorkerTokens::drop(Entries::iterator entry) {
    bytes_ -= entry->bytes();
    index_.erase(entry->key);
    entries_.erase(entry);
}

// As one configuration knows it; what it holds goes on from one configuration to the next.
struct SharedTokens::Zone {
    ngx_slab_pool_t *pool = nullptr;
    Arena arena;
};

class SharedTokens::Lock {
public:
    explicit Lock(Zone &zone) : zone_(zone) {
        ngx_shmtx_lock(&zone_.pool->mutex);
        zone_.arena.repair();
    }
    ~Lock() { ngx_shmtx_unlock(&zone_.pool->mutex); }
    Lock(const Lock &) = delete;
    Lock &operator=(const Lock &) = delete;

private:
    Zone &zone_;
};

SharedTokens::SharedTokens(ngx_conf_t *cf) {
    ngx_str_t name = ngx_string("oidc_tokens");
    ngx_shm_zone_t *shared = ngx_shared_memory_add(cf, &name, zone_size, &ngx_http_auth_oidc_module);
    if (shared == nullptr) {
        throw std::runtime_error("the zone \"oidc_tokens\" cannot be declared");
    }
    zone_ = pool_new<Zone>(cf->pool);
    shared->data = zone_;
    shared->init = entry<&SharedTokens::init, NGX_ERROR>;
}

ngx_int_t SharedTokens::init(ngx_shm_zone_t *shared, void *old) {
    Zone &zone = *static_cast<Zone *>(shared->data);
    zone.pool = reinterpret_cast<ngx_slab_pool_t *>(shared->shm.addr);
    if (old == nullptr && !shared->shm.exists) {
        const size_t size = zone.pool->pfree * ngx_pagesize;
        zone.pool->data = ngx_slab_alloc(zone.pool, size);
        const std::optional<Arena> arena = zone.pool->data ? Arena::format(zone.pool->data, size) : std::nullopt;
        return arena ? (zone.arena = *arena, NGX_OK) : NGX_ERROR;
    }
    zone.arena = Arena(zone.pool->data);
    return NGX_OK;
}

std::optional<SharedTokens::Answer> SharedTokens::find(const oidc::Digest &key, int64_t now) const {
    std::string text;
    {
        const Lock lock(*zone_);
        const Place place = zone_->arena.find(key);
        if (place == 0) {
            return std::nullopt;
        }
        zone_->arena.use(place, now);
        text.resize(zone_->arena.size(place));
        zone_->arena.read(place, reinterpret_cast<unsigned char *>(text.data()));
    }
    // The end stands in front: the arena drops in its own time.
    int64_t ends = 0;
    if (text.size() <= sizeof(ends)) {
        return std::nullopt;
    }
    std::memcpy(&ends, text.data(), sizeof(ends));
    if (ends <= now) {
        return std::nullopt;
    }
    const bool good = text[sizeof(ends)] == '+';
    return Answer{good, text.substr(sizeof(ends) + 1), ends};
}

bool SharedTokens::put(const oidc::Digest &key, const Answer &answer, int64_t now) const {
    std::string head(reinterpret_cast<const char *>(&answer.ends), sizeof(answer.ends));
    head += answer.good ? '+' : '-';
    ArenaRecord record;
    record.id = key;
    record.ends = answer.ends;
    record.head = head;
    record.rest = answer.text;
    if (!zone_->arena.fits(record.size())) {
        return false;
    }
    const Lock lock(*zone_);
    if (const Place old = zone_->arena.find(key)) {
        zone_->arena.replace(old, record, now);
    } else {
        zone_->arena.insert(record, now);
    }
    return true;
}

}  // namespace auth_oidc
