// What all workers share beside sessions and provider data: the zone "oidc_state" of fixed size. It survives reload and
// a killed worker.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../oidc/text.hpp"
#include "ngx.hpp"

namespace auth_oidc {

// How the login with a `state` that is already entered is getting on.
enum class StateUse : uint32_t { first, running, signed_in, failed, cut_off };

// Counters of the status endpoint, exact over all workers.
enum class Count {
    logins_started,
    logins_finished,
    logins_failed_browser,
    logins_failed_provider,
    logins_failed_us,
    logouts,
    refreshes,
    refreshes_failed,
    refusals,
    bearer_accepted,
    bearer_refused,
    store_calls,         // look-ups that had to wait for a store
    store_milliseconds,  // how long, all together
    store_failures,      // look-ups without an answer
    count
};

class SharedState {
public:
    // Declares the zone; called once per configuration.
    explicit SharedState(ngx_conf_t *cf);

    // 32 random bytes, made when the zone was new: seals what no cookie_secret seals.
    std::string_view key() const;

    // Enters a used `state` (its SHA-256). `first`: it is ours to finish. Anything else: somebody was here before. Held
    // in a ring of fixed size; what fell out of the ring counts as new. An entry of a dead or vanished process is
    // "cut_off".
    StateUse enter(const oidc::Digest &state);
    StateUse look(const oidc::Digest &state) const;  // `first` when it is not in the ring
    void finish(const oidc::Digest &state, StateUse how);

    // RFC 9700 style replay protection for anything with an id and an end (jti): true the first time, false when it was
    // seen and has not expired. A full ring forgets its oldest.
    bool remember(const oidc::Digest &what, time_t until);
    bool is_remembered(const oidc::Digest &what) const;

    // Counts sessions that were ended, so that who holds one open can tell when to look.
    void session_ended();
    uint64_t ends() const;

    void add(Count which, uint64_t how_many = 1);
    uint64_t value(Count which) const;

    // Logins that failed, by the rule that did it. The rules are ours: there are not many of them.
    void add_failure(std::string_view rule);
    std::vector<std::pair<std::string, uint64_t>> failures() const;

private:
    struct Shared;
    Shared *shared() const;
    ngx_shm_zone_t *zone_;
    static ngx_int_t init(ngx_shm_zone_t *zone, void *old);
};

}  // namespace auth_oidc
