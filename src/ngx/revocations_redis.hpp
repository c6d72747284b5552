// Who was signed out, in Redis: for cookie sessions on several hosts.
#pragma once

#include <array>

#include "revocation_list.hpp"
#include "store_redis_ops.hpp"

namespace auth_oidc {

class RemoteRevocations {
public:
    explicit RemoteRevocations(Redis &redis) : redis_(redis) {}
    RemoteRevocations(const RemoteRevocations &) = delete;
    RemoteRevocations &operator=(const RemoteRevocations &) = delete;

    // Whether one of the keys was entered when the session had begun: the call's answer is then absent, else found.
    ngx_int_t ask(StoreCall *call, const std::array<RevokedKey, 3> &keys, int64_t begun);
    ngx_int_t add(StoreCall *call, const RevokedKey &key, int64_t longest_life);
    static void cancel(StoreCall *call);
    void leave() { link_.reset(); }

private:
    struct Question;
    ngx_int_t send(StoreCall *call, std::string command, bool is_check);
    std::string name_of(const RevokedKey &key) const;
    Redis &redis_;
    std::unique_ptr<RedisLink> link_;  // of this worker
};

}  // namespace auth_oidc
