// What all workers share about one provider: its documents, who is fetching them, and when the next try may begin.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "../oidc/text.hpp"
#include "ngx.hpp"

namespace auth_oidc {

enum class KeysFor;

// What the zone says at the moment.
struct ZoneView {
    uint64_t generation = 0;  // of the documents; 0: there are none
    bool usable = false;      // fresh, or not stale for too long
    bool metadata_due = true;
    bool has_keys = false, keys_due = false;
};

struct Documents {
    std::string metadata, keys;  // keys: empty until somebody needed them
};

enum class Turn {
    ours,     // this worker fetches now
    running,  // some worker does
    braked    // the provider failed a moment ago, or such a fetch was a moment ago
};
struct Claim {
    Turn turn;
    uint64_t ended;  // fetches that had ended by then, well or badly
};

// How a fetch ended: the documents it brought, and whether something is missing.
struct Fetched {
    std::string document;
    int64_t fresh_for = 0;  // seconds
};
struct Outcome {
    std::optional<Fetched> metadata, keys;
    bool failed = false;
};

struct Trouble {
    uint32_t before = 0, now = 0;  // failed tries in a row
    int64_t next_try = 0;          // seconds from now
};

class KeyringZone {
public:
    // At configuration time. Documents fetched for another `subject` (issuer and URL) do not count.
    KeyringZone(ngx_conf_t *cf, const std::string &provider, const oidc::Digest &subject);
    KeyringZone(const KeyringZone &) = delete;
    KeyringZone &operator=(const KeyringZone &) = delete;

    // Nothing: the zone belongs to a newer configuration, which asks another provider under this name.
    std::optional<ZoneView> look() const;
    std::optional<Documents> read(uint64_t generation) const;

    // Who may fetch? A lease lasts until `deadline` (ngx_current_msec) or the death of its process. With `brake`, keys
    // that are not due are wanted, and how often that may be depends on who wants them.
    Claim claim(ngx_msec_t deadline, const KeysFor *brake) const;
    void extend(ngx_msec_t deadline) const;
    Trouble conclude(const Outcome &outcome) const;

    void note_alg(std::string_view alg) const;
    std::string alg() const;

    uint64_t ended() const;
    ngx_uint_t retry_after() const;
    struct Health {
        int64_t metadata_at, keys_at;
        bool failing;
    };
    Health health() const;

private:
    struct Shared;
    struct Slot;
    class Lock;
    static ngx_int_t init(ngx_shm_zone_t *zone, void *old);
    bool ours(Shared *shared) const;

    ngx_shm_zone_t *zone_;
    oidc::Digest subject_;
    uint64_t age_ = 0;  // a later configuration has a higher number
};

}  // namespace auth_oidc
