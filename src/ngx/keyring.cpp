#include "keyring.hpp"

#include <algorithm>

#include "alarm.hpp"
#include "keyring_zone.hpp"

namespace auth_oidc {
namespace {

using oidc::http::Reply;

constexpr ngx_msec_t look_again = 50;

int64_t fresh_for(const Reply &reply) {
    constexpr long without = 3600, least = 300, most = 24L * 3600;
    return std::clamp(oidc::http::freshness(reply).value_or(without), least, most);
}

// Neither the master nor `nginx -t` asks anybody anything.
bool may_fetch() {
    return !ngx_test_config && (ngx_process == NGX_PROCESS_WORKER || ngx_process == NGX_PROCESS_SINGLE);
}

oidc::Digest subject_of(const oidc::Client &client) {
    return oidc::sha256(client.issuer + '\n' +
                        (client.needs_no_discovery() ? oidc::static_document(client) : client.discovery_url()));
}

}  // namespace

// This worker's side: the parsed documents, its fetch if it has the lease, and those who wait here.
struct Keyring::Live {
    Live(ngx_conf_t *cf, const oidc::Client &client, const FetchOptions &options)
        : client(client),
          options(options),
          zone(cf, client.name, subject_of(client)),
          watch([](void *self) { static_cast<Live *>(self)->look_around(); }, this) {}

    std::shared_ptr<const oidc::ProviderData> current(Need need);
    bool has_keys() const { return data != nullptr && holds_keys; }
    bool is_configured() const { return client.needs_no_discovery() && !client.fixed.keys.empty(); }
    std::shared_ptr<const oidc::ProviderData> configured();
    void load(uint64_t wanted);
    ngx_int_t join(Waiter &waiter, Need need, const KeysFor *brake);
    bool lacks_keys() const;
    void look_around();
    void wake();

    ngx_msec_t deadline() const { return ngx_current_msec + options.connect_timeout + options.read_timeout + 1000; }
    void begin();
    using Step = bool (Live::*)(Reply &reply);
    void ask(oidc::http::Request request, size_t max_reply, Step step);
    void take(Step step, Reply &reply);
    bool take_metadata(Reply &reply);
    bool take_keys(Reply &reply);
    void ask_keys(const oidc::Metadata &metadata);
    void fail(const char *what, const std::string &why);
    void finish();
    void report(const Trouble &trouble) const;

    const oidc::Client &client;
    const FetchOptions &options;
    KeyringZone zone;

    std::shared_ptr<const oidc::ProviderData> data;
    uint64_t generation = 0;  // that `data` was parsed from
    bool holds_keys = false;  // of `data`: its key set was fetched or configured, even if nothing in it is of use

    Waiters waiters;
    Alarm watch;        // runs while somebody waits for another worker's fetch
    uint64_t seen = 0;  // fetches that had ended when the first of them came

    std::unique_ptr<Fetch> fetch;
    bool want_keys = false;  // due or not
    Outcome outcome;
    std::string failure;
};

// All of it is configured: nothing to fetch, nothing to share.
std::shared_ptr<const oidc::ProviderData> Keyring::Live::configured() {
    if (data == nullptr) {
        auto metadata = oidc::read_metadata(client, oidc::static_document(client));
        auto keys = oidc::KeySet::parse(client.fixed.keys);
        if (metadata && keys) {
            data =
                std::make_shared<const oidc::ProviderData>(oidc::ProviderData{std::move(*metadata), std::move(*keys)});
        }
    }
    return data;
}

std::shared_ptr<const oidc::ProviderData> Keyring::Live::current(Need need) {
    if (is_configured()) {
        return configured();
    }
    std::optional<ZoneView> view = zone.look();
    if (!view) {
        return need == Need::metadata || holds_keys ? data : nullptr;
    }
    if (view->generation != generation) {
        load(view->generation);
    }
    if (data == nullptr || !view->usable || (need == Need::keys && !holds_keys)) {
        return nullptr;
    }
    bool due = view->metadata_due || view->keys_due;
    if (due && fetch == nullptr && may_fetch() && zone.claim(deadline(), nullptr).turn == Turn::ours) {
        begin();
    }
    return data;
}

void Keyring::Live::load(uint64_t wanted) {
    std::optional<Documents> documents = zone.read(wanted);
    if (!documents && wanted != 0) {
        return;  // a newer generation came in between: the next look finds it
    }
    generation = wanted;
    data = nullptr;
    if (!documents) {
        return;
    }
    auto metadata = oidc::read_metadata(client, documents->metadata);
    const std::string &text = client.fixed.keys.empty() ? documents->keys : client.fixed.keys;
    holds_keys = !text.empty();
    auto keys = holds_keys ? oidc::KeySet::parse(text) : oidc::Result<oidc::KeySet>(oidc::KeySet());
    if (metadata && keys) {
        data = std::make_shared<const oidc::ProviderData>(oidc::ProviderData{std::move(*metadata), std::move(*keys)});
        return;
    }
    const oidc::Error &error = metadata ? keys.error() : metadata.error();
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "auth_oidc: provider \"%s\": shared documents are of no use: %s",
                  client.name.c_str(), error.text.c_str());
}

ngx_int_t Keyring::Live::join(Waiter &waiter, Need need, const KeysFor *brake) {
    if (!may_fetch() || is_configured()) {
        return NGX_DECLINED;
    }
    if (fetch == nullptr) {
        Claim claim = zone.claim(deadline(), brake);
        if (claim.turn == Turn::braked) {
            return NGX_DECLINED;
        }
        if (waiters.empty()) {
            seen = claim.ended;
        }
        want_keys = want_keys || need == Need::keys;
        if (claim.turn == Turn::ours) {
            begin();
        } else if (!watch.is_set()) {
            watch.after(look_again);
        }
    }
    want_keys = want_keys || need == Need::keys;
    waiters.add(waiter);
    return NGX_AGAIN;
}

// Somebody here waits for keys, and the fetch that ended was for metadata alone.
bool Keyring::Live::lacks_keys() const {
    const std::optional<ZoneView> view = zone.look();
    return want_keys && client.fixed.keys.empty() && view && view->usable && !view->has_keys;
}

// Nothing in another worker can wake those who wait here, so they look.
void Keyring::Live::look_around() {
    if (fetch != nullptr || waiters.empty()) {
        return;
    }
    if (zone.ended() != seen && !lacks_keys()) {
        return wake();
    }
    switch (zone.claim(deadline(), nullptr).turn) {
        case Turn::ours:  // who fetched is dead or late
            return begin();
        case Turn::running:
            return watch.after(look_again);
        case Turn::braked:
            return wake();
    }
}

void Keyring::Live::wake() {
    want_keys = false;
    watch.cancel();
    waiters.wake_all();
}

// With the lease in hand: fetches what is due or wanted, metadata first.
void Keyring::Live::begin() {
    std::optional<ZoneView> view = zone.look();
    if (view && view->generation != generation) {
        load(view->generation);
    }
    bool all = data == nullptr || !view;
    want_keys = client.fixed.keys.empty() && (want_keys || (view && view->keys_due));
    if (client.needs_no_discovery() && (all || view->metadata_due)) {
        // The keys are fetched in any case: what ends inside this call wakes nobody who joins behind it.
        Reply reply;
        reply.status = 200;
        reply.body = oidc::static_document(client);
        want_keys = true;
        take(&Live::take_metadata, reply);
    } else if (all || view->metadata_due) {
        ask(oidc::discovery_request(client), oidc::max_metadata, &Live::take_metadata);
    } else if (want_keys) {
        ask_keys(data->metadata);
    } else {
        zone.conclude(outcome);  // somebody else was faster
        watch.soon();
    }
}

void Keyring::Live::ask(oidc::http::Request request, size_t max_reply, Step step) {
    request.max_reply = max_reply;
    zone.extend(deadline());
    fetch = Fetch::start(std::move(request), options, [this, step](Reply &reply) { take(step, reply); });
}

void Keyring::Live::ask_keys(const oidc::Metadata &metadata) {
    ask(oidc::keys_request(metadata), oidc::max_keys, &Live::take_keys);
}

// Whatever happens in a step, those who wait are told.
void Keyring::Live::take(Step step, Reply &reply) {
    bool goes_on = false;
    try {
        goes_on = (this->*step)(reply);
    } catch (const std::exception &error) {
        fail("metadata and keys", error.what());
    }
    if (!goes_on) {
        finish();
    }
}

bool Keyring::Live::take_metadata(Reply &reply) {
    auto metadata = oidc::read_discovery(client, reply);
    if (!metadata) {
        fail("metadata", metadata.error().text);
        // A provider that answers, if badly, may still have keys to give.
        if (reply.status == 0 || data == nullptr || !want_keys) {
            return false;
        }
        ask_keys(data->metadata);
        return true;
    }
    outcome.metadata = Fetched{reply.body, fresh_for(reply)};
    const bool moved = has_keys() && client.fixed.keys.empty() && data->metadata.jwks_uri != metadata->jwks_uri;
    if (!want_keys && !moved) {
        return false;
    }
    ask_keys(*metadata);
    return true;
}

bool Keyring::Live::take_keys(Reply &reply) {
    auto keys = oidc::read_keys(reply);
    if (keys) {
        outcome.keys = Fetched{reply.body, fresh_for(reply)};
    } else {
        fail("keys", keys.error().text);
    }
    return false;
}

void Keyring::Live::fail(const char *what, const std::string &why) {
    outcome.failed = true;
    failure = std::string(what) + " could not be fetched: " + why;
}

void Keyring::Live::finish() {
    fetch.reset();
    Trouble trouble = zone.conclude(outcome);
    report(trouble);
    outcome = Outcome();
    failure.clear();
    wake();
}

// The pause after a failure keeps this from flooding the log.
void Keyring::Live::report(const Trouble &trouble) const {
    if (outcome.failed) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "auth_oidc: provider \"%s\": %s; next try in %L s",
                      client.name.c_str(), failure.c_str(), trouble.next_try);
    } else if (trouble.before != 0) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "auth_oidc: provider \"%s\": metadata and keys are there again, after %uD failed tries",
                      client.name.c_str(), trouble.before);
    }
}

Keyring::Keyring(ngx_conf_t *cf, const oidc::Client &client, const FetchOptions &options)
    : live_(std::make_unique<Live>(cf, client, options)) {}

Keyring::~Keyring() = default;

std::shared_ptr<const oidc::ProviderData> Keyring::current(Need need) {
    return live_->current(need);
}

ngx_int_t Keyring::wait(Waiter &waiter, Need need) {
    return live_->join(waiter, need, nullptr);
}

ngx_uint_t Keyring::retry_after() const {
    return live_->zone.retry_after();
}

ngx_int_t Keyring::refresh_keys(Waiter &waiter, KeysFor who, const oidc::ProviderData *stale) {
    auto now = live_->current(Need::keys);
    if (now != nullptr && now.get() != stale) {
        return NGX_OK;
    }
    return live_->join(waiter, Need::keys, &who);
}

void Keyring::note_id_token_alg(const std::string &alg) {
    live_->zone.note_alg(alg);
}

std::string Keyring::id_token_alg() const {
    return live_->zone.alg();
}

Keyring::Health Keyring::health() const {
    KeyringZone::Health health = live_->zone.health();
    return {static_cast<time_t>(health.metadata_at), static_cast<time_t>(health.keys_at), health.failing};
}

}  // namespace auth_oidc
