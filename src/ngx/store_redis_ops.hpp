// What a store in Redis is made of: set up by store_redis_conf.cpp, worked with by store_redis.cpp.
#pragma once

#include "config.hpp"
#include "store_redis_link.hpp"

namespace auth_oidc {

// One store: where it is, and this worker's connections.
struct Redis {
    RedisServer server;
    Provider *provider = nullptr;
    std::vector<std::unique_ptr<RedisLink>> links;
};

extern const StoreOps redis_ops;

}  // namespace auth_oidc
