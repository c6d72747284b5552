#include "store_redis_reply.hpp"

#include <hiredis/read.h>

#include <new>

namespace auth_oidc {
namespace {

constexpr size_t slack = 4096;  // for what stands around a value

// hiredis hands over objects as bare pointers, and frees them by the function below when it gives up half way.
RedisReply *make(RedisReply::Kind kind) noexcept {
    auto reply = std::unique_ptr<RedisReply>(std::make_unique<RedisReply>());
    reply->kind = kind;
    return reply.release();
}

void *make_text(const redisReadTask *task, char *data, size_t size) noexcept {
    RedisReply *reply = make(task->type == REDIS_REPLY_ERROR    ? RedisReply::Kind::error
                             : task->type == REDIS_REPLY_STATUS ? RedisReply::Kind::status
                                                                : RedisReply::Kind::text);
    reply->text.assign(data, size);
    return reply;
}

// Null stops the reader: nothing that we ask is answered by a list.
void *refuse_array(const redisReadTask *, int) noexcept {
    return nullptr;
}

void *make_integer(const redisReadTask *, long long value) noexcept {
    RedisReply *reply = make(RedisReply::Kind::integer);
    reply->integer = value;
    return reply;
}

void *make_nil(const redisReadTask *) noexcept {
    return make(RedisReply::Kind::nil);
}

void free_reply(void *reply) noexcept {
    std::unique_ptr<RedisReply>(static_cast<RedisReply *>(reply));
}

redisReplyObjectFunctions functions = {make_text, refuse_array, make_integer, make_nil, free_reply};

}  // namespace

void RedisReader::Free::operator()(redisReader *reader) const {
    redisReaderFree(reader);
}

RedisReader::RedisReader() : reader_(redisReaderCreateWithFunctions(&functions)) {
    if (!reader_) {
        throw std::bad_alloc();
    }
}

bool RedisReader::feed(std::string_view bytes) {
    return redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) == REDIS_OK;
}

RedisReader::Next RedisReader::next(RedisReply &reply) {
    void *read = nullptr;
    if (redisReaderGetReply(reader_.get(), &read) != REDIS_OK) {
        return Next::broken;
    }
    if (read == nullptr) {
        return reader_->len - reader_->pos > max_redis_record + slack ? Next::broken : Next::more;
    }
    std::unique_ptr<RedisReply> owned(static_cast<RedisReply *>(read));
    reply = std::move(*owned);
    return Next::reply;
}

std::string RedisReader::error() const {
    return reader_->err != 0 ? reader_->errstr : "an answer larger than any record";
}

}  // namespace auth_oidc
