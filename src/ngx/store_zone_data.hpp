// A session zone as its store and its state file know it.
#pragma once

#include <algorithm>
#include <memory>

#include "../oidc/session.hpp"
#include "store.hpp"
#include "zone_arena.hpp"

namespace auth_oidc {

class ZoneState;
struct Zone;

// What lies in the zone beside the arena. Everything under the zone's lock.
struct ZoneShared {
    void *arena;
    uint64_t changes, written;     // written: as of so many changes the state file is
    pid_t writer;                  // of the state file
    time_t writer_seen;            // when it last said that it is there
    unsigned char generation[16];  // of this memory; another one's file holds what we do not know
    // Sessions that somebody ended, the oldest overwritten first: the file of another generation does not bring them
    // back.
    uint32_t ended_count, ended_next;
    RecordId ended[1];

    // Null, logged by the slab pool, when there is no room.
    static ZoneShared *make(Zone &zone);
};

// A zone as one configuration knows it; what it holds goes on from one configuration to the next.
struct Zone {
    ngx_slab_pool_t *pool = nullptr;
    ZoneShared *shared = nullptr;
    Arena arena;
    ngx_str_t name{};
    size_t size = 0;
    time_t timeout = 0;  // keyval_zone timeout=, 0: none
    std::unique_ptr<ZoneState> state;

    // No session of this zone lives longer than its timeout after it was stored.
    void shorten(oidc::SessionHead &head, int64_t now) const {
        if (timeout != 0) {
            head.ends = std::min<int64_t>(head.ends, now + timeout);
        }
    }
    // Under the lock: for good, in every generation.
    void end(Place place);
    bool has_ended(const RecordId &id) const;
};

// The zone's own mutex is the only lock: nginx frees it when the worker that held it died.
class ZoneArenaLock {
public:
    explicit ZoneArenaLock(Zone &zone);
    ~ZoneArenaLock() { ngx_shmtx_unlock(&zone_.pool->mutex); }
    ZoneArenaLock(const ZoneArenaLock &) = delete;
    ZoneArenaLock &operator=(const ZoneArenaLock &) = delete;

private:
    Zone &zone_;
};

IndexKey zone_key(const oidc::Digest &digest);
// What the arena has to know of a session; `head` takes the place of the record's own.
ArenaRecord arena_record(const RecordId &id, const oidc::SessionView &session, const oidc::SessionHead &head,
                         std::string_view text);

}  // namespace auth_oidc
