#include "keyring_zone.hpp"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "../oidc/protocol.hpp"
#include "keyring.hpp"
#include "zone_lock.hpp"

namespace auth_oidc {
namespace {

constexpr size_t zone_size = size_t{2} * 1024 * 1024;
constexpr int64_t stale_for = int64_t{24} * 3600;
constexpr uint32_t longest_pause = 30;

bool is_before(ngx_msec_t a, ngx_msec_t b) {
    return static_cast<ngx_msec_int_t>(a - b) < 0;
}

bool is_alive(ngx_pid_t pid) {
    return kill(pid, 0) == 0 || errno != ESRCH;
}

// One document within a slot. Times are seconds since 1970.
template <size_t Room>
struct Document {
    int64_t fetched_at, fresh_until;
    size_t size;
    char text[Room];

    // A clock that was set back must not make a document fresh for years.
    bool is_due(int64_t now) const { return now >= fresh_until || now < fetched_at; }
    bool is_usable(int64_t now) const { return now < fresh_until + stale_for; }
    std::string_view view() const { return {text, size}; }

    // What was fetched, else what was there before, else nothing.
    void put(const std::optional<Fetched> &fetched, const Document *old) {
        std::string_view source;
        fetched_at = fresh_until = 0;
        if (fetched) {
            fetched_at = ngx_time();
            fresh_until = fetched_at + fetched->fresh_for;
            source = fetched->document;
        } else if (old != nullptr) {
            fetched_at = old->fetched_at;
            fresh_until = old->fresh_until;
            source = old->view();
        }
        size = source.size();
        source.copy(text, size);
    }
    static bool fits(const std::optional<Fetched> &fetched) { return !fetched || fetched->document.size() <= Room; }
};

}  // namespace

struct KeyringZone::Slot {
    Document<oidc::max_metadata> metadata;
    Document<oidc::max_keys> keys;
};

// The documents of generation N are in slot N % 2, and the generation is written last: a worker that dies while it
// writes leaves the previous documents as they were.
struct KeyringZone::Shared {
    std::atomic<uint64_t> generation;
    uint64_t ages;  // given out to configurations
    uint64_t age;   // of the configuration that `subject` comes from
    oidc::Digest subject;
    uint64_t ended;
    ngx_pid_t owner;  // of the lease; 0: nobody fetches
    ngx_msec_t deadline;
    uint32_t failures;
    ngx_msec_t next_try;  // counts while failures != 0
    bool was_forced[2];
    ngx_msec_t next_forced[2];  // by KeysFor
    char alg[8];                // of the last good ID token; a text that ends with a zero
    Slot *slots[2];             // untouched, they cost no memory

    Slot &current() { return *slots[generation % 2]; }
    bool has_keys() { return generation != 0 && current().keys.size != 0; }
    bool is_leased() const {
        // A lease of our own pid is a leftover: whoever asks has no fetch running.
        return owner != 0 && owner != ngx_pid && is_before(ngx_current_msec, deadline) && is_alive(owner);
    }
    bool is_paused() const { return failures != 0 && is_before(ngx_current_msec, next_try); }
    bool may_force(KeysFor who);
};

class KeyringZone::Lock : public ZoneLock<Shared> {
public:
    using ZoneLock::ZoneLock;
};

KeyringZone::KeyringZone(ngx_conf_t *cf, const std::string &provider, const oidc::Digest &subject) : subject_(subject) {
    ngx_str_t name = copy(cf->pool, "oidc_data_" + provider);
    zone_ = ngx_shared_memory_add(cf, &name, zone_size, &ngx_http_auth_oidc_module);
    if (zone_ == nullptr) {
        throw std::bad_alloc();
    }
    zone_->init = entry<&KeyringZone::init, NGX_ERROR>;
    zone_->data = this;
}

// In the master, at start and at each reload; workers of the configuration before go on using the zone.
ngx_int_t KeyringZone::init(ngx_shm_zone_t *zone, void *old) {
    static_assert(2 * sizeof(Slot) < zone_size - size_t{64} * 1024, "the slab's own pages need room");
    auto *pool = reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr);
    if (old == nullptr && !zone->shm.exists) {
        void *memory = ngx_slab_alloc(pool, sizeof(Shared));
        void *slots[2] = {ngx_slab_alloc(pool, sizeof(Slot)), ngx_slab_alloc(pool, sizeof(Slot))};
        if (memory == nullptr || slots[0] == nullptr || slots[1] == nullptr) {
            return NGX_ERROR;
        }
        auto *shared = static_cast<Shared *>(memory);
        std::uninitialized_value_construct_n(shared, 1);
        for (int i = 0; i < 2; i++) {
            shared->slots[i] = static_cast<Slot *>(slots[i]);
            std::uninitialized_default_construct_n(shared->slots[i], 1);
        }
        pool->data = shared;
    }
    Lock lock(zone);
    static_cast<KeyringZone *>(zone->data)->age_ = ++lock.shared()->ages;
    return NGX_OK;
}

// Documents of another subject are dropped by the first worker that needs the zone, not by the master: a configuration
// that fails to start after all must not cost the running one its data.
bool KeyringZone::ours(Shared *shared) const {
    if (shared->subject == subject_ && shared->age != 0) {
        shared->age = std::max(shared->age, age_);
        return true;
    }
    if (shared->age > age_) {
        return false;
    }
    shared->generation = 0;
    shared->owner = 0;
    shared->failures = 0;
    shared->alg[0] = '\0';
    std::fill(std::begin(shared->was_forced), std::end(shared->was_forced), false);
    shared->ended++;
    shared->subject = subject_;
    shared->age = age_;
    return true;
}

std::optional<ZoneView> KeyringZone::look() const {
    Lock lock(zone_);
    Shared *shared = lock.shared();
    if (!ours(shared)) {
        return std::nullopt;
    }
    ZoneView view;
    view.generation = shared->generation;
    if (view.generation != 0) {
        const Slot &slot = shared->current();
        view.metadata_due = slot.metadata.is_due(ngx_time());
        view.has_keys = shared->has_keys();
        view.keys_due = view.has_keys && slot.keys.is_due(ngx_time());
        view.usable = slot.metadata.is_usable(ngx_time()) && (!view.has_keys || slot.keys.is_usable(ngx_time()));
    }
    return view;
}

std::optional<Documents> KeyringZone::read(uint64_t generation) const {
    Lock lock(zone_);
    Shared *shared = lock.shared();
    if (!ours(shared) || generation == 0 || shared->generation != generation) {
        return std::nullopt;
    }
    const Slot &slot = shared->current();
    return Documents{std::string(slot.metadata.view()), std::string(slot.keys.view())};
}

bool KeyringZone::Shared::may_force(KeysFor who) {
    auto index = static_cast<size_t>(who);
    if (was_forced[index] && is_before(ngx_current_msec, next_forced[index])) {
        return false;
    }
    was_forced[index] = true;
    next_forced[index] = ngx_current_msec + ngx_msec_t{who == KeysFor::ourselves ? 10U : 60U} * 1000;
    return true;
}

Claim KeyringZone::claim(ngx_msec_t deadline, const KeysFor *brake) const {
    Lock lock(zone_);
    Shared *shared = lock.shared();
    if (!ours(shared)) {
        return {Turn::braked, shared->ended};
    }
    if (shared->is_leased()) {
        return {Turn::running, shared->ended};
    }
    // Keys that nobody has are due, whoever needs them.
    const bool forced = brake != nullptr && shared->has_keys();
    if (shared->is_paused() || (forced && !shared->may_force(*brake))) {
        return {Turn::braked, shared->ended};
    }
    shared->owner = ngx_pid;
    shared->deadline = deadline;
    return {Turn::ours, shared->ended};
}

void KeyringZone::extend(ngx_msec_t deadline) const {
    Lock lock(zone_);
    if (ours(lock.shared()) && lock.shared()->owner == ngx_pid) {
        lock.shared()->deadline = deadline;
    }
}

Trouble KeyringZone::conclude(const Outcome &outcome) const {
    Lock lock(zone_);
    Shared *shared = lock.shared();
    Trouble trouble;
    if (!ours(shared)) {
        return trouble;
    }
    const bool known = shared->generation != 0;
    bool fitting = decltype(Slot::metadata)::fits(outcome.metadata) && decltype(Slot::keys)::fits(outcome.keys);
    if (fitting && (outcome.metadata || (known && outcome.keys))) {
        const Slot &old = shared->current();
        Slot &next = *shared->slots[(shared->generation + 1) % 2];
        next.metadata.put(outcome.metadata, known ? &old.metadata : nullptr);
        next.keys.put(outcome.keys, known ? &old.keys : nullptr);
        if (known && next.keys.view() != old.keys.view()) {
            shared->alg[0] = '\0';
        }
        shared->generation.fetch_add(1, std::memory_order_release);
    }
    trouble.before = shared->failures;
    shared->failures = outcome.failed || !fitting ? shared->failures + 1 : 0;
    trouble.now = shared->failures;
    trouble.next_try = std::min<uint32_t>(1u << std::min<uint32_t>(trouble.now - (trouble.now != 0), 5), longest_pause);
    shared->next_try = ngx_current_msec + static_cast<ngx_msec_t>(trouble.next_try) * 1000;
    if (shared->owner == ngx_pid) {
        shared->owner = 0;
    }
    shared->ended++;
    return trouble;
}

void KeyringZone::note_alg(std::string_view alg) const {
    Lock lock(zone_);
    Shared *shared = lock.shared();
    if (ours(shared) && alg.size() < sizeof(shared->alg)) {
        shared->alg[alg.copy(shared->alg, alg.size())] = '\0';
    }
}

std::string KeyringZone::alg() const {
    Lock lock(zone_);
    return ours(lock.shared()) ? lock.shared()->alg : "";
}

uint64_t KeyringZone::ended() const {
    Lock lock(zone_);
    return lock.shared()->ended;
}

ngx_uint_t KeyringZone::retry_after() const {
    Lock lock(zone_);
    if (!lock.shared()->is_paused()) {
        return 1;
    }
    return std::clamp<ngx_uint_t>((lock.shared()->next_try - ngx_current_msec + 999) / 1000, 1, longest_pause);
}

KeyringZone::Health KeyringZone::health() const {
    Lock lock(zone_);
    Shared *shared = lock.shared();
    if (!ours(shared)) {
        return {0, 0, false};
    }
    bool known = shared->generation != 0;
    const Slot &slot = shared->current();
    return {known ? slot.metadata.fetched_at : 0, known ? slot.keys.fetched_at : 0, shared->failures != 0};
}

}  // namespace auth_oidc
