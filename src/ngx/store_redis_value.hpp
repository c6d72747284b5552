// Keys and values as they lie in Redis: whoever reads them learns nothing, whoever writes them forges nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../oidc/text.hpp"
#include "store_redis_ops.hpp"

namespace auth_oidc::redis_value {

constexpr size_t revision_size = 16;  // hexadecimal digits in front of the sealed record

std::string session_key(const Redis &redis, std::string_view cookie);
std::string lease_key(const Redis &redis, std::string_view cookie);
// One key for each secret: what the former one named is still found.
std::vector<std::string> index_keys(const Redis &redis, const char *kind, const oidc::Digest &who);

std::string revision_text(uint64_t revision);
std::string seal(const Redis &redis, const std::string &key, std::string_view record, uint64_t revision);
// Nothing: it was changed, lies under another key, or is sealed with another secret.
std::optional<std::string> unseal(const Redis &redis, const std::string &key, std::string_view value);

}  // namespace auth_oidc::redis_value
