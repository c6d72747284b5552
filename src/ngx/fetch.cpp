#include "fetch.hpp"

#include <algorithm>

#include "../oidc/text.hpp"
#include "fetch_loop.hpp"
#include "location_fetch.hpp"

namespace auth_oidc {
namespace {

using oidc::http::Reply;
using oidc::http::Request;

constexpr size_t max_headers = 100;
constexpr size_t max_header_bytes = size_t{64} * 1024;

FetchLoop *loop = nullptr;  // this worker's, from fetch_init_process to fetch_exit_process

void append(List &list, const std::string &line) {
    curl_slist *longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) {
        throw std::bad_alloc();
    }
    static_cast<void>(list.release());
    list.reset(longer);
}

bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string_view trim(std::string_view text) {
    const char *blanks = " \t\r\n";
    size_t first = text.find_first_not_of(blanks);
    return first == text.npos ? std::string_view() : text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

class Transfer final : public Fetch, private Running {
public:
    Transfer(Request request, const FetchOptions &options, Done done)
        : request_(std::move(request)),
          options_(options),
          done_(std::move(done)),
          alarm_([](void *self) { static_cast<Transfer *>(self)->on_alarm(); }, this) {}
    ~Transfer() override { leave(); }

    void begin() noexcept;

private:
    void ended(CURLcode result) override;
    void fail(std::string_view reason) override;
    void drop() noexcept override { leave(); }

    void configure();
    void set_limits();
    void set_request();
    void set_headers();
    void set_route();
    void set_tls();
    // A refused option is never ignored: it might have been the one that verifies.
    template <class Value>
    void set(CURLoption option, Value value) {
        refused_ = curl_easy_setopt(easy_.get(), option, value) != CURLE_OK || refused_;
    }
    void set_text(CURLoption option, const std::string &text) {
        if (!text.empty()) {
            set(option, text.c_str());
        }
    }
    void set_blob(CURLoption option, const std::string &text) {
        curl_blob blob{const_cast<char *>(text.data()), text.size(), CURL_BLOB_NOCOPY};
        if (!text.empty()) {
            set(option, &blob);
        }
    }

    template <bool (Transfer::*Take)(std::string_view)>
    static size_t on_data(char *data, size_t size, size_t count, void *self) noexcept;
    static int on_connected(void *self, char *, char *, int, int) noexcept;
    static int on_lookup(void *, void *, void *self) noexcept;
    bool take_header(std::string_view line);
    bool take_body(std::string_view piece);

    void on_alarm();
    void leave() noexcept;
    void deliver();
    bool looks_up() const;
    curl_off_t passed(CURLINFO point) const;
    std::string where() const { return oidc::log_safe(url_.host, 100); }
    std::string explain(CURLcode result) const;

    Request request_;
    const FetchOptions &options_;
    Done done_;
    Reply reply_;
    oidc::http::Url url_;
    std::string target_;  // what libcurl is told to fetch
    std::string lookup_;  // the name that has to be resolved
    Easy easy_;
    List headers_, connect_to_;
    Alarm alarm_;  // the end of a failure, or of the time for the answer
    std::string failure_;
    size_t header_bytes_ = 0;
    bool refused_ = false, lookup_begun_ = false;
    char error_[CURL_ERROR_SIZE] = "";
};

void Transfer::begin() noexcept {
    try {
        auto url = oidc::http::parse_url(request_.url);
        if (!url || loop == nullptr) {
            return fail(url ? "this process fetches nothing" : "its URL is not valid");
        }
        url_ = *std::move(url);
        lookup_ = options_.proxy.empty() ? url_.host : options_.proxy;
        if (loop->too_many_lookups(lookup_)) {
            return fail("timed out: earlier look-ups of the name " + where() + " still hang");
        }
        easy_ = loop->take();
        if (easy_ == nullptr) {
            throw std::bad_alloc();
        }
        configure();
        if (refused_ || !loop->add(easy_.get(), this)) {
            easy_.reset();
            fail("libcurl refused an option");
        }
    } catch (const std::exception &) {
        easy_.reset();
        fail("out of memory");
    }
}

void Transfer::configure() {
    set(CURLOPT_PRIVATE, static_cast<void *>(static_cast<Running *>(this)));
    set(CURLOPT_ERRORBUFFER, static_cast<char *>(error_));
    set(CURLOPT_HEADERFUNCTION, &Transfer::on_data<&Transfer::take_header>);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_WRITEFUNCTION, &Transfer::on_data<&Transfer::take_body>);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_PREREQFUNCTION, &Transfer::on_connected);
    set(CURLOPT_PREREQDATA, this);
    set(CURLOPT_RESOLVER_START_FUNCTION, &Transfer::on_lookup);
    set(CURLOPT_RESOLVER_START_DATA, this);
    set_limits();
    set_route();
    set_request();
    set_headers();
    if (url_.scheme == "https") {
        set_tls();
    }
}

void Transfer::set_limits() {
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);  // else ending a transfer waits for its name look-up, and the worker with it
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(options_.connect_timeout + options_.read_timeout));
    set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(request_.max_reply));
}

void Transfer::set_route() {
    // Empty and not unset: unset means what the environment says.
    set(CURLOPT_PROXY, options_.proxy.c_str());
    set(CURLOPT_NOPROXY, "");
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    target_ = request_.url;
    if (url_.scheme != "https" || options_.ssl_name.empty()) {
        return;
    }
    // libcurl verifies the name in the URL. So that is ssl_name, and the connection goes to the real host.
    std::string port = url_.port.empty() ? "443" : url_.port;
    append(connect_to_, "::" + url_.host + ":" + port);
    set(CURLOPT_CONNECT_TO, connect_to_.get());
    target_ = "https://" + options_.ssl_name + ":" + port + url_.target;
    append(headers_, "Host: " + url_.host + (url_.port.empty() ? "" : ":" + url_.port));
}

void Transfer::set_request() {
    set(CURLOPT_URL, target_.c_str());
    set(CURLOPT_USERAGENT, "nginx-auth-oidc");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    if (url_.scheme == "https") {
        set(CURLOPT_PIPEWAIT, 1L);  // a burst shares one HTTP/2 connection
    }
    if (request_.method == "POST" || !request_.body.empty()) {
        set(CURLOPT_POST, 1L);
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
        set(CURLOPT_POSTFIELDS, request_.body.c_str());
    }
    if (request_.method != "GET" && request_.method != "POST") {
        set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    }
}

void Transfer::set_headers() {
    for (const auto &[name, value] : request_.headers) {
        refused_ = has_control(name) || has_control(value) || refused_;
        append(headers_, std::string(name).append(value.empty() ? ";" : ": ").append(value));
    }
    append(headers_, "Expect:");
    set(CURLOPT_HTTPHEADER, headers_.get());
}

void Transfer::set_tls() {
    set(CURLOPT_SSL_VERIFYPEER, options_.verify ? 1L : 0L);
    set(CURLOPT_SSL_VERIFYHOST, options_.verify ? 2L : 0L);
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    // With a CAPATH libcurl reads the whole bundle again for each connection, and the worker stands still for it.
    set(CURLOPT_CAPATH, static_cast<char *>(nullptr));
    set(CURLOPT_PROXY_CAPATH, static_cast<char *>(nullptr));
    set_text(CURLOPT_CAINFO, options_.ca_file);
    set_text(CURLOPT_CRLFILE, options_.crl_file);
    set_blob(CURLOPT_SSLCERT_BLOB, options_.certificate);
    set_blob(CURLOPT_SSLKEY_BLOB, options_.certificate_key);
}

// No exception may cross libcurl: the multi handle would be dead for good.
template <bool (Transfer::*Take)(std::string_view)>
size_t Transfer::on_data(char *data, size_t size, size_t count, void *self) noexcept {
    try {
        return (static_cast<Transfer *>(self)->*Take)({data, size * count}) ? size * count : 0;
    } catch (const std::exception &) {
        return 0;
    }
}

bool Transfer::take_header(std::string_view line) {
    header_bytes_ += line.size();
    if (header_bytes_ > max_header_bytes || reply_.headers.size() >= max_headers) {
        failure_ = "the answer of " + where() + " has too many header fields";
        return false;
    }
    size_t colon = line.find(':');
    if (oidc::starts_with(line, "HTTP/")) {
        reply_.headers.clear();                              // that was an informational answer
    } else if (colon != line.npos && reply_.body.empty()) {  // behind a body they are trailers
        std::string name(trim(line.substr(0, colon)));
        std::transform(name.begin(), name.end(), name.begin(), [](u_char c) { return ngx_tolower(c); });
        reply_.headers.emplace_back(std::move(name), std::string(trim(line.substr(colon + 1))));
    }
    return true;
}

bool Transfer::take_body(std::string_view piece) {
    if (piece.size() > request_.max_reply - reply_.body.size()) {
        failure_ = explain(CURLE_FILESIZE_EXCEEDED);
        return false;
    }
    reply_.body.append(piece);
    return true;
}

// The connection stands, TLS included: from now on the answer has its own time.
// NOLINTNEXTLINE(readability-function-size): libcurl's signature
int Transfer::on_connected(void *self, char *, char *, int, int) noexcept {
    auto *transfer = static_cast<Transfer *>(self);
    if (transfer->failure_.empty()) {
        transfer->alarm_.after(transfer->options_.read_timeout);
    }
    return CURL_PREREQFUNC_OK;
}

int Transfer::on_lookup(void *, void *, void *self) noexcept {
    static_cast<Transfer *>(self)->lookup_begun_ = true;
    return 0;
}

void Transfer::fail(std::string_view reason) {
    if (failure_.empty()) {
        failure_ = reason;
    }
    alarm_.soon();
}

void Transfer::on_alarm() {
    if (failure_.empty()) {
        failure_ = explain(CURLE_OPERATION_TIMEDOUT);
    }
    leave();
    deliver();
}

void Transfer::ended(CURLcode result) {
    alarm_.cancel();
    long status = 0;
    if (result == CURLE_OK && failure_.empty()) {
        curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
        reply_.status = static_cast<int>(status);
        loop->give_back(std::move(easy_));
    } else {
        if (failure_.empty()) {
            failure_ = explain(result);
        }
        if (result == CURLE_OPERATION_TIMEDOUT && looks_up()) {
            loop->note_abandoned_lookup(lookup_);
        }
        easy_.reset();
    }
    deliver();
}

// Out of the loop, whatever state the transfer is in.
void Transfer::leave() noexcept {
    alarm_.cancel();
    if (easy_ == nullptr) {
        return;
    }
    try {
        if (looks_up()) {
            loop->note_abandoned_lookup(lookup_);
        }
    } catch (const std::bad_alloc &) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "auth_oidc: out of memory, an abandoned name look-up is not counted");
    }
    loop->remove(easy_.get(), this);
    easy_.reset();
}

void Transfer::deliver() {
    // `done` may destroy this object, so nothing that it needs stays inside.
    Done done = std::move(done_);
    Reply reply = std::move(reply_);
    done_ = nullptr;
    if (!failure_.empty()) {
        reply = Reply();
        reply.failure = std::move(failure_);
    }
    if (done) {
        done(reply);
    }
}

curl_off_t Transfer::passed(CURLINFO point) const {
    curl_off_t microseconds = 0;
    curl_easy_getinfo(easy_.get(), point, &microseconds);
    return microseconds;
}

bool Transfer::looks_up() const {
    return lookup_begun_ && passed(CURLINFO_NAMELOOKUP_TIME_T) == 0;
}

std::string Transfer::explain(CURLcode result) const {
    if (result == CURLE_FILESIZE_EXCEEDED) {
        return "the answer of " + where() + " is larger than " + std::to_string(request_.max_reply) + " bytes";
    }
    if (result == CURLE_OPERATION_TIMEDOUT) {
        if (looks_up()) {
            return "timed out: no answer to the look-up of the name " + where();
        }
        bool connected = passed(CURLINFO_PRETRANSFER_TIME_T) != 0;
        return (connected ? "timed out: no complete answer from " + where() + " within "
                          : "timed out: no connection to " + where() + " within ") +
               std::to_string(connected ? options_.read_timeout : options_.connect_timeout) + " ms";
    }
    // libcurl's own buffer says more than its text for the code: which certificate check, which port.
    return oidc::log_safe(error_[0] ? error_ : curl_easy_strerror(result), 160) + " (" + where() + ")";
}

}  // namespace

std::unique_ptr<Fetch> Fetch::start(Request request, const FetchOptions &options, Done done,
                                    ngx_http_request_t *asker) {
    if (!options.location.empty()) {
        return fetch_through_location(std::move(request), options, std::move(done), asker);
    }
    auto transfer = std::make_unique<Transfer>(std::move(request), options, std::move(done));
    transfer->begin();
    return transfer;
}

ngx_int_t fetch_init_process(ngx_cycle_t *cycle) {
    // The cache's helper processes start modules too, but serve nobody.
    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE) {
        return NGX_OK;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "auth_oidc: libcurl could not be started");
        return NGX_ERROR;
    }
    loop = std::make_unique<FetchLoop>().release();
    return NGX_OK;
}

void fetch_exit_process() {
    if (loop != nullptr) {
        std::unique_ptr<FetchLoop> owner(loop);
        owner.reset();  // the transfers still running leave through `loop`
        loop = nullptr;
        curl_global_cleanup();
    }
}

}  // namespace auth_oidc
