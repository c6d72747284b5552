// One worker writes: it says so in the zone, and when it is gone or silent another one takes over. The file is made
// anew beside the old one, a piece in each round of the event loop, and put in its place when it is whole.
//
// During a binary upgrade two generations of nginx serve, each with a zone of its own: each takes over what the other
// has written, and what somebody ended in one ends in both.
#include "zone_state.hpp"

#include <signal.h>

#include <cerrno>
#include <unordered_set>

namespace auth_oidc {

namespace {

constexpr ngx_msec_t period = 250;
constexpr Place places_at_once = 2048;  // a megabyte under the lock
constexpr time_t silence = 3;           // seconds after which a writer counts as gone

std::string_view id_text(const RecordId &id) {
    return oidc::bytes(id.data(), id.size());
}

}  // namespace

// The file that is being written.
class ZoneState::Output {
public:
    Output(StateFile opened, const StateKeys &keys, const ZoneShared &shared)
        : file(std::move(opened)),
          writer(keys, oidc::bytes(shared.generation, sizeof(shared.generation))),
          as_of(shared.changes) {}

    StateFile file;
    StateWriter writer;
    const uint64_t as_of;
    Place at = 1;
};

ZoneState::ZoneState(Zone &zone, std::string path)
    : zone_(zone),
      path_(std::move(path)),
      tick_([](void *state) { static_cast<ZoneState *>(state)->tick(); }, this),
      step_([](void *state) { static_cast<ZoneState *>(state)->step(); }, this) {}

ZoneState::~ZoneState() = default;

void ZoneState::seal_with(const std::vector<std::string> &secrets) {
    secrets_.insert(secrets_.end(), secrets.begin(), secrets.end());
}

bool ZoneState::find_key(ngx_log_t *log) {
    bool needed = secrets_.empty();
    auto key = state_key(path_ + ".key", needed, log);
    if (key) {
        secrets_.push_back(*key);
    }
    return key || !needed;
}

void ZoneState::load(ngx_log_t *log) {
    const StateKeys keys(secrets_);
    auto file = read_state_file(path_, 2 * zone_.size, log);
    if (!file) {
        return;
    }
    auto content = read_state(*file, keys);
    ngx_str_t path = borrow(path_);
    if (!content) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "auth_oidc: the state file \"%V\" of zone \"%V\" is damaged or sealed with another key: nothing "
                      "of it is read",
                      &path, &zone_.name);
        return;
    }
    for (const StateContent::Record &record : content->records) {
        insert(record);
    }
    ngx_log_error(NGX_LOG_NOTICE, log, 0, "auth_oidc: zone \"%V\" has %uL sessions from \"%V\"", &zone_.name,
                  zone_.arena.use().records, &path);
}

// Another version's format, or over meanwhile: left out.
void ZoneState::insert(const StateContent::Record &record) {
    auto session = oidc::SessionView::over(record.text);
    if (session && oidc::ends_at(session->head()) > ngx_time() && zone_.arena.fits(record.text.size())) {
        zone_.arena.insert(arena_record(record.id, *session, session->head(), record.text), ngx_time());
    }
}

void ZoneState::start() {
    if (std::exchange(started_, true)) {
        return;
    }
    keys_ = std::make_unique<StateKeys>(secrets_);
    tick_.lazily_after(period);
}

bool ZoneState::is_our_turn() {
    const ZoneArenaLock lock(zone_);
    ZoneShared &shared = *zone_.shared;
    bool gone = shared.writer == 0 || ngx_time() - shared.writer_seen > silence ||
                (kill(shared.writer, 0) == -1 && errno == ESRCH);
    if (shared.writer != ngx_pid && !gone) {
        return false;
    }
    shared.writer = ngx_pid;
    shared.writer_seen = ngx_time();
    return true;
}

void ZoneState::tick() {
    tick_.lazily_after(period);
    if (!is_our_turn() || output_) {
        return;
    }
    look();
    if (zone_.shared->changes != zone_.shared->written && begin(false)) {
        step_.next_round();
    }
}

// Whoever holds the new file has looked at the one that it will replace: nothing in there may be lost.
bool ZoneState::begin(bool wait) {
    StateFile file = StateFile::open(path_ + ".tmp", wait);
    if (file.is_busy()) {
        return false;
    }
    look();
    const ZoneArenaLock lock(zone_);
    output_ = std::make_unique<Output>(std::move(file), *keys_, *zone_.shared);
    return output_->file.write(output_->writer.head()) || give_up();
}

void ZoneState::step() {
    if (copy_some()) {
        step_.next_round();
    }
}

// False: that was the last of it, or it failed.
bool ZoneState::copy_some() {
    std::string text;
    bool last;
    std::vector<RecordId> ended;
    {
        const ZoneArenaLock lock(zone_);
        const Arena &arena = zone_.arena;
        const Place end = std::min(arena.end(), output_->at + places_at_once);
        for (; output_->at < end; output_->at++) {
            if (arena.is_record(output_->at)) {
                text.resize(arena.size(output_->at));
                arena.read(output_->at, reinterpret_cast<unsigned char *>(text.data()));
                output_->writer.add(arena.id(output_->at), text);
            }
        }
        last = output_->at >= arena.end();
        if (last) {
            ended.assign(zone_.shared->ended, zone_.shared->ended + zone_.shared->ended_count);
        }
    }
    StateWriter &writer = output_->writer;
    if (!writer.is_empty() && !output_->file.write(writer.frame())) {
        return give_up();
    }
    if (!last) {
        return true;
    }
    if (!output_->file.write(writer.last_frame(ended)) || !output_->file.replace(path_)) {
        return give_up();
    }
    const uint64_t as_of = output_->as_of;
    seen_ = output_->file.stamp();
    output_.reset();
    failed_ = false;
    const ZoneArenaLock lock(zone_);
    zone_.shared->written = as_of;
    return false;
}

// Said once, until it works again.
bool ZoneState::give_up() {
    const int error = output_->file.error();
    output_.reset();
    if (!std::exchange(failed_, true)) {
        ngx_str_t path = borrow(path_);
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, error,
                      "auth_oidc: the state file \"%V\" of zone \"%V\" cannot be written: its directory has to be "
                      "writable for nginx's user",
                      &path, &zone_.name);
    }
    return false;
}

// What was changed in the last moment is written before the worker goes.
void ZoneState::finish() {
    if (!std::exchange(started_, false)) {
        return;
    }
    tick_.cancel();
    step_.cancel();
    output_.reset();
    if (zone_.shared->changes != zone_.shared->written && begin(true)) {
        while (copy_some()) {
        }
    }
}

// ---- another generation ----

void ZoneState::look() {
    if (StateStamp now = stamp_of(path_); !(now == seen_)) {
        seen_ = now;
        merge();
    }
}

void ZoneState::merge() {
    const std::string own(oidc::bytes(zone_.shared->generation, generation_size));
    auto file = read_state_file(path_, 2 * zone_.size, ngx_cycle->log);
    auto generation = file ? state_generation(*file) : std::nullopt;
    if (!generation || *generation == own) {
        return;
    }
    auto content = read_state(*file, *keys_);
    if (!content) {
        return;
    }
    for (const RecordId &id : content->ended) {
        const ZoneArenaLock lock(zone_);
        if (Place place = zone_.arena.find(id)) {
            zone_.end(place);
        }
    }
    for (const StateContent::Record &record : content->records) {
        merge_record(record);
    }
    if (knows_more(*content)) {
        const ZoneArenaLock lock(zone_);
        zone_.shared->changes++;
    }
}

void ZoneState::merge_record(const StateContent::Record &record) {
    auto theirs = oidc::SessionView::over(record.text);
    const ZoneArenaLock lock(zone_);
    if (!theirs || zone_.has_ended(record.id)) {
        return;
    }
    Place place = zone_.arena.find(record.id);
    if (place == 0) {
        return insert(record);
    }
    oidc::SessionHead ours;
    std::memcpy(&ours, zone_.arena.head(place), sizeof(ours));
    if (theirs->head().revision > ours.revision && zone_.arena.fits(record.text.size())) {
        zone_.arena.replace(place, arena_record(record.id, *theirs, theirs->head(), record.text), ngx_time());
    } else if (theirs->head().revision == ours.revision && theirs->head().last_used > ours.last_used) {
        std::memcpy(zone_.arena.head(place) + offsetof(oidc::SessionHead, last_used), &theirs->head().last_used,
                    sizeof(ours.last_used));
    }
}

// Whether the other generation would lose something if it started from its own file.
bool ZoneState::knows_more(const StateContent &content) {
    std::unordered_set<std::string_view> there;
    for (const StateContent::Record &record : content.records) {
        there.insert(id_text(record.id));
        const ZoneArenaLock lock(zone_);
        if (zone_.has_ended(record.id)) {
            return true;
        }
    }
    for (Place at = 1;;) {
        const ZoneArenaLock lock(zone_);
        const Place end = std::min(zone_.arena.end(), at + places_at_once);
        for (; at < end; at++) {
            if (zone_.arena.is_record(at) && there.count(id_text(zone_.arena.id(at))) == 0) {
                oidc::SessionHead head;
                std::memcpy(&head, zone_.arena.head(at), sizeof(head));
                if (oidc::ends_at(head) > ngx_time()) {
                    return true;
                }
            }
        }
        if (at >= zone_.arena.end()) {
            return false;
        }
    }
}

}  // namespace auth_oidc
