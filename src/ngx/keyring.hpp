// Live provider data of the host: metadata and keys of one provider, in shared memory, one fetch at a time for all
// workers.
#pragma once

#include <memory>

#include "../oidc/protocol.hpp"
#include "../oidc/provider.hpp"
#include "fetch.hpp"
#include "ngx.hpp"
#include "waiters.hpp"

namespace auth_oidc {

// Who wants the keys fetched again: for tokens that we asked for ourselves once every 10 s, for tokens that strangers
// send (bearer, logout) once a minute; both per provider over all workers.
enum class KeysFor { ourselves, strangers };

// What of a provider's data is needed now. Keys are fetched when the first token is to be verified, not before: who
// only looks at the sign-in asks the provider one document.
enum class Need { metadata, keys };

class Keyring {
public:
    // At configuration time: declares the provider's zone (fixed size). client and options must outlive the keyring.
    Keyring(ngx_conf_t *cf, const oidc::Client &client, const FetchOptions &options);
    ~Keyring();
    Keyring(const Keyring &) = delete;
    Keyring &operator=(const Keyring &) = delete;

    // The data to work with now: fresh, or stale for up to 24 h while the provider is away. Null when there is none:
    // then wait(). A stale copy starts a renewal in the background (one over all workers), nobody waits for it. With
    // Need::metadata the key set may be empty.
    std::shared_ptr<const oidc::ProviderData> current(Need need = Need::keys);

    // For those without data. NGX_AGAIN: `waiter` will be woken when the fetch ended, however it ended (then ask
    // current() again, and give up with 503 if it is still null). NGX_DECLINED: the provider failed a moment ago, no
    // new try before retry_after() seconds.
    ngx_int_t wait(Waiter &waiter, Need need = Need::keys);
    ngx_uint_t retry_after() const;  // seconds, 1 to 30

    // The key set for the first time, or once more after an unknown kid or a failed signature with `stale`. NGX_AGAIN:
    // waiter is woken when done. NGX_OK: current() is already newer than `stale`. NGX_DECLINED: braked.
    ngx_int_t refresh_keys(Waiter &waiter, KeysFor who, const oidc::ProviderData *stale);

    // What the provider signed the last good ID token with, for all workers; empty until one came, and when its keys
    // have changed since.
    void note_id_token_alg(const std::string &alg);
    std::string id_token_alg() const;

    // For the status endpoint: seconds since 1970 of the last good fetch of metadata and keys (0 = never), and whether
    // the last try failed.
    struct Health {
        time_t metadata_at, keys_at;
        bool failing;
    };
    Health health() const;

private:
    struct Shared;
    struct Live;
    std::unique_ptr<Live> live_;
};

}  // namespace auth_oidc
