#include "fetch_loop.hpp"

#include <fcntl.h>
#include <openssl/err.h>

#include <algorithm>
#include <stdexcept>

namespace auth_oidc {
namespace {

constexpr size_t max_idle_handles = 16;
// glibc's resolver tries for 5 s, twice, with up to three servers.
constexpr ngx_msec_t lookup_gives_up = ngx_msec_t{30} * 1000;
constexpr size_t max_lookups_per_host = 8;

Running *owner_of(CURL *easy) {
    char *owner = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
    return reinterpret_cast<Running *>(owner);
}

bool watch(ngx_event_t *event, ngx_int_t kind, bool wanted) {
    if (wanted == static_cast<bool>(event->active)) {
        return true;
    }
    return (wanted ? ngx_add_event(event, kind, NGX_LEVEL_EVENT) : ngx_del_event(event, kind, 0)) == NGX_OK;
}

void forget(ngx_event_t *event, ngx_int_t kind, ngx_uint_t flags) {
    if (event->active) {
        ngx_del_event(event, kind, flags);
    }
    if (event->posted) {
        ngx_delete_posted_event(event);
    }
}

void tell_end(Running *transfer, CURLcode result) {
    transfer->ended(result);
}

}  // namespace

FetchLoop::FetchLoop() : timer_(&FetchLoop::on_due, this), kick_(&FetchLoop::on_due, this), multi_(curl_multi_init()) {
    if (multi_ == nullptr) {
        throw std::runtime_error("libcurl could not be started");
    }
    CURLM *multi = multi_.get();
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &FetchLoop::on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &FetchLoop::on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
#if LIBCURL_VERSION_NUM >= 0x081400
    curl_multi_setopt(multi, CURLMOPT_QUICK_EXIT, 1L);
#endif
    // CURLMOPT_MAXCONNECTS stays alone: it counts live connections, and a low one ends all reuse.
}

FetchLoop::~FetchLoop() {
    auto transfers = std::move(transfers_);
    transfers_.clear();
    for (Running *transfer : transfers) {
        transfer->drop();
    }
}

Easy FetchLoop::take() {
    if (idle_.empty()) {
        return Easy(curl_easy_init());
    }
    Easy easy = std::move(idle_.back());
    idle_.pop_back();
    return easy;
}

void FetchLoop::give_back(Easy easy) {
    if (idle_.size() < max_idle_handles) {
        curl_easy_reset(easy.get());
        idle_.push_back(std::move(easy));
    }
}

bool FetchLoop::add(CURL *easy, Running *transfer) {
    transfers_.insert(transfer);
    if (curl_multi_add_handle(multi_.get(), easy) == CURLM_OK) {
        return true;
    }
    transfers_.erase(transfer);
    return false;
}

void FetchLoop::remove(CURL *easy, Running *transfer) {
    transfers_.erase(transfer);
    curl_multi_remove_handle(multi_.get(), easy);
    ERR_clear_error();
}

void FetchLoop::fail_all(std::string_view reason) {
    for (Running *transfer : transfers_) {
        transfer->fail(reason);
    }
}

void FetchLoop::note_abandoned_lookup(const std::string &host) {
    abandoned_.push_back({host, ngx_current_msec + lookup_gives_up});
}

bool FetchLoop::too_many_lookups(const std::string &host) {
    auto over = [](const Abandoned &lookup) {
        return static_cast<ngx_msec_int_t>(lookup.until - ngx_current_msec) <= 0;
    };
    abandoned_.erase(std::remove_if(abandoned_.begin(), abandoned_.end(), over), abandoned_.end());
    auto same = [&host](const Abandoned &lookup) { return lookup.host == host; };
    return static_cast<size_t>(std::count_if(abandoned_.begin(), abandoned_.end(), same)) >= max_lookups_per_host;
}

// CURLMOPT_SOCKETFUNCTION. It never returns an error: that would abort every transfer of the worker.
// NOLINTNEXTLINE(readability-function-size): libcurl's signature
int FetchLoop::on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *known) noexcept {
    auto *loop = static_cast<FetchLoop *>(data);
    auto *connection = static_cast<ngx_connection_t *>(known);
    if (what == CURL_POLL_REMOVE) {
        if (connection != nullptr) {
            loop->release(connection);
        }
        return 0;
    }
    if (connection == nullptr) {
        connection = loop->adopt(fd);
    }
    if (connection == nullptr || !watch(connection->read, NGX_READ_EVENT, (what & CURL_POLL_IN) != 0) ||
        !watch(connection->write, NGX_WRITE_EVENT, (what & CURL_POLL_OUT) != 0)) {
        // Another transfer on the same HTTP/2 connection ends by its own time limit.
        if (Running *transfer = owner_of(easy)) {
            transfer->fail("nginx has no connection left for it: worker_connections is too low");
        }
    }
    return 0;
}

ngx_connection_t *FetchLoop::adopt(curl_socket_t fd) {
    ngx_connection_t *connection = ngx_get_connection(fd, ngx_cycle->log);
    if (connection == nullptr) {
        return nullptr;
    }
    connection->data = this;
    connection->log = connection->read->log = connection->write->log = ngx_cycle->log;
    connection->read->handler = connection->write->handler = entry<&FetchLoop::on_ready>;
    curl_multi_assign(multi_.get(), fd, connection);
    return connection;
}

void FetchLoop::release(ngx_connection_t *connection) {
    // Old versions of libcurl close a socket that is still connecting before they say so. epoll forgot it by then.
    ngx_uint_t flags = fcntl(connection->fd, F_GETFD) == -1 ? NGX_CLOSE_EVENT : 0;
    forget(connection->read, NGX_READ_EVENT, flags);
    forget(connection->write, NGX_WRITE_EVENT, flags);
    curl_multi_assign(multi_.get(), connection->fd, nullptr);
    ngx_free_connection(connection);
    connection->fd = static_cast<ngx_socket_t>(-1);
}

// CURLMOPT_TIMERFUNCTION
int FetchLoop::on_timer(CURLM *, long delay, void *data) noexcept {
    auto *loop = static_cast<FetchLoop *>(data);
    if (delay < 0) {
        loop->timer_.cancel();
        return 0;
    }
    if (delay == 0) {
        // A timer of 0 would spin until the next tick of nginx's clock.
        loop->kick_.next_round();
    }
    loop->timer_.after(static_cast<ngx_msec_t>(delay > 0 ? delay : 1));
    return 0;
}

void FetchLoop::on_due(void *data) {
    auto *loop = static_cast<FetchLoop *>(data);
    loop->timer_.cancel();  // libcurl sets it again if it still needs it, but does not always say when it does not
    loop->drive(CURL_SOCKET_TIMEOUT, 0);
}

void FetchLoop::on_ready(ngx_event_t *event) {
    auto *connection = static_cast<ngx_connection_t *>(event->data);
    auto *loop = static_cast<FetchLoop *>(connection->data);
    if (connection->close) {
        // worker_shutdown_timeout cuts every connection of the worker.
        loop->fail_all("the worker was told to end at once");
        return;
    }
    loop->drive(connection->fd, event->write ? CURL_CSELECT_OUT : CURL_CSELECT_IN);
}

void FetchLoop::drive(curl_socket_t fd, int ready) {
    int count = 0;
    curl_multi_socket_action(multi_.get(), fd, ready, &count);
    // What libcurl leaves in OpenSSL's queue of errors, nginx would take for its own and log as an alert.
    ERR_clear_error();
    while (CURLMsg *message = curl_multi_info_read(multi_.get(), &count)) {
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;  // `message` does not outlive the removal
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        Running *transfer = owner_of(easy);
        remove(easy, transfer);
        entry<&tell_end>(transfer, result);  // one that throws does not keep the next from being told
    }
}

}  // namespace auth_oidc
