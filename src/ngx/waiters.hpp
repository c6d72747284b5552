// Requests (and others) that wait for something shared. Woken in the order they came, each at most once.
#pragma once

#include <functional>

#include "ngx.hpp"

namespace auth_oidc {

// Somebody who waits. Leaves the queue when destroyed, so an owner that goes away is never woken.
class Waiter {
public:
    explicit Waiter(std::function<void()> wake) : wake_(std::move(wake)) { ngx_queue_init(&link_.queue); }
    ~Waiter() { leave(); }
    Waiter(const Waiter &) = delete;
    Waiter &operator=(const Waiter &) = delete;
    void leave() {
        ngx_queue_remove(&link_.queue);
        ngx_queue_init(&link_.queue);
    }
    bool waits() { return !ngx_queue_empty(&link_.queue); }

private:
    friend class Waiters;
    struct Link {
        ngx_queue_t queue;
        Waiter *waiter;
    } link_{{}, this};
    std::function<void()> wake_;
};

class Waiters {
public:
    Waiters() { ngx_queue_init(&queue_); }
    Waiters(const Waiters &) = delete;
    Waiters &operator=(const Waiters &) = delete;
    bool empty() { return ngx_queue_empty(&queue_); }
    void add(Waiter &waiter) {
        waiter.leave();
        ngx_queue_insert_tail(&queue_, &waiter.link_.queue);
    }
    // Those that waited at the call are woken; who joins meanwhile waits for the next time.
    void wake_all() {
        ngx_queue_t now;
        ngx_queue_init(&now);
        if (!ngx_queue_empty(&queue_)) {
            ngx_queue_add(&now, &queue_);
            ngx_queue_init(&queue_);
        }
        while (!ngx_queue_empty(&now)) {
            Waiter::Link *link = ngx_queue_data(ngx_queue_head(&now), Waiter::Link, queue);
            auto wake = link->waiter->wake_;  // a copy: whoever is woken may destroy its waiter
            link->waiter->leave();
            wake();
        }
    }

private:
    ngx_queue_t queue_;
};

}  // namespace auth_oidc
