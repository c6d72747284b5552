#include "store_redis_link.hpp"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <system_error>

#include "../oidc/text.hpp"

namespace auth_oidc {
namespace {

constexpr ngx_msec_t first_pause = 50, longest_pause = 1000;
constexpr size_t max_waiting = 4096;

bool is_past(ngx_msec_t when) {
    return static_cast<ngx_msec_int_t>(when - ngx_current_msec) <= 0;
}

// "unavailable" in the log must not flood it: a failed server is named once per pause, by whoever finds it failed.
void log_failure(const RedisServer &server, const std::string &reason) {
    ngx_str_t text = borrow(reason);
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "auth_oidc: session store \"%V\": %V", &server.shown, &text);
}

int connection_error(ngx_connection_t *c) {
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1) {
        return ngx_socket_errno;
    }
    return error;
}

}  // namespace

std::string redis_command(const std::vector<std::string_view> &arguments) {
    std::vector<const char *> texts;
    std::vector<size_t> sizes;
    for (std::string_view argument : arguments) {
        texts.push_back(argument.data() ? argument.data() : "");
        sizes.push_back(argument.size());
    }
    char *formatted = nullptr;
    int size = redisFormatCommandArgv(&formatted, static_cast<int>(texts.size()), texts.data(), sizes.data());
    if (size < 0) {
        throw std::bad_alloc();
    }
    std::string command(formatted, static_cast<size_t>(size));
    redisFreeCommand(formatted);
    return command;
}

RedisLink::RedisLink(const RedisServer &server)
    : server_(server),
      soon_([](void *link) { static_cast<RedisLink *>(link)->pump(); }, this),
      limit_([](void *link) { static_cast<RedisLink *>(link)->on_timeout(); }, this) {}

RedisLink::~RedisLink() {
    close();
}

bool RedisLink::ask(RedisCommand command) {
    if (resting_ && !is_past(not_before_)) {
        return false;
    }
    if (load() >= max_waiting) {
        return false;
    }
    resting_ = false;
    command.deadline = ngx_current_msec + server_.timeout;
    waiting_.push_back(std::make_unique<RedisCommand>(std::move(command)));
    if (!soon_.is_set()) {
        soon_.soon();
    }
    watch();
    return true;
}

// Everything that may fail runs from here or from an event, never below whoever asks.
void RedisLink::pump() {
    if (state_ == State::closed && !waiting_.empty()) {
        connect();
    } else if (state_ == State::ready) {
        send();
    }
}

void RedisLink::connect() {
    ngx_peer_connection_t peer{};
    const ngx_addr_t &address = server_.addresses[address_ % server_.addresses.size()];
    peer.sockaddr = address.sockaddr;
    peer.socklen = address.socklen;
    peer.name = const_cast<ngx_str_t *>(&address.name);
    peer.get = ngx_event_get_peer;
    peer.log = ngx_cycle->log;
    peer.log_error = NGX_ERROR_ERR;
    ngx_int_t started = ngx_event_connect_peer(&peer);
    connection_ = peer.connection;
    if (started == NGX_ERROR || started == NGX_BUSY || started == NGX_DECLINED) {
        return fail("no connection");
    }
    pool_ = ngx_create_pool(1024, ngx_cycle->log);
    if (pool_ == nullptr) {
        return fail("no memory");
    }
    connection_->pool = pool_;
    connection_->data = this;
    connection_->log = ngx_cycle->log;
    connection_->read->log = connection_->write->log = ngx_cycle->log;
    connection_->read->handler = entry<&RedisLink::on_read>;
    connection_->write->handler = entry<&RedisLink::on_write>;
    state_ = State::connecting;
    if (started == NGX_OK) {
        connected();
    }
}

void RedisLink::connected() {
    if (int error = connection_error(connection_)) {
        return fail("no connection: " + std::system_category().message(error));
    }
    reader_ = std::make_unique<RedisReader>();
    if (server_.ssl != nullptr) {
        start_tls();
    } else {
        greet();
    }
}

// No command goes before the account and the database are right: it would be carried out elsewhere.
void RedisLink::greet() {
    const RedisUrl &url = server_.url;
    state_ = State::greeting;
    connection_->read->handler = entry<&RedisLink::on_read>;
    connection_->write->handler = entry<&RedisLink::on_write>;
    greetings_ = 0;
    if (!url.password.empty()) {
        out_ +=
            url.user.empty() ? redis_command({"AUTH", url.password}) : redis_command({"AUTH", url.user, url.password});
        greetings_++;
    }
    if (url.database != 0) {
        out_ += redis_command({"SELECT", std::to_string(url.database)});
        greetings_++;
    }
    if (greetings_ == 0) {
        state_ = State::ready;
    }
    send();
}

void RedisLink::greeted(const RedisReply *reply) {
    if (reply->kind != RedisReply::Kind::status || reply->text != "OK") {
        return fail("AUTH or SELECT was refused: " + oidc::log_safe(reply->text));
    }
    if (--greetings_ == 0) {
        state_ = State::ready;
        soon_.soon();
    }
}

void RedisLink::send() {
    while (state_ == State::ready && !waiting_.empty()) {
        out_ += waiting_.front()->bytes;
        sent_.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
    }
    while (out_at_ < out_.size()) {
        auto *data = reinterpret_cast<u_char *>(out_.data() + out_at_);
        ssize_t size = connection_->send(connection_, data, out_.size() - out_at_);
        if (size == NGX_AGAIN || size == 0) {
            break;
        }
        if (size < 0) {
            return drop("the connection broke", true);
        }
        out_at_ += static_cast<size_t>(size);
    }
    if (out_at_ == out_.size()) {
        out_.clear();
        out_at_ = 0;
    }
    if (ngx_handle_write_event(connection_->write, 0) != NGX_OK) {
        return fail("the event loop takes no event");
    }
    watch();
}

void RedisLink::receive() {
    u_char buffer[16384];
    for (;;) {
        ssize_t size = connection_->recv(connection_, buffer, sizeof(buffer));
        if (size == NGX_AGAIN) {
            break;
        }
        if (size <= 0) {
            return drop("the server closed the connection", true);
        }
        if (!reader_->feed(oidc::bytes(buffer, static_cast<size_t>(size)))) {
            return fail("no memory for an answer");
        }
        RedisReply reply;
        RedisReader::Next next;
        while ((next = reader_->next(reply)) == RedisReader::Next::reply) {
            take(reply);
            if (state_ == State::closed) {
                return;
            }
        }
        if (next == RedisReader::Next::broken) {
            return fail("an answer that is none: " + oidc::log_safe(reader_->error()));
        }
    }
    if (ngx_handle_read_event(connection_->read, 0) != NGX_OK) {
        return fail("the event loop takes no event");
    }
    watch();
}

void RedisLink::take(const RedisReply &reply) {
    if (state_ == State::greeting) {
        return greeted(&reply);
    }
    if (sent_.empty()) {
        return fail("an answer that nobody asked for");
    }
    pause_ = 0;
    std::unique_ptr<RedisCommand> command = std::move(sent_.front());
    sent_.pop_front();
    if (reply.kind == RedisReply::Kind::error) {
        log_failure(server_, "refused: " + oidc::log_safe(reply.text));
    }
    command->answer(&reply);
}

// The server does not do what it should: everybody gets no answer, and it is left alone for a while.
void RedisLink::fail(const std::string &reason) {
    log_failure(server_, reason);
    pause_ = std::min(longest_pause, pause_ == 0 ? first_pause : pause_ * 2);
    not_before_ = ngx_current_msec + pause_;
    resting_ = true;
    address_++;
    drop(reason, false);
}

// A connection that merely ended, as one that was idle may at any time, is made anew for what can be asked twice.
void RedisLink::drop(std::string_view reason, bool lost) {
    bool was_ready = state_ == State::ready;
    if (lost && !was_ready) {
        return fail(std::string(reason));
    }
    Commands failed;
    Commands again;
    for (auto &command : sent_) {
        bool repeat = lost && command->repeatable;
        command->repeatable = false;
        (repeat ? again : failed).push_back(std::move(command));
    }
    Commands &rest = lost ? again : failed;
    std::move(waiting_.begin(), waiting_.end(), std::back_inserter(rest));
    sent_.clear();
    waiting_ = std::move(again);
    close();
    if (!failed.empty() && lost) {
        log_failure(server_, std::string(reason));
    }
    if (!waiting_.empty()) {
        soon_.soon();
        watch();
    }
    for (auto &command : failed) {
        command->answer(nullptr);
    }
}

void RedisLink::close() {
    soon_.cancel();
    limit_.cancel();
    state_ = State::closed;
    out_.clear();
    out_at_ = 0;
    if (connection_ != nullptr) {
#if (NGX_SSL)
        if (connection_->ssl != nullptr) {
            connection_->ssl->no_wait_shutdown = 1;
            connection_->ssl->no_send_shutdown = 1;
            ngx_ssl_shutdown(connection_);
        }
#endif
        ngx_close_connection(connection_);
        connection_ = nullptr;
    }
    if (pool_ != nullptr) {
        ngx_destroy_pool(pool_);
        pool_ = nullptr;
    }
}

// The oldest command has the earliest end. A connection that nobody waits for holds no worker back that quits.
void RedisLink::watch() {
    const Commands &oldest = sent_.empty() ? waiting_ : sent_;
    if (connection_ != nullptr) {
        connection_->idle = oldest.empty() ? 1 : 0;
    }
    if (oldest.empty()) {
        limit_.cancel();
    } else if (!limit_.is_set()) {
        ngx_msec_t deadline = oldest.front()->deadline;
        limit_.after(is_past(deadline) ? 1 : deadline - ngx_current_msec);
    }
}

void RedisLink::on_timeout() {
    const Commands &oldest = sent_.empty() ? waiting_ : sent_;
    if (!oldest.empty() && is_past(oldest.front()->deadline)) {
        return fail("no answer within " + std::to_string(server_.timeout) + " ms");
    }
    watch();
}

RedisLink &RedisLink::of(ngx_event_t *event) {
    return *static_cast<RedisLink *>(static_cast<ngx_connection_t *>(event->data)->data);
}

void RedisLink::on_read(ngx_event_t *event) {
    RedisLink &link = of(event);
    if (link.connection_->close) {  // the worker quits, and nobody waits
        return link.drop("the worker quits", true);
    }
    if (link.state_ == State::connecting) {
        return link.connected();
    }
    link.receive();
}

void RedisLink::on_write(ngx_event_t *event) {
    RedisLink &link = of(event);
    if (link.state_ == State::connecting) {
        return link.connected();
    }
    link.send();
}

}  // namespace auth_oidc
