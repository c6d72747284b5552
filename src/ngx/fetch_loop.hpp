// libcurl's multi handle on nginx's event loop: its sockets, its one timer, and who has finished.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "alarm.hpp"
#include "ngx.hpp"

namespace auth_oidc {

struct FreeEasy {
    void operator()(CURL *easy) const noexcept { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;

struct FreeList {
    void operator()(curl_slist *list) const noexcept { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;

// A transfer, as the loop sees it. Its easy handle carries it as CURLOPT_PRIVATE.
class Running {
public:
    virtual void ended(
        CURLcode result) = 0;  // out of the loop already; libcurl is not on the stack; may destroy itself
    virtual void fail(std::string_view reason) = 0;  // to end soon, not now: libcurl may be on the stack
    virtual void drop() noexcept = 0;                // the worker ends: release what is libcurl's, tell nobody

protected:
    ~Running() = default;
};

class FetchLoop {
public:
    FetchLoop();  // throws when libcurl has no multi handle to give
    ~FetchLoop();
    FetchLoop(const FetchLoop &) = delete;
    FetchLoop &operator=(const FetchLoop &) = delete;

    // An easy handle in its initial state; null when there is none.
    Easy take();
    // A handle that ended well may serve again: saves its allocations and keeps its TLS session.
    void give_back(Easy easy);

    bool add(CURL *easy, Running *transfer);
    void remove(CURL *easy, Running *transfer);
    void fail_all(std::string_view reason);

    // A cancelled look-up of a name leaves a thread behind until the system's resolver gives up. No more than a few per
    // name.
    void note_abandoned_lookup(const std::string &host);
    bool too_many_lookups(const std::string &host);

private:
    struct FreeMulti {
        void operator()(CURLM *multi) const noexcept { curl_multi_cleanup(multi); }
    };
    struct Abandoned {
        std::string host;
        ngx_msec_t until;
    };

    static int on_socket(CURL *easy, curl_socket_t fd, int what, void *loop, void *known) noexcept;
    static int on_timer(CURLM *multi, long delay, void *loop) noexcept;
    static void on_due(void *loop);
    static void on_ready(ngx_event_t *event);

    ngx_connection_t *adopt(curl_socket_t fd);
    void release(ngx_connection_t *connection);
    void drive(curl_socket_t fd, int ready);

    Alarm timer_, kick_;  // outlive the multi handle, which still sets them while it is freed
    std::unique_ptr<CURLM, FreeMulti> multi_;
    std::unordered_set<Running *> transfers_;
    std::vector<Easy> idle_;
    std::vector<Abandoned> abandoned_;
};

}  // namespace auth_oidc
