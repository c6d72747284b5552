#include "body.hpp"

namespace auth_oidc {

class Body {
public:
    std::string text;
    bool done = false;
    ngx_int_t failed = NGX_OK;
};

namespace {

bool is_form(ngx_http_request_t *r) {
    if (r->headers_in.content_type == nullptr) {
        return false;
    }
    std::string_view type = view(r->headers_in.content_type->value);
    constexpr std::string_view form = "application/x-www-form-urlencoded";
    return type.size() >= form.size() &&
           ngx_strncasecmp(r->headers_in.content_type->value.data, borrow(form).data, form.size()) == 0 &&
           (type.size() == form.size() || type[form.size()] == ';' || type[form.size()] == ' ');
}

// Moves what has arrived into our text and gives the buffers back.
void take(ngx_http_request_t *r, Body &body) {
    ngx_chain_t *chain = r->request_body->bufs;
    for (; chain != nullptr; chain = chain->next) {
        ngx_buf_t *buffer = chain->buf;
        if (ngx_buf_in_memory(buffer)) {
            body.text.append(reinterpret_cast<char *>(buffer->pos), static_cast<size_t>(buffer->last - buffer->pos));
            buffer->pos = buffer->last;
        }
    }
    r->request_body->bufs = nullptr;
    if (body.text.size() > max_body) {
        body.failed = NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
}

// Reads until everything is there or nothing more has come. True: it is over, well or badly. nginx gives its buffer
// back only when the next call finds it read, and no event tells of what already lies in the socket: so this goes on by
// itself.
bool pump(ngx_http_request_t *r, Body &body) {
    for (;;) {
        size_t before = body.text.size();
        ngx_int_t got = ngx_http_read_unbuffered_request_body(r);
        if (got >= NGX_HTTP_SPECIAL_RESPONSE || got == NGX_ERROR) {
            body.failed = got == NGX_ERROR ? NGX_HTTP_BAD_REQUEST : got;
            return true;
        }
        take(r, body);
        if (!r->reading_body || body.failed != NGX_OK) {
            return true;
        }
        if (body.text.size() == before) {
            return false;
        }
    }
}

void on_more(ngx_http_request_t *r) {
    Body &body = *ensure_context(r).body;
    if (r->connection->read->timedout) {
        r->connection->timedout = 1;
        body.failed = NGX_HTTP_REQUEST_TIME_OUT;
    } else if (!pump(r, body)) {
        return;
    }
    body.done = true;
    resume(r);
}

// Called by nginx with what had arrived already, possibly from inside ngx_http_read_client_request_body.
void on_first(ngx_http_request_t *r) {
    Body &body = *ensure_context(r).body;
    take(r, body);
    body.done = !r->reading_body || body.failed != NGX_OK || pump(r, body);
    if (!body.done) {
        r->read_event_handler = entry<&on_more>;
    }
}

}  // namespace

ngx_int_t read_form(ngx_http_request_t *r, Context &context, std::string &text) {
    if (context.body == nullptr) {
        if (!is_form(r)) {
            return NGX_HTTP_UNSUPPORTED_MEDIA_TYPE;
        }
        if (r->headers_in.content_length_n > static_cast<off_t>(max_body)) {
            return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
        }
        context.body = std::make_shared<Body>();
        r->request_body_no_buffering = 1;
        ngx_int_t started = ngx_http_read_client_request_body(r, entry<&on_first>);
        if (started >= NGX_HTTP_SPECIAL_RESPONSE) {
            return started;
        }
        r->main->count--;  // the reference of the read; the phases hold their own
        if (!context.body->done) {
            r->write_event_handler = ngx_http_request_empty_handler;
            return NGX_AGAIN;
        }
    }
    if (!context.body->done) {
        return NGX_AGAIN;
    }
    text = context.body->text;  // a copy: after another wait it is asked for again
    return context.body->failed;
}

ngx_int_t refuse_form(ngx_http_request_t *r, ngx_int_t status) {
    Failure failure;
    failure.error = oidc::browser_error("form", "the body is no form of at most 64 KB", static_cast<int>(status));
    failure.action = "request";
    return fail(r, failure);
}

}  // namespace auth_oidc
