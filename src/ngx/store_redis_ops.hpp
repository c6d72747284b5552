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

// What the URL of a directive names, checked and resolved; null: logged.
struct RedisDirective {
    std::string_view name, url;
};
Redis *connect_redis(ngx_conf_t *cf, Provider &provider, const RedisDirective &directive);

}  // namespace auth_oidc
