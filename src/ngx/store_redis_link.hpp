// One connection to Redis in nginx's event loop: commands go out in the order they were asked, answers come back in it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "alarm.hpp"
#include "ngx.hpp"
#include "store_redis_reply.hpp"
#include "store_redis_url.hpp"

namespace auth_oidc {

// What all connections of one store have in common. Lives in the configuration.
struct RedisServer {
    RedisUrl url;
    ngx_str_t shown{};  // for log lines: no password
    std::vector<ngx_addr_t> addresses;
    ngx_ssl_t *ssl = nullptr;
    ngx_msec_t timeout = 2000;
};

// A command and whoever waits for its answer.
struct RedisCommand {
    std::string bytes;
    bool repeatable = false;                              // may be sent again over a fresh connection
    std::function<void(const RedisReply *reply)> answer;  // null: there is none
    ngx_msec_t deadline = 0;                              // set by the link
};

// The arguments as the protocol wants them.
std::string redis_command(const std::vector<std::string_view> &arguments);

class RedisLink {
public:
    explicit RedisLink(const RedisServer &server);
    ~RedisLink();
    RedisLink(const RedisLink &) = delete;
    RedisLink &operator=(const RedisLink &) = delete;

    // False: the server failed a moment ago and is left alone for a while, or too much waits already. Otherwise
    // `answer` will be called, never from inside of this function.
    bool ask(RedisCommand command);
    size_t load() const { return waiting_.size() + sent_.size(); }

private:
    enum class State { closed, connecting, securing, greeting, ready };
    using Commands = std::deque<std::unique_ptr<RedisCommand>>;

    void pump();
    void connect();
    void connected();
    void greet();
    void greeted(const RedisReply *reply);
    void start_tls();
    void secured();
    void send();
    void receive();
    void take(const RedisReply &reply);
    void fail(const std::string &reason);
    void drop(std::string_view reason, bool lost);
    void close();
    void watch();
    void on_timeout();
    static RedisLink &of(ngx_event_t *event);
    static void on_read(ngx_event_t *event);
    static void on_write(ngx_event_t *event);
    static void on_handshake(ngx_connection_t *c);

    const RedisServer &server_;
    State state_ = State::closed;
    ngx_connection_t *connection_ = nullptr;
    ngx_pool_t *pool_ = nullptr;
    std::unique_ptr<RedisReader> reader_;
    Commands waiting_, sent_;
    size_t greetings_ = 0;  // answers that are still to come before the first command
    std::string out_;
    size_t out_at_ = 0;
    size_t address_ = 0;
    ngx_msec_t pause_ = 0, not_before_ = 0;  // back-off
    bool resting_ = false;
    Alarm soon_, limit_;
};

}  // namespace auth_oidc
