#include "store_zone_data.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <stdexcept>

#include "zone_state.hpp"

namespace auth_oidc {

ZoneShared *ZoneShared::make(Zone &zone) {
    constexpr size_t bytes_for_one = 4096, most = 65536;
    const size_t count = zone.state ? std::clamp<size_t>(zone.size / bytes_for_one, 1, most) : 1;
    const size_t size = sizeof(ZoneShared) + (count - 1) * sizeof(RecordId);
    auto *shared = static_cast<ZoneShared *>(ngx_slab_calloc(zone.pool, size));
    if (shared == nullptr) {
        return nullptr;
    }
    shared->ended_count = static_cast<uint32_t>(count);
    if (RAND_bytes(shared->generation, sizeof(shared->generation)) != 1) {
        throw std::runtime_error("no random bytes for a zone");
    }
    return shared;
}

void Zone::end(Place place) {
    if (state) {
        shared->ended[shared->ended_next] = arena.id(place);
        shared->ended_next = (shared->ended_next + 1) % shared->ended_count;
    }
    arena.erase(place);
    shared->changes++;
}

bool Zone::has_ended(const RecordId &id) const {
    return std::find(shared->ended, shared->ended + shared->ended_count, id) != shared->ended + shared->ended_count;
}

ZoneArenaLock::ZoneArenaLock(Zone &zone) : zone_(zone) {
    ngx_shmtx_lock(&zone_.pool->mutex);
    if (zone_.arena.repair()) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "auth_oidc: a process died while it wrote to zone \"%V\": %uL sessions are whole and stay",
                      &zone_.name, zone_.arena.use().records);
    }
}

IndexKey zone_key(const oidc::Digest &digest) {
    IndexKey key;
    std::copy_n(digest.begin(), key.size(), key.begin());
    return key;
}

ArenaRecord arena_record(const RecordId &id, const oidc::SessionView &session, const oidc::SessionHead &head,
                         std::string_view text) {
    ArenaRecord record;
    record.id = id;
    record.ends = oidc::ends_at(head);
    const std::string_view binding = oidc::bytes(head.binding, sizeof(head.binding));
    const auto index = [&](Index index, std::string_view value) {
        if (!value.empty()) {
            record.keys[static_cast<size_t>(index)] = zone_key(index_key(binding, value));
        }
    };
    index(Index::sid, session.field(oidc::Field::sid));
    index(Index::sub, session.field(oidc::Field::sub));
    record.head = oidc::bytes(reinterpret_cast<const unsigned char *>(&head), sizeof(head));
    record.rest = text.substr(sizeof(head));
    return record;
}

}  // namespace auth_oidc
