// Session stores: one small table of functions, filled by each store.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "../oidc/session.hpp"
#include "../oidc/text.hpp"
#include "ngx.hpp"

namespace auth_oidc {

class SharedState;
struct StoreOps;

// A configured store: the table and what the store keeps for itself. Lives in the configuration.
struct Store {
    const StoreOps *ops = nullptr;
    void *data = nullptr;
    SharedState *state = nullptr;  // is told of every session that ends

    void ended() const;
};

enum class Stored {
    found,       // find, load: here it is. create, replace, touch, erase: done
    absent,      // no such session (any more)
    conflict,    // replace: it exists, but not in the revision that was read
    too_large,   // create, replace: this store cannot hold a record of that size
    unavailable  // no answer within the time limit: 503, never a way in
};

// One question to a store and its answer. Owned by whoever asks. When it goes before the answer came, nobody is told;
// what was asked may be carried out all the same.
struct StoreCall {
    StoreCall() = default;
    StoreCall(const StoreCall &) = delete;
    StoreCall &operator=(const StoreCall &) = delete;
    ~StoreCall();

    // The question.
    const Store *store = nullptr;
    ngx_pool_t *pool = nullptr;  // for what the answer needs
    ngx_log_t *log = nullptr;
    std::string_view cookie;   // the session cookie's value (all but create)
    std::string_view binding;  // Client::binding(): another one's session is absent
    std::string_view record;   // create, replace: write_session's bytes. claim, release: a name of whoever asks
    uint64_t revision = 0;     // replace: the revision that was read
    int64_t now = 0;           // seconds since 1970
    int64_t idle_timeout = 0;  // seconds, 0 = off
    bool whole = false;        // find: the record will be read, bring it along where that is cheap
    oidc::Digest who{};        // erase_sid, erase_sub: SHA-256 of binding and sid or sub
    ngx_msec_t lease = 0;      // claim: how long it holds

    // The answer.
    Stored answer = Stored::absent;
    oidc::SessionHead head{};  // find, load
    std::string_view
        found;  // load: the whole record, in `pool`. Also find, if `whole` or where a look-up takes a round trip
    std::string
        new_cookie;  // create, replace: the session cookie's value from now on; find, load, touch: if it changes
    std::array<unsigned char, 16> id{};  // find, load, where has_id: of the session, whose cookie may change
    bool has_id = false;
    uint64_t erased = 0;  // erase_sid, erase_sub: how many sessions ended

    // Called once when a function returned NGX_AGAIN.
    void (*done)(StoreCall *call) = nullptr;
    void *data = nullptr;
    void *running = nullptr;  // the store's own, while it works on this call
};

// Each function returns NGX_OK (the answer is there) or NGX_AGAIN (done will be called).
struct StoreOps {
    const char *name;
    ngx_int_t (*find)(StoreCall *call);     // head only: the hot path. A session that is over counts as absent.
    ngx_int_t (*load)(StoreCall *call);     // the whole record; at once where find did not bring it along
    ngx_int_t (*create)(StoreCall *call);   // under a fresh random id
    ngx_int_t (*replace)(StoreCall *call);  // only over the revision that was read; gives the record the next revision
    ngx_int_t (*touch)(StoreCall *call);    // last_used = now
    ngx_int_t (*erase)(StoreCall *call);
    ngx_int_t (*erase_sid)(StoreCall *call);
    ngx_int_t (*erase_sub)(StoreCall *call);
    void (*cancel)(StoreCall *call);    // forget a running call; done will not be called. Null where nothing ever runs.
    void (*leave)(const Store &store);  // the worker ends: connections are closed. Null where there are none.
    bool of_many_hosts = false;         // another host may end a session, and nobody here is told
    bool chunked = false;               // a cookie's value may be cut into several cookies
    // Who renews a session, of all hosts that share the store. found: the asker, until it releases or the lease is
    // over; conflict: somebody else. Null where this host is the only one: then shared memory says who.
    ngx_int_t (*claim)(StoreCall *call) = nullptr;
    ngx_int_t (*release)(StoreCall *call) = nullptr;
    void (*enter)(const Store &store) = nullptr;  // a worker begins. Null where it has nothing to do.
};

inline StoreCall::~StoreCall() {
    if (running != nullptr) {
        store->ops->cancel(this);
    }
}

// SHA-256 of the binding and a sid or sub, the key of the indices.
oidc::Digest index_key(std::string_view binding, std::string_view value);

}  // namespace auth_oidc
