// What Redis does in one step: small scripts, sent with their text.
#pragma once

#include "store_redis_link.hpp"

namespace auth_oidc {

// Puts a session's key into its indices, which last at least as long as it. Of each, two random members are looked at,
// so that those of ended sessions go.
#define AUTH_OIDC_INDEX                                                                 \
    "local life = tonumber(ARGV[#ARGV])\n"                                              \
    "for i = 2, #KEYS do\n"                                                             \
    "  for _, old in ipairs(redis.call('SRANDMEMBER', KEYS[i], 2)) do\n"                \
    "    if redis.call('EXISTS', old) == 0 then redis.call('SREM', KEYS[i], old) end\n" \
    "  end\n"                                                                           \
    "  local before = redis.call('PTTL', KEYS[i])\n"                                    \
    "  redis.call('SADD', KEYS[i], KEYS[1])\n"                                          \
    "  if before < life then redis.call('PEXPIRE', KEYS[i], life) end\n"                \
    "end\n"

// A new session. Values: the sealed record, its end, its life in milliseconds.
constexpr std::string_view create_script =
    "if not redis.call('SET', KEYS[1], ARGV[1], 'NX') then return 0 end\n"
    "redis.call('PEXPIREAT', KEYS[1], ARGV[2])\n" AUTH_OIDC_INDEX "return 1";

// Replaces, touches or (with one value) erases, and only what is there and begins with what was read. Values: that
// beginning, then as above.
constexpr std::string_view change_script =
    "local old = redis.call('GET', KEYS[1])\n"
    "if not old then return 0 end\n"
    "if string.sub(old, 1, #ARGV[1]) ~= ARGV[1] then return -1 end\n"
    "if #ARGV == 1 then return redis.call('DEL', KEYS[1]) end\n"
    "redis.call('SET', KEYS[1], ARGV[2])\n"
    "redis.call('PEXPIREAT', KEYS[1], ARGV[3])\n" AUTH_OIDC_INDEX "return 1";
#undef AUTH_OIDC_INDEX

// In steps, for Redis does nothing else meanwhile: what is left is counted in the higher digits.
constexpr std::string_view erase_all_script = R"(
local ended, left = 0, 0
for i = 1, #KEYS do
  for _, key in ipairs(redis.call('SPOP', KEYS[i], 500)) do ended = ended + redis.call('DEL', key) end
  left = left + redis.call('SCARD', KEYS[i])
end
if left > 0 then return ended + 1000000 end
return ended)";
constexpr long long more_left = 1000000;

// One holder at a time, who may ask again. Values: its name, for how many milliseconds.
constexpr std::string_view claim_script = R"(
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return -1 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1)";

struct Script {
    std::string_view text;
    std::vector<std::string> keys, values;
};

inline std::string eval(const Script &script) {
    std::string count = std::to_string(script.keys.size());
    std::vector<std::string_view> arguments{"EVAL", script.text, count};
    arguments.insert(arguments.end(), script.keys.begin(), script.keys.end());
    arguments.insert(arguments.end(), script.values.begin(), script.values.end());
    return redis_command(arguments);
}

}  // namespace auth_oidc
