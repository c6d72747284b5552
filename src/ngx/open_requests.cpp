#include "open_requests.hpp"

#include <algorithm>

#include "lookup.hpp"

namespace auth_oidc {
namespace {

constexpr ngx_msec_t tick = 1000;
constexpr ngx_msec_t grown_up = 500;     // most requests are over before they are looked at
constexpr time_t other_hosts_after = 8;  // with the timer's second: what ended on another host is seen within ten
constexpr unsigned max_questions = 128;  // at once, so that nobody who comes in has to queue behind them

struct DestroyPool {
    void operator()(ngx_pool_t *pool) const { ngx_destroy_pool(pool); }
};

}  // namespace

// What the store is asked. It has memory of its own, for a request may be open for days, and outlives the request that
// it leads to the end of.
struct OpenRequest::Question {
    Question(OpenRequests &asker, uint64_t number) : list(asker), ends(number) {
        pool.reset(ngx_create_pool(512, ngx_cycle->log));
        if (pool == nullptr) {
            throw std::bad_alloc();
        }
        list.asking_++;
    }
    ~Question() { list.asking_--; }
    Question(const Question &) = delete;
    Question &operator=(const Question &) = delete;

    OpenRequests &list;
    const uint64_t ends;
    std::unique_ptr<ngx_pool_t, DestroyPool> pool;
    StoreCall call;
};

OpenRequest::OpenRequest(OpenRequests &list, const Context &context)
    : list_(list), r_(context.r), before_(list.last_), since_(ngx_current_msec) {
    (before_ == nullptr ? list_.first_ : before_->after_) = this;
    list_.last_ = this;
}

OpenRequest::~OpenRequest() {
    unlink();
}

void OpenRequest::unlink() {
    if (!std::exchange(linked_, false)) {
        return;
    }
    if (list_.next_ == this) {
        list_.next_ = after_;
    }
    (before_ == nullptr ? list_.first_ : before_->after_) = after_;
    (after_ == nullptr ? list_.last_ : after_->before_) = before_;
}

void OpenRequest::note(const oidc::SessionHead &head, uint64_t ends) {
    seen_ends_ = ends;
    over_ = oidc::ends_at(head);
    if (provider_->session_idle_timeout != 0) {
        over_ = std::min(over_, head.last_used + provider_->session_idle_timeout);
    }
    look_at_ = provider_->store->ops->of_many_hosts ? std::min(over_, ngx_time() + other_hosts_after) : over_;
}

bool OpenRequest::is_due(uint64_t ends) const {
    return question_ == nullptr && (ends != seen_ends_ || ngx_time() >= look_at_);
}

// What nginx does to its connections when worker_shutdown_timeout is over, here for one request: the handler of the
// event lets the upstream go and ends the request, of HTTP/2 the stream alone. Nothing may be touched afterwards.
void OpenRequest::close() {
    ngx_connection_t *c = r_->connection;
    unlink();
    ngx_log_error(NGX_LOG_INFO, c->log, 0, "auth_oidc: closed, for its session is over, provider \"%V\"",
                  &provider_->name);
#if (NGX_HTTP_V2)
    // The reset of a stream waits in a queue that nobody empties before the connection has an event again.
    if (r_->stream != nullptr) {
        ngx_post_event(r_->stream->connection->connection->write, &ngx_posted_events);
    }
#endif
    c->close = 1;
    c->read->handler(c->read);
}

OpenRequests::OpenRequests(SharedState &state)
    : state_(state), tick_(&OpenRequests::on_tick, this), more_(&OpenRequests::on_more, this) {}
OpenRequests::~OpenRequests() = default;

void OpenRequests::watch(Context &context) {
    if (context.open == nullptr) {
        context.open = pool_new<OpenRequest>(context.r->pool, *this, context);
    }
    OpenRequest &one = *context.open;
    one.question_.reset();
    one.provider_ = context.session.provider;
    if (one.cookie_ != context.session.cookie) {
        one.cookie_ = view(copy(context.r->pool, context.session.cookie));
    }
    one.note(context.session.head, context.ends);
    if (!tick_.is_set()) {
        tick_.lazily_after(tick);
    }
}

void OpenRequests::on_tick(void *list) {
    auto &open = *static_cast<OpenRequests *>(list);
    if (open.next_ == nullptr) {
        open.next_ = open.first_;
    }
    open.sweep();
    if (open.first_ != nullptr) {
        open.tick_.lazily_after(tick);
    }
}

void OpenRequests::on_more(void *list) {
    static_cast<OpenRequests *>(list)->sweep();
}

// The list is in the order in which the requests came.
void OpenRequests::sweep() {
    const uint64_t ended = ends();
    while (next_ != nullptr && asking_ < max_questions) {
        OpenRequest &one = *next_;
        if (ngx_current_msec - one.since_ < grown_up) {
            next_ = nullptr;
            return;
        }
        next_ = one.after_;
        if (one.is_due(ended)) {
            ask(one);
        }
    }
}

void OpenRequests::ask(OpenRequest &one) {
    one.question_ = std::make_unique<OpenRequest::Question>(*this, ends());
    StoreCall &call = one.question_->call;
    prepare_call(one.r_, call, *one.provider_, one.cookie_);
    call.pool = one.question_->pool.get();
    call.log = ngx_cycle->log;
    call.done = on_answer;
    call.data = &one;
    if (call.store->ops->find(&call) == NGX_OK) {
        conclude(one);
    }
}

void OpenRequests::on_answer(StoreCall *call) {
    auto &one = *static_cast<OpenRequest *>(call->data);
    OpenRequests &open = one.list_;
    open.conclude(one);
    if (open.next_ != nullptr && !open.more_.is_set()) {
        open.more_.next_round();
    }
}

// A store that gives no answer is asked again: to cut everybody off would not bring it back.
void OpenRequests::conclude(OpenRequest &one) {
    const std::unique_ptr<OpenRequest::Question> question = std::move(one.question_);
    const Stored answer = question->call.answer;
    if (answer == Stored::found) {
        return one.note(question->call.head, question->ends);
    }
    if (answer == Stored::absent || ngx_time() >= one.over_) {
        one.close();
    }
}

void note_ends(ngx_http_request_t *r, Context &context) {
    if (location_conf(r)->close_connections == 1 && !context.lookup.running) {
        context.ends = main_conf(r)->open->ends();
    }
}

void watch_session(ngx_http_request_t *r, Context &context) {
    if (location_conf(r)->close_connections == 1) {
        main_conf(r)->open->watch(context);
    }
}

}  // namespace auth_oidc
