// Answers of Redis, read by hiredis within bounds of ours.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct redisReader;

namespace auth_oidc {

struct RedisReply {
    enum class Kind { nothing, text, status, integer, nil, error };
    Kind kind = Kind::nothing;
    std::string text;  // text, status, error
    long long integer = 0;
};

constexpr size_t max_redis_record = 256 * 1024;

// All that we ask is answered by a single value: an array, a push or more bytes than the largest record is no answer.
class RedisReader {
public:
    RedisReader();
    RedisReader(const RedisReader &) = delete;
    RedisReader &operator=(const RedisReader &) = delete;

    bool feed(std::string_view bytes);
    enum class Next { reply, more, broken };
    Next next(RedisReply &reply);
    std::string error() const;

private:
    struct Free {
        void operator()(redisReader *reader) const;
    };
    std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace auth_oidc
