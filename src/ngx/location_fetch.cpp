#include "location_fetch.hpp"

#include <algorithm>

#include "../oidc/text.hpp"
#include "alarm.hpp"

namespace auth_oidc {
namespace {

using oidc::http::Reply;
using oidc::http::Request;

constexpr size_t max_headers = 100;

struct FreePool {
    void operator()(ngx_pool_t *pool) const noexcept { ngx_destroy_pool(pool); }
};

template <class T>
T *checked(T *pointer) {
    if (pointer == nullptr) {
        throw std::bad_alloc();
    }
    return pointer;
}

class LocationFetch final : public Fetch {
public:
    LocationFetch(Request request, const FetchOptions &options, Done done, ngx_http_conf_ctx_t *server)
        : request_(std::move(request)),
          options_(options),
          done_(std::move(done)),
          alarm_([](void *self) { static_cast<LocationFetch *>(self)->on_alarm(); }, this) {
        line_.hc.conf_ctx = server;
        line_.owner = this;
        alarm_.soon();
    }
    ~LocationFetch() override { leave(); }

    const std::string &url() const { return request_.url; }
    static LocationFetch *of(const ngx_http_request_t *r) {
        return reinterpret_cast<Line *>(r->main->http_connection)->owner;
    }
    static u_char *log_url(ngx_http_request_t *r, ngx_http_request_t *, u_char *text, size_t length);

private:
    // A connection to nobody, as nginx has one for each HTTP/2 stream. hc is first: the request points at it.
    struct Line {
        ngx_http_connection_t hc{};
        LocationFetch *owner = nullptr;
        ngx_connection_t connection{};
        ngx_event_t read{}, write{};
        ngx_log_t log{};
        ngx_http_log_ctx_t log_context{};
        sockaddr_in address{};
    };

    static u_char *on_log(ngx_log_t *log, u_char *text, size_t length);
    static void on_event(ngx_event_t *) {}
    static void on_main(ngx_http_request_t *r);
    static ngx_int_t on_done(ngx_http_request_t *sr, void *self, ngx_int_t status);

    void on_alarm();
    void begin();
    void open_line();
    void make_request();
    void set_body();
    void add_header(std::string_view name, std::string_view value);
    void collect();
    std::string explain_error() const;
    std::string where() const { return "the location \"" + options_.location + "\""; }
    void deliver();
    void leave() noexcept;

    Request request_;
    const FetchOptions &options_;
    Done done_;
    Alarm alarm_;  // the start, the end, or of the time for the answer
    Line line_;
    std::unique_ptr<ngx_pool_t, FreePool> pool_;
    ngx_http_request_t *main_ = nullptr, *call_ = nullptr;
    ngx_http_post_subrequest_t post_{};
    ngx_int_t status_ = NGX_OK;  // how nginx ended the call, where it was not the provider
    bool begun_ = false, ended_ = false;
    Reply reply_;
    std::string failure_;
};

u_char *LocationFetch::log_url(ngx_http_request_t *r, ngx_http_request_t *, u_char *text, size_t length) {
    std::string url = oidc::log_safe(of(r)->url().substr(0, of(r)->url().find('?')), 200);
    return ngx_snprintf(text, length, ", call to the provider: \"%s\"", url.c_str());
}

u_char *LocationFetch::on_log(ngx_log_t *log, u_char *text, size_t length) {
    auto *context = static_cast<ngx_http_log_ctx_t *>(log->data);
    u_char *end = text + length;
    if (log->action != nullptr) {
        text = ngx_snprintf(text, static_cast<size_t>(end - text), " while %s", log->action);
    }
    ngx_http_request_t *r = context->current_request;
    return r ? log_url(r, r, text, static_cast<size_t>(end - text)) : text;
}

// Nothing comes from this connection. Active and not ready: no event method is ever asked to watch it.
void LocationFetch::open_line() {
    pool_.reset(checked(ngx_create_pool(1024, ngx_cycle->log)));
    line_.log = *ngx_cycle->log;
    line_.log.data = &line_.log_context;
    line_.log.handler = on_log;
    line_.address.sin_family = AF_INET;
    line_.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ngx_connection_t &c = line_.connection;
    for (ngx_event_t *event : {&line_.read, &line_.write}) {
        event->data = &c;
        event->log = &line_.log;
        event->handler = on_event;
        event->active = 1;
    }
    line_.write.write = 1;
    c.read = &line_.read;
    c.write = &line_.write;
    c.fd = static_cast<ngx_socket_t>(-1);
    c.data = &line_.hc;
    c.pool = pool_.get();
    c.log = &line_.log;
    c.number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    c.log->connection = c.number;
    c.log_error = NGX_ERROR_INFO;
    c.sockaddr = c.local_sockaddr = reinterpret_cast<sockaddr *>(&line_.address);
    c.socklen = c.local_socklen = sizeof(line_.address);
    c.addr_text = borrow("127.0.0.1");
}

void LocationFetch::add_header(std::string_view name, std::string_view value) {
    auto *header = static_cast<ngx_table_elt_t *>(checked(ngx_list_push(&main_->headers_in.headers)));
    ngx_memzero(header, sizeof(ngx_table_elt_t));
    header->key = copy(main_->pool, name);
    header->value = copy(main_->pool, value);
    header->lowcase_key = static_cast<u_char *>(checked(ngx_pnalloc(main_->pool, name.size())));
    header->hash = ngx_hash_strlow(header->lowcase_key, header->key.data, name.size());
    std::string_view lower(reinterpret_cast<char *>(header->lowcase_key), name.size());
    if (lower == "authorization") {
        main_->headers_in.authorization = header;
    } else if (lower == "content-type") {
        main_->headers_in.content_type = header;
    }
}

void LocationFetch::set_body() {
    auto *body =
        static_cast<ngx_http_request_body_t *>(checked(ngx_pcalloc(main_->pool, sizeof(ngx_http_request_body_t))));
    ngx_buf_t *buffer = checked(ngx_create_temp_buf(main_->pool, request_.body.size() + 1));
    buffer->last = ngx_cpymem(buffer->last, request_.body.data(), request_.body.size());
    buffer->last_buf = 1;
    body->bufs = checked(ngx_alloc_chain_link(main_->pool));
    body->bufs->buf = body->buf = buffer;
    body->bufs->next = nullptr;
    main_->request_body = body;
    main_->headers_in.content_length_n = static_cast<off_t>(request_.body.size());
}

// Headers and body are ours alone: nothing of whoever asked goes to the provider.
void LocationFetch::make_request() {
    main_ = checked(ngx_http_create_request(&line_.connection));
    line_.connection.data = main_;
    main_->log_handler = log_url;
    main_->logged = 1;
    main_->blocked = 1;  // whatever happens in the call, nginx does not free the request: we do
    main_->write_event_handler = entry<&LocationFetch::on_main>;
    main_->http_version = NGX_HTTP_VERSION_11;
    main_->http_protocol = borrow("HTTP/1.1");
    main_->internal = 1;
    main_->uri = main_->unparsed_uri = copy(main_->pool, options_.location);
    if (ngx_list_init(&main_->headers_in.headers, main_->pool, 8, sizeof(ngx_table_elt_t)) != NGX_OK) {
        throw std::bad_alloc();
    }
#if (nginx_version < 1023000)
    ngx_array_init(&main_->headers_in.cookies, main_->pool, 1, sizeof(ngx_table_elt_t *));
#endif
    add_header("User-Agent", "nginx-auth-oidc");
    for (const auto &[name, value] : request_.headers) {
        add_header(name, value);
    }
    bool posts = request_.method == "POST";
    if (posts) {
        set_body();
    }
    main_->method = posts ? NGX_HTTP_POST : NGX_HTTP_GET;
    main_->method_name = copy(main_->pool, request_.method);
}

void LocationFetch::begin() {
    if (line_.hc.conf_ctx == nullptr) {
        failure_ = "no server uses the provider: " + where() + " is nowhere";
        return deliver();
    }
    open_line();
    make_request();
    post_ = {on_done, this};
    ngx_str_t uri = main_->uri;
    constexpr ngx_uint_t flags = NGX_HTTP_SUBREQUEST_WAITED | NGX_HTTP_SUBREQUEST_IN_MEMORY;
    if (ngx_http_subrequest(main_, &uri, nullptr, &call_, &post_, flags) != NGX_OK) {
        throw std::bad_alloc();
    }
    call_->method = main_->method;
    call_->method_name = main_->method_name;
    alarm_.after(options_.connect_timeout + options_.read_timeout);
    ngx_http_run_posted_requests(&line_.connection);
}

// Called twice where nginx makes an error page of the status: the first one counts. What nginx takes for the end of a
// client is only the end of the call.
ngx_int_t LocationFetch::on_done(ngx_http_request_t *sr, void *self, ngx_int_t status) {
    auto *fetch = static_cast<LocationFetch *>(self);
    if (fetch->status_ == NGX_OK) {
        fetch->status_ = status;
    }
    bool broken = status == NGX_ERROR || sr->connection->error;
    if (!broken && status != NGX_HTTP_REQUEST_TIME_OUT && status != NGX_HTTP_CLIENT_CLOSED_REQUEST) {
        return status;
    }
    fetch->status_ = fetch->status_ == NGX_OK ? NGX_ERROR : fetch->status_;
    sr->connection->error = 0;
    sr->buffered = 0;
    return NGX_OK;
}

// Posted when the call is over. Its stack may still hold the connection: the end is told later.
void LocationFetch::on_main(ngx_http_request_t *r) {
    LocationFetch *fetch = of(r);
    if (fetch->call_ != nullptr && fetch->call_->done && !fetch->ended_) {
        fetch->ended_ = true;
        fetch->alarm_.cancel();
        fetch->alarm_.soon();
    }
}

void LocationFetch::on_alarm() {
    try {
        if (!std::exchange(begun_, true)) {
            return begin();
        }
        if (ended_ && call_ != nullptr) {
            collect();
        } else {
            failure_ = "timed out: no complete answer from " + where() + " within " +
                       std::to_string(options_.connect_timeout + options_.read_timeout) + " ms";
        }
    } catch (const std::exception &) {
        failure_ = "out of memory";
    }
    leave();
    deliver();
}

// nginx itself says only that the answer was too big.
std::string LocationFetch::explain_error() const {
    auto *core = static_cast<ngx_http_core_loc_conf_t *>(ngx_http_get_module_loc_conf(call_, ngx_http_core_module));
    size_t most = core->subrequest_output_buffer_size;
    bool announced = call_->headers_out.content_length_n > static_cast<off_t>(most);
    bool filled = call_->out != nullptr && call_->headers_out.content_length_n == -1;
    if (announced || filled) {
        return "the answer does not fit into " + where() + ": its subrequest_output_buffer_size is " +
               std::to_string(most) + " bytes" +
               (announced ? " and the answer has " + std::to_string(call_->headers_out.content_length_n) : "") +
               ", write a larger one there, for example 64k";
    }
    if (status_ >= NGX_HTTP_SPECIAL_RESPONSE) {
        return where() + " itself answered " + std::to_string(status_) + ", its own log lines say why";
    }
    return where() + " gave no complete answer, its own log lines say why";
}

void LocationFetch::collect() {
    if (status_ != NGX_OK) {
        failure_ = explain_error();
        return;
    }
    ngx_http_request_t *call = call_;
    reply_.status = static_cast<int>(call->headers_out.status);
    if (call->headers_out.content_type.len != 0) {
        reply_.headers.emplace_back("content-type", std::string(view(call->headers_out.content_type)));
    }
    for (ngx_list_part_t *part = &call->headers_out.headers.part; part != nullptr; part = part->next) {
        auto *elements = static_cast<ngx_table_elt_t *>(part->elts);
        for (ngx_uint_t i = 0; i < part->nelts && reply_.headers.size() < max_headers; i++) {
            if (elements[i].hash == 0) {
                continue;
            }
            std::string name(view(elements[i].key));
            std::transform(name.begin(), name.end(), name.begin(), [](u_char c) { return ngx_tolower(c); });
            reply_.headers.emplace_back(std::move(name), std::string(view(elements[i].value)));
        }
    }
    for (ngx_chain_t *link = call->out; link != nullptr; link = link->next) {
        auto size = static_cast<size_t>(link->buf->last - link->buf->pos);
        if (size > request_.max_reply - reply_.body.size()) {
            failure_ = "the answer is larger than " + std::to_string(request_.max_reply) + " bytes";
            return;
        }
        reply_.body.append(reinterpret_cast<char *>(link->buf->pos), size);
    }
}

void LocationFetch::deliver() {
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

// Ends the call wherever it is: its clean-up closes the connection to the upstream.
void LocationFetch::leave() noexcept {
    alarm_.cancel();
    if (main_ == nullptr) {
        return;
    }
    ngx_http_request_t *over = std::exchange(main_, nullptr);
    call_ = nullptr;
    ngx_http_free_request(over, 0);
    for (ngx_event_t *event : {&line_.read, &line_.write}) {
        if (event->timer_set) {
            ngx_del_timer(event);
        }
        if (event->posted) {
            ngx_delete_posted_event(event);
        }
    }
}

}  // namespace

std::unique_ptr<Fetch> fetch_through_location(Request request, const FetchOptions &options, Fetch::Done done,
                                              ngx_http_request_t *asker) {
    ngx_http_conf_ctx_t *server = options.home;
    if (asker != nullptr) {
        server =
            static_cast<ngx_http_core_srv_conf_t *>(ngx_http_get_module_srv_conf(asker, ngx_http_core_module))->ctx;
    }
    return std::make_unique<LocationFetch>(std::move(request), options, std::move(done), server);
}

const std::string *location_call_url(const ngx_http_request_t *r) {
    bool ours = r != r->main && r->main->log_handler == LocationFetch::log_url;
    return ours ? &LocationFetch::of(r)->url() : nullptr;
}

}  // namespace auth_oidc
