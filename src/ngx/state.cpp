#include "state.hpp"

#include <openssl/rand.h>
#include <signal.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "state_ring.hpp"

namespace auth_oidc {

namespace {

constexpr size_t zone_size = 256 * 1024;
constexpr time_t exchange_takes_at_most = 60;  // seconds; who has not finished a login by then never will
constexpr uint32_t seen = 1;                   // the only status in the replay ring

bool is_gone(pid_t pid) {
    return kill(pid, 0) == -1 && errno == ESRCH;
}

StateUse status_of(const RingEntry &entry) {
    const auto status = static_cast<StateUse>(entry.status);
    const bool cut_off =
        status == StateUse::running && (ngx_time() - entry.time > exchange_takes_at_most || is_gone(entry.pid));
    return cut_off ? StateUse::cut_off : status;
}

}  // namespace

struct SharedState::Shared {
    unsigned char key[32];
    Ring<2048> states;   // StateUse, by state
    Ring<2048> replays;  // `seen`, until `time`
    ngx_atomic_t ends;
    ngx_atomic_t counts[static_cast<size_t>(Count::count)];
    struct {
        char rule[40];  // empty: free
        uint64_t count;
    } failures[96];  // the last one is for all that found no place
};

namespace {

// Both rings under the zone's own mutex, which nginx frees when the worker that held it died.
template <class Shared>
class Locked {
public:
    Locked(ngx_shm_zone_t *zone, Shared *shared)
        : mutex_(&reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr)->mutex), shared_(shared) {
        ngx_shmtx_lock(mutex_);
        shared_->states.repair();
        shared_->replays.repair();
    }
    ~Locked() { ngx_shmtx_unlock(mutex_); }
    Locked(const Locked &) = delete;
    Locked &operator=(const Locked &) = delete;
    Shared *operator->() const { return shared_; }

private:
    ngx_shmtx_t *mutex_;
    Shared *shared_;
};

}  // namespace

SharedState::SharedState(ngx_conf_t *cf) {
    ngx_str_t name = ngx_string("oidc_state");
    zone_ = ngx_shared_memory_add(cf, &name, zone_size, &ngx_http_auth_oidc_module);
    if (zone_ == nullptr) {
        throw std::runtime_error("the zone \"oidc_state\" cannot be declared");
    }
    zone_->init = entry<&SharedState::init, NGX_ERROR>;
}

ngx_int_t SharedState::init(ngx_shm_zone_t *zone, void *old) {
    auto *pool = reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr);
    if (old != nullptr || zone->shm.exists) {
        zone->data = old != nullptr ? old : pool->data;
        return NGX_OK;
    }
    static_assert(sizeof(Shared) < zone_size - 8 * 4096, "the zone has a head of its own");
    auto *shared = static_cast<Shared *>(ngx_slab_calloc(pool, sizeof(Shared)));
    uint64_t secrets[2];
    if (shared == nullptr || RAND_bytes(shared->key, sizeof(shared->key)) != 1 ||
        RAND_bytes(reinterpret_cast<unsigned char *>(secrets), sizeof(secrets)) != 1) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0, "auth_oidc: no memory or no random bytes for zone \"%V\"",
                      &zone->shm.name);
        return NGX_ERROR;
    }
    shared->states.set_secret(secrets[0]);
    shared->replays.set_secret(secrets[1]);
    pool->data = shared;
    zone->data = shared;
    return NGX_OK;
}

SharedState::Shared *SharedState::shared() const {
    return static_cast<Shared *>(zone_->data);
}

std::string_view SharedState::key() const {
    return oidc::bytes(shared()->key, sizeof(shared()->key));
}

StateUse SharedState::enter(const oidc::Digest &state) {
    const Locked all(zone_, shared());
    if (const RingEntry *entry = all->states.find(oidc::bytes(state))) {
        return status_of(*entry);
    }
    RingEntry entry{};
    entry.status = static_cast<uint32_t>(StateUse::running);
    entry.pid = ngx_pid;
    entry.time = ngx_time();
    all->states.add(oidc::bytes(state), entry);
    return StateUse::first;
}

StateUse SharedState::look(const oidc::Digest &state) const {
    const Locked all(zone_, shared());
    const RingEntry *entry = all->states.find(oidc::bytes(state));
    return entry == nullptr ? StateUse::first : status_of(*entry);
}

void SharedState::finish(const oidc::Digest &state, StateUse how) {
    const Locked all(zone_, shared());
    if (RingEntry *entry = all->states.find(oidc::bytes(state))) {
        entry->status = static_cast<uint32_t>(how);
    }
}

bool SharedState::remember(const oidc::Digest &what, time_t until) {
    const Locked all(zone_, shared());
    if (RingEntry *entry = all->replays.find(oidc::bytes(what))) {
        const bool expired = entry->time <= ngx_time();
        if (expired) {
            entry->time = until;
        }
        return expired;
    }
    RingEntry entry{};
    entry.status = seen;
    entry.time = until;
    all->replays.add(oidc::bytes(what), entry);
    return true;
}

bool SharedState::is_remembered(const oidc::Digest &what) const {
    const Locked all(zone_, shared());
    const RingEntry *entry = all->replays.find(oidc::bytes(what));
    return entry != nullptr && entry->time > ngx_time();
}

void SharedState::session_ended() {
    ngx_atomic_fetch_add(&shared()->ends, 1);
}

uint64_t SharedState::ends() const {
    return shared()->ends;
}

void SharedState::add(Count which, uint64_t how_many) {
    ngx_atomic_fetch_add(&shared()->counts[static_cast<size_t>(which)], static_cast<ngx_atomic_int_t>(how_many));
}

uint64_t SharedState::value(Count which) const {
    return shared()->counts[static_cast<size_t>(which)];
}

void SharedState::add_failure(std::string_view rule) {
    const Locked all(zone_, shared());
    auto &places = all->failures;
    rule = rule.substr(0, sizeof(places[0].rule) - 1);
    for (auto &place : places) {
        const bool is_last = &place == std::end(places) - 1;
        if (place.rule[0] == '\0') {
            const std::string_view name = is_last ? "other" : rule;
            std::memcpy(place.rule, name.data(), name.size());
        }
        if (is_last || place.rule == rule) {
            place.count++;
            return;
        }
    }
}

std::vector<std::pair<std::string, uint64_t>> SharedState::failures() const {
    std::vector<std::pair<std::string, uint64_t>> found;
    const Locked all(zone_, shared());
    for (const auto &place : all->failures) {
        if (place.count != 0) {
            found.emplace_back(place.rule, place.count);
        }
    }
    return found;
}

}  // namespace auth_oidc
