// auth_oidc_close_connections: requests of this worker that stay open (WebSockets, event streams, long downloads) are
// closed when their session is over. No request is looked at before the timer rings, which it does once a second while
// there is any; a counter in shared memory says whether a session has been ended since.
#pragma once

#include <memory>

#include "alarm.hpp"
#include "request.hpp"
#include "state.hpp"

namespace auth_oidc {

class OpenRequests;

// A request in the list. Belongs to its pool, and leaves the list with it.
class OpenRequest {
public:
    OpenRequest(OpenRequests &list, const Context &context);
    ~OpenRequest();
    OpenRequest(const OpenRequest &) = delete;
    OpenRequest &operator=(const OpenRequest &) = delete;

private:
    friend OpenRequests;
    struct Question;

    void note(const oidc::SessionHead &head, uint64_t ends);
    bool is_due(uint64_t ends) const;
    void close();
    void unlink();

    OpenRequests &list_;
    ngx_http_request_t *r_;
    OpenRequest *before_ = nullptr, *after_ = nullptr;
    bool linked_ = true;
    ngx_msec_t since_;
    uint64_t seen_ends_ = 0;  // the session was there when so many had ended
    time_t over_ = 0;         // by its own life, as far as it is known here
    time_t look_at_ = 0;      // the same, or sooner where it may be ended on another host
    Provider *provider_ = nullptr;
    std::string_view cookie_;
    std::unique_ptr<Question> question_;
};

class OpenRequests {
public:
    explicit OpenRequests(SharedState &state);
    ~OpenRequests();
    OpenRequests(const OpenRequests &) = delete;
    OpenRequests &operator=(const OpenRequests &) = delete;

    uint64_t ends() const { return state_.ends(); }
    // Enters the request, or notes what session an entered one goes on with.
    void watch(Context &context);

private:
    friend OpenRequest;

    static void on_tick(void *list);
    static void on_more(void *list);
    static void on_answer(StoreCall *call);
    void sweep();
    void ask(OpenRequest &one);
    void conclude(OpenRequest &one);

    SharedState &state_;
    OpenRequest *first_ = nullptr, *last_ = nullptr;
    OpenRequest *next_ = nullptr;  // where the sweep goes on; null: it is through
    unsigned asking_ = 0;
    Alarm tick_, more_;
};

// Before a session is looked for: how many had ended by then.
void note_ends(ngx_http_request_t *r, Context &context);
// The request is let in with context.session.
void watch_session(ngx_http_request_t *r, Context &context);

}  // namespace auth_oidc
