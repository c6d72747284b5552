#include "store_zone.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "store_zone_data.hpp"
#include "zone_state.hpp"

namespace auth_oidc {

namespace {

using oidc::SessionHead;
using oidc::SessionView;

static_assert(sizeof(SessionHead) <= Arena::head_room, "what find() looks at lies in a record's first block");

using Lock = ZoneArenaLock;

Zone &zone_of(const Store &store) {
    return *static_cast<Zone *>(store.data);
}

// The session that the call's cookie names, under the zone's lock for as long as this lives. Another provider's is
// none.
struct Opened {
    explicit Opened(const StoreCall &call) : arena(zone_of(*call.store).arena) {
        const std::optional<RecordId> id = record_id(call.cookie);
        if (!id) {
            return;
        }
        lock.emplace(zone_of(*call.store));
        place = arena.find(*id);
        if (place == 0) {
            return;
        }
        std::memcpy(&head, arena.head(place), sizeof(head));
        if (!oidc::equal_constant_time(oidc::bytes(head.binding, sizeof(head.binding)), call.binding)) {
            place = 0;
        }
    }

    bool is_live(const StoreCall &call) const {
        return place != 0 && !oidc::is_over(head, call.now, call.idle_timeout);
    }

    Arena &arena;
    std::optional<Lock> lock;
    Place place = 0;
    SessionHead head;
};

ngx_int_t answer(StoreCall *call, Stored stored) {
    call->answer = stored;
    return NGX_OK;
}

ngx_int_t find(StoreCall *call) {
    const Opened session(*call);
    if (!session.is_live(*call)) {
        return answer(call, Stored::absent);
    }
    session.arena.use(session.place, call->now);
    call->head = session.head;
    if (call->whole) {
        const size_t size = session.arena.size(session.place);
        auto *record = static_cast<unsigned char *>(pool_alloc(call->pool, size));
        session.arena.read(session.place, record);
        call->found = oidc::bytes(record, size);
    }
    return answer(call, Stored::found);
}

ngx_int_t load(StoreCall *call) {
    call->whole = true;
    return find(call);
}

SessionView record_of(const StoreCall &call) {
    std::optional<SessionView> session = SessionView::over(call.record);
    if (!session) {
        throw std::invalid_argument("a session to be stored is no record");
    }
    return *session;
}

// The size at which none of the sessions would have been dropped that could still live, in nginx's notation.
void warn_full(const StoreCall &call, const ArenaLack &lack, uint64_t capacity) {
    const Zone &zone = zone_of(*call.store);
    const double factor = 1 + static_cast<double>(lack.missing) / static_cast<double>(capacity);
    const bool in_megabytes = zone.size >= 1024 * 1024;
    const double unit = in_megabytes ? 1024 * 1024 : 1024;
    const auto size = static_cast<uint64_t>(static_cast<double>(zone.size) * factor / unit) + 1;
    ngx_log_error(NGX_LOG_WARN, call.log, 0,
                  "auth_oidc: zone \"%V\" is full, %uL sessions were dropped: raise its size above %uL%c", &zone.name,
                  lack.dropped, size, in_megabytes ? 'm' : 'k');
}

void warn_full(const StoreCall &call, const std::optional<ArenaLack> &lack) {
    if (lack) {
        warn_full(call, *lack, zone_of(*call.store).arena.use().size);
    }
}

ngx_int_t create(StoreCall *call) {
    const SessionView session = record_of(*call);
    Zone &zone = zone_of(*call->store);
    if (!zone.arena.fits(call->record.size())) {
        return answer(call, Stored::too_large);
    }
    std::string cookie = oidc::random_token();
    SessionHead head = session.head();
    zone.shorten(head, call->now);
    const ArenaRecord record = arena_record(record_id(cookie).value(), session, head, call->record);
    std::optional<ArenaLack> lack;
    {
        const Lock lock(zone);
        zone.arena.insert(record, call->now);
        zone.shared->changes++;
        lack = zone.arena.take_lack(call->now);
    }
    warn_full(*call, lack);
    call->new_cookie = std::move(cookie);
    return answer(call, Stored::found);
}

// A touch since the session was read is kept: `head` is what `record` begins with.
Stored put_in_place(const StoreCall &call, SessionHead &head, const ArenaRecord &record,
                    std::optional<ArenaLack> &lack) {
    const Opened session(call);
    if (session.place == 0) {
        return Stored::absent;
    }
    if (session.head.revision != call.revision) {
        return Stored::conflict;
    }
    head.last_used = std::max(head.last_used, session.head.last_used);
    session.arena.replace(session.place, record, call.now);
    zone_of(*call.store).shared->changes++;
    lack = session.arena.take_lack(call.now);
    return Stored::found;
}

ngx_int_t replace(StoreCall *call) {
    const std::optional<RecordId> id = record_id(call->cookie);
    if (!id) {
        return answer(call, Stored::absent);
    }
    const SessionView session = record_of(*call);
    if (!zone_of(*call->store).arena.fits(call->record.size())) {
        return answer(call, Stored::too_large);
    }
    SessionHead head = session.head();
    head.revision = call->revision + 1;
    zone_of(*call->store).shorten(head, call->now);
    const ArenaRecord record = arena_record(*id, session, head, call->record);
    std::optional<ArenaLack> lack;
    const Stored stored = put_in_place(*call, head, record, lack);
    warn_full(*call, lack);
    if (stored == Stored::found) {
        call->new_cookie = call->cookie;
    }
    return answer(call, stored);
}

ngx_int_t touch(StoreCall *call) {
    const Opened session(*call);
    if (!session.is_live(*call)) {
        return answer(call, Stored::absent);
    }
    const int64_t last_used = std::max(session.head.last_used, call->now);
    std::memcpy(session.arena.head(session.place) + offsetof(SessionHead, last_used), &last_used, sizeof(last_used));
    session.arena.use(session.place, call->now);
    zone_of(*call->store).shared->changes++;
    return answer(call, Stored::found);
}

ngx_int_t erase(StoreCall *call) {
    const Opened session(*call);
    if (session.place == 0) {
        return answer(call, Stored::absent);
    }
    zone_of(*call->store).end(session.place);
    call->store->ended();
    return answer(call, Stored::found);
}

// A user may have any number of sessions: the lock is given away now and then.
ngx_int_t erase_by(StoreCall *call, Index index) {
    constexpr uint64_t at_once = 500;
    Zone &zone = zone_of(*call->store);
    const IndexKey key = zone_key(call->who);
    uint64_t erased = at_once;
    for (call->erased = 0; erased == at_once; call->erased += erased) {
        const Lock lock(zone);
        erased = 0;
        for (Place place; erased < at_once && (place = zone.arena.find(index, key)) != 0; erased++) {
            zone.end(place);
        }
    }
    if (call->erased != 0) {
        call->store->ended();
    }
    return answer(call, call->erased != 0 ? Stored::found : Stored::absent);
}

ngx_int_t erase_sid(StoreCall *call) {
    return erase_by(call, Index::sid);
}
ngx_int_t erase_sub(StoreCall *call) {
    return erase_by(call, Index::sub);
}

void enter(const Store &store) {
    if (Zone &zone = zone_of(store); zone.state) {
        zone.state->start();
    }
}

void leave(const Store &store) {
    if (Zone &zone = zone_of(store); zone.state) {
        zone.state->finish();
    }
}

const StoreOps zone_ops = {"zone",    find,    load,  create, replace, touch,   erase,   erase_sid,
                           erase_sub, nullptr, leave, false,  false,   nullptr, nullptr, enter};

u_char *log_suffix(ngx_slab_pool_t *pool, const ngx_str_t &zone) {
    auto *text = static_cast<u_char *>(ngx_slab_alloc(pool, sizeof(" in zone \"\"") + zone.len));  // with the NUL
    if (text != nullptr) {
        ngx_sprintf(text, " in zone \"%V\"%Z", &zone);
    }
    return text;
}

// Nearly all of the zone becomes the arena.
ngx_int_t fill_zone(Zone &zone, ngx_log_t *log) {
    zone.pool->log_ctx = log_suffix(zone.pool, zone.name);
    if (zone.pool->log_ctx == nullptr) {
        return NGX_ERROR;
    }
    zone.shared = ZoneShared::make(zone);
    if (zone.shared == nullptr) {
        return NGX_ERROR;
    }
    const size_t size = zone.pool->pfree * ngx_pagesize;
    void *memory = size == 0 ? nullptr : ngx_slab_alloc(zone.pool, size);
    const std::optional<Arena> arena = memory == nullptr ? std::nullopt : Arena::format(memory, size);
    if (!arena) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "auth_oidc: zone \"%V\" is too small", &zone.name);
        return NGX_ERROR;
    }
    zone.shared->arena = memory;
    zone.pool->data = zone.shared;
    zone.arena = *arena;
    if (zone.state) {
        zone.state->load(log);
    }
    return NGX_OK;
}

// nginx hands over the old zone only when name and size are the same.
ngx_int_t init_zone(ngx_shm_zone_t *shared, void *old) {
    Zone &zone = *static_cast<Zone *>(shared->data);
    zone.pool = reinterpret_cast<ngx_slab_pool_t *>(shared->shm.addr);
    zone.name = shared->shm.name;
    zone.size = shared->shm.size;
    if (zone.state && !zone.state->find_key(shared->shm.log)) {
        return NGX_ERROR;
    }
    if (old != nullptr || shared->shm.exists) {
        zone.shared = static_cast<ZoneShared *>(zone.pool->data);
        zone.arena = Arena(zone.shared->arena);
        return NGX_OK;
    }
    return fill_zone(zone, shared->shm.log);
}

}  // namespace

Store *zone_store(ngx_conf_t *cf, const ZoneOptions &options) {
    if (options.size != 0 && options.size < 8 * ngx_pagesize) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "zone \"%V\" is too small: it takes at least %uz bytes", &options.name,
                           8 * ngx_pagesize);
        return nullptr;
    }
    ngx_str_t name = copy(cf->pool, view(options.name));
    ngx_shm_zone_t *shared = ngx_shared_memory_add(cf, &name, options.size, &ngx_http_auth_oidc_module);
    if (shared == nullptr) {
        return nullptr;
    }
    if (shared->data == nullptr) {
        shared->data = pool_new<Zone>(cf->pool);
        shared->init = entry<&init_zone, NGX_ERROR>;
    }
    if (options.size != 0) {
        Zone &zone = *static_cast<Zone *>(shared->data);
        zone.timeout = options.timeout;
        if (options.state.len != 0) {
            zone.state = std::make_unique<ZoneState>(zone, std::string(view(options.state)));
        }
    }
    return pool_new<Store>(cf->pool, Store{&zone_ops, shared->data});
}

void seal_state_with(const Store &store, const std::vector<std::string> &secrets) {
    if (Zone &zone = zone_of(store); zone.state) {
        zone.state->seal_with(secrets);
    }
}

ZoneUse zone_use(const Store &store) {
    if (store.ops != &zone_ops) {
        return {};
    }
    Zone &zone = zone_of(store);
    const Lock lock(zone);
    zone.arena.reap(ngx_time());
    const ArenaUse use = zone.arena.use();
    return {use.records, use.used, use.size, use.evicted};
}

}  // namespace auth_oidc
