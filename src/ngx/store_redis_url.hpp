// Where `session_store` finds Redis, as its URL says it.
#pragma once

#include <string>
#include <string_view>

#include "../oidc/result.hpp"

namespace auth_oidc {

struct RedisUrl {
    std::string host;  // or the path of a socket
    int port = 6379;
    bool tls = false, socket = false;
    std::string user, password;
    int database = 0;
    std::string prefix = "oidc:";  // of every key
    std::string ca;                // a file with certificates; empty: the system's
};

// Whether a value of `session_store` is meant as such a URL.
bool is_redis_url(std::string_view text);

// redis://[user:password@]host[:port][/db][?prefix=...], rediss:// with &ca=FILE, or unix:/path[?db=...]. The error
// says what to write and repeats no password.
oidc::Result<RedisUrl> parse_redis_url(std::string_view text);

}  // namespace auth_oidc
