#include "revocations_redis.hpp"

#include "revocations.hpp"
#include "store_redis_script.hpp"

namespace auth_oidc {

namespace {

// Keys, and the time at which the session began.
constexpr std::string_view check_script = R"(
for i = 1, #KEYS do
  local at = redis.call('GET', KEYS[i])
  if at and tonumber(at) >= tonumber(ARGV[1]) then return 1 end
end
return 0)";

}  // namespace

// Outlives the call when that is cancelled.
struct RemoteRevocations::Question {
    StoreCall *call;
    bool is_check;

    void answered(const RedisReply *reply) const {
        StoreCall *asker = call;
        if (asker == nullptr) {
            return;
        }
        asker->running = nullptr;
        const bool good = reply != nullptr && (is_check ? reply->kind == RedisReply::Kind::integer
                                                        : reply->kind == RedisReply::Kind::status);
        const bool revoked = good && is_check && reply->integer != 0;
        asker->answer = !good ? Stored::unavailable : revoked ? Stored::absent : Stored::found;
        if (good && !is_check) {
            asker->store->ended();
        }
        asker->done(asker);
    }
};

// An HMAC: who reads Redis learns no sid and no sub.
std::string RemoteRevocations::name_of(const RevokedKey &key) const {
    const std::string &secret = redis_.provider->sealers->index.front();
    const oidc::Digest digest =
        oidc::hmac_sha256(secret, "revoked " + std::string(oidc::bytes(key.data(), key.size())));
    return redis_.server.url.prefix + "r:" + oidc::base64url_encode(oidc::bytes(digest));
}

ngx_int_t RemoteRevocations::send(StoreCall *call, std::string bytes, bool is_check) {
    if (!link_) {
        link_ = std::make_unique<RedisLink>(redis_.server);
    }
    auto question = std::make_shared<Question>(Question{call, is_check});
    RedisCommand command;
    command.bytes = std::move(bytes);
    command.repeatable = true;
    command.answer = [question](const RedisReply *reply) { question->answered(reply); };
    call->running = question.get();
    if (link_->ask(std::move(command))) {
        return NGX_AGAIN;
    }
    call->running = nullptr;
    call->answer = Stored::unavailable;
    return NGX_OK;
}

ngx_int_t RemoteRevocations::ask(StoreCall *call, const std::array<RevokedKey, 3> &keys, int64_t begun) {
    Script script{check_script, {}, {std::to_string(begun)}};
    for (const RevokedKey &key : keys) {
        if (key != RevokedKey{}) {
            script.keys.push_back(name_of(key));
        }
    }
    return send(call, eval(script), true);
}

ngx_int_t RemoteRevocations::add(StoreCall *call, const RevokedKey &key, int64_t longest_life) {
    const std::string name = name_of(key), at = std::to_string(now_in_milliseconds());
    const std::string life = std::to_string(longest_life);
    return send(call, redis_command({"SET", name, at, "EX", life}), false);
}

void RemoteRevocations::cancel(StoreCall *call) {
    if (auto *question = static_cast<Question *>(std::exchange(call->running, nullptr))) {
        question->call = nullptr;
    }
}

}  // namespace auth_oidc
