#include "revocations.hpp"

#include <openssl/rand.h>
#include <signal.h>

#include <cerrno>

#include "zone_lock.hpp"

namespace auth_oidc {

namespace {

constexpr ngx_msec_t write_after = 500, try_again = 100;

// An entry as the file has it, and the time before which everything counts as signed out in the place of the key.
struct Row {
    RevokedKey key;
    int64_t at, until;
};
static_assert(sizeof(Row) == 32 && std::is_trivially_copyable_v<Row>);

bool is_named(const RevokedKey &key) {
    return key != RevokedKey{};
}

void append(std::string &text, const Row &row) {
    text.append(reinterpret_cast<const char *>(&row), sizeof(row));
}

void merge(RevocationList &list, std::string_view text) {
    const int64_t now = ngx_time();
    for (; text.size() >= sizeof(Row); text.remove_prefix(sizeof(Row))) {
        Row row;
        std::memcpy(&row, text.data(), sizeof(row));
        if (!is_named(row.key)) {
            list.set_not_before(row.at);
        } else if (row.until > now) {
            list.add(row.key, row.at, row.until, now);
        }
    }
}

bool is_alive(int32_t pid) {
    return kill(pid, 0) == 0 || errno != ESRCH;
}

}  // namespace

class Revocations::Lock : public ZoneLock<RevocationList> {
public:
    explicit Lock(ngx_shm_zone_t *zone) : ZoneLock(zone) { shared()->repair(); }
};

Revocations::Revocations(const RevocationOptions &options)
    : zone_(options.zone), state_(options.state), secrets_(options.secrets), alarm_(&Revocations::on_alarm, this) {
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
    auto *self = static_cast<Revocations *>(zone->data);
    if (!self->state_.empty()) {
        const auto text = read_sealed(self->state_, self->secrets_, zone->shm.log);
        merge(*static_cast<RevocationList *>(pool->data), text.value_or(""));
    }
    return NGX_OK;
}

bool Revocations::has(const oidc::CookieHead &head) const {
    const auto *pool = reinterpret_cast<ngx_slab_pool_t *>(zone_->shm.addr);
    if (static_cast<const RevocationList *>(pool->data)->is_empty()) {
        return false;
    }
    const Lock list(zone_);
    const RevokedKey sid = revoked_key(head.sid), sub = revoked_key(head.sub);
    return list->is_folded(head.begun) || list->has(revoked_key(head.id), head.begun) ||
           (is_named(sid) && list->has(sid, head.begun)) || (is_named(sub) && list->has(sub, head.begun));
}

void Revocations::add(const RevokedKey &key, const StoreCall &call, int64_t longest_life) {
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
    if (!state_.empty() && !alarm_.is_set()) {
        alarm_.after(write_after);
    }
}

// False while another process writes. What the processes of another binary wrote, after an upgrade, is not lost.
bool Revocations::begin_writing(std::string &text) {
    const auto written = read_sealed(state_, secrets_, ngx_cycle->log);
    const Lock list(zone_);
    if (list->writer != 0 && list->writer != ngx_pid && is_alive(list->writer)) {
        return false;
    }
    list->writer = ngx_pid;
    merge(*list.shared(), written.value_or(""));
    append(text, {RevokedKey{}, list->not_before(), 0});
    list->each([&](const RevocationList::Entry &entry) { append(text, {entry.key, entry.at, entry.until}); });
    return true;
}

void Revocations::write() {
    std::string text;
    if (!begin_writing(text)) {
        return alarm_.after(try_again);
    }
    const bool written = write_sealed(state_, secrets_, text);
    const ngx_err_t error = ngx_errno;
    const Lock list(zone_);
    list->writer = 0;
    if (!written) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, error,
                      "auth_oidc: \"%s\" cannot be written: a restart forgets who signed out", state_.c_str());
    }
}

void Revocations::on_alarm(void *self) {
    static_cast<Revocations *>(self)->write();
}

void Revocations::leave() {
    if (alarm_.is_set()) {
        alarm_.cancel();
        write();
        alarm_.cancel();
    }
}

RevokedKey revoked_key(const unsigned char (&bytes)[16]) {
    RevokedKey key;
    std::copy_n(bytes, key.size(), key.begin());
    return key;
}

int64_t now_in_milliseconds() {
    const ngx_time_t *now = ngx_timeofday();
    return static_cast<int64_t>(now->sec) * 1000 + static_cast<int64_t>(now->msec);
}

}  // namespace auth_oidc
