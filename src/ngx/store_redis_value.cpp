#include "store_redis_value.hpp"

namespace auth_oidc::redis_value {

namespace {

std::string hashed_key(const Redis &redis, const char *kind, std::string_view text) {
    return redis.server.url.prefix + kind + oidc::base64url_encode(oidc::bytes(oidc::sha256(text)));
}

}  // namespace

std::string session_key(const Redis &redis, std::string_view cookie) {
    return hashed_key(redis, "s:", "redis session " + std::string(cookie));
}

std::string lease_key(const Redis &redis, std::string_view cookie) {
    return hashed_key(redis, "l:", "redis lease " + std::string(cookie));
}

std::vector<std::string> index_keys(const Redis &redis, const char *kind, const oidc::Digest &who) {
    std::vector<std::string> keys;
    for (const std::string &secret : redis.provider->sealers->index) {
        oidc::Digest digest = oidc::hmac_sha256(secret, std::string(kind) + std::string(oidc::bytes(who)));
        keys.push_back(redis.server.url.prefix + "x:" + oidc::base64url_encode(oidc::bytes(digest)));
    }
    return keys;
}

std::string revision_text(uint64_t revision) {
    char text[revision_size + 1];
    ngx_sprintf(reinterpret_cast<u_char *>(text), "%016xL%Z", revision);
    return text;
}

// The revision stands in clear for the script to compare, and is sealed with the rest.
std::string seal(const Redis &redis, const std::string &key, std::string_view record, uint64_t revision) {
    std::string text = revision_text(revision);
    return text + redis.provider->sealers->session.first().seal(record, "redis " + text + key);
}

std::optional<std::string> unseal(const Redis &redis, const std::string &key, std::string_view value) {
    if (value.size() <= revision_size) {
        return std::nullopt;
    }
    std::string associated = "redis " + std::string(value.substr(0, revision_size)) + key;
    for (const auto &sealer : redis.provider->sealers->session.keys()) {
        if (auto record = sealer->open(value.substr(revision_size), associated)) {
            return record;
        }
    }
    return std::nullopt;
}

}  // namespace auth_oidc::redis_value
