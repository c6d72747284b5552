// A timer or posted event of something that is no connection. Cancelled when destroyed.
#pragma once

#include "ngx.hpp"

namespace auth_oidc {

class Alarm {
public:
    using Ring = void (*)(void *owner);
    // `ring` may destroy the alarm and its owner.
    Alarm(Ring ring, void *owner) : ring_(ring), owner_(owner) { event_.alarm = this; }
    ~Alarm() { cancel(); }
    Alarm(const Alarm &) = delete;
    Alarm &operator=(const Alarm &) = delete;

    // Not cancelable: a worker that quits waits for it.
    void after(ngx_msec_t delay) { set(delay, false); }
    // A worker that quits does not wait for it.
    void lazily_after(ngx_msec_t delay) { set(delay, true); }
    // In this round of the event loop, once the stack has unwound.
    void soon() { ngx_post_event(ready(), &ngx_posted_events); }
    // At the start of the next round: nothing that rings itself again starves the others. Does not hold a worker that
    // quits.
    void next_round() { ngx_post_event(ready(), &ngx_posted_next_events); }

    bool is_set() const { return event_.event.timer_set || event_.event.posted; }
    void cancel() {
        stop_timer();
        if (event_.event.posted) {
            ngx_delete_posted_event(&event_.event);
        }
    }

private:
    struct Event {
        ngx_event_t event;
        Alarm *alarm;
    };

    void set(ngx_msec_t delay, bool cancelable) {
        // ngx_add_timer keeps an old timer that is less than 300 ms away from the new one.
        stop_timer();
        ngx_event_t *event = ready();
        event->cancelable = cancelable ? 1 : 0;
        ngx_add_timer(event, delay);
    }
    void stop_timer() {
        if (event_.event.timer_set) {
            ngx_del_timer(&event_.event);
        }
    }
    ngx_event_t *ready() {
        // What nginx logs at debug level reads a descriptor behind `data`.
        static ngx_connection_t nobody;
        nobody.fd = static_cast<ngx_socket_t>(-1);
        event_.event.data = &nobody;
        event_.event.log = ngx_cycle->log;
        event_.event.handler = entry<&Alarm::on_event>;
        return &event_.event;
    }
    static void on_event(ngx_event_t *event) {
        Alarm *alarm = reinterpret_cast<Event *>(event)->alarm;
        alarm->cancel();
        alarm->ring_(alarm->owner_);
    }

    Event event_{};
    Ring ring_;
    void *owner_;
};

}  // namespace auth_oidc
