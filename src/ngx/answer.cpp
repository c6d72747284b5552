// Answers of ours: redirects, pages, JSON, and what a failure looks like in the log and on the screen.
#include "../oidc/text.hpp"
#include "request.hpp"
#include "site_page.hpp"

namespace auth_oidc {
namespace {

ngx_uint_t status_of(const oidc::Error &error) {
    if (error.status != 0) {
        return static_cast<ngx_uint_t>(error.status);
    }
    switch (error.fault) {
        case oidc::Fault::browser:
            return NGX_HTTP_BAD_REQUEST;
        case oidc::Fault::provider:
            return NGX_HTTP_BAD_GATEWAY;
        case oidc::Fault::us:
            break;
    }
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}

struct FaultWords {
    ngx_uint_t level;
    const char *name;
};
FaultWords words_of(oidc::Fault fault) {
    switch (fault) {
        case oidc::Fault::browser:
            return {NGX_LOG_INFO, "browser"};
        case oidc::Fault::provider:
            return {NGX_LOG_ERR, "provider"};
        case oidc::Fault::us:
            break;
    }
    return {NGX_LOG_CRIT, "us"};
}

struct StatusWords {
    std::string_view title, what, next;
};
StatusWords explain(ngx_uint_t status) {
    switch (status) {
        case NGX_HTTP_FORBIDDEN:
            return {"Sign-in was refused", "The sign-in service did not let you in, or the sign-in was cancelled.",
                    "Sign in again, perhaps with another account, or ask the people who run this site."};
        case NGX_HTTP_MISDIRECTED_REQUEST:
            return {"Wrong address", "This server does not know itself under the name in your address bar.",
                    "Use the address that you were given for this site."};
        case NGX_HTTP_SERVICE_UNAVAILABLE:
            return {"Sign-in is not available", "The sign-in service cannot be reached at the moment.",
                    "Wait a little and load this page again."};
        case NGX_HTTP_BAD_GATEWAY:
        case NGX_HTTP_GATEWAY_TIME_OUT:
            return {"Sign-in did not work", "The sign-in service gave an answer that cannot be used.",
                    "Sign in again; if it fails once more, tell the people who run this site."};
        case NGX_HTTP_INTERNAL_SERVER_ERROR:
            return {"Something is wrong here", "This server could not complete the sign-in.",
                    "Tell the people who run this site, with the problem number below."};
        default:
            return {"This sign-in cannot go on",
                    "The sign-in is too old, was used before, or did not begin in this browser.",
                    "Try once more; if that does not help, tell the people who run this site."};
    }
}

// Short, and easily read out over a telephone.
std::string hex(std::string_view bytes) {
    std::string text;
    for (unsigned char byte : bytes) {
        text += "0123456789abcdef"[byte >> 4];
        text += "0123456789abcdef"[byte & 15];
    }
    return text;
}

bool has_error_page(ngx_http_request_t *r, ngx_uint_t status) {
    auto *core = static_cast<ngx_http_core_loc_conf_t *>(ngx_http_get_module_loc_conf(r, ngx_http_core_module));
    if (r->error_page || core->error_pages == nullptr) {
        return false;
    }
    auto *pages = static_cast<ngx_http_err_page_t *>(core->error_pages->elts);
    for (ngx_uint_t i = 0; i < core->error_pages->nelts; i++) {
        if (pages[i].status == static_cast<ngx_int_t>(status)) {
            return true;
        }
    }
    return false;
}

void log_failure(ngx_http_request_t *r, const Failure &failure, std::string_view problem) {
    FaultWords words = words_of(failure.error.fault);
    ngx_str_t provider = failure.provider ? failure.provider->name : ngx_str_t(ngx_string("-"));
    ngx_str_t id = borrow(problem), rule = borrow(failure.error.rule), text = borrow(failure.error.text);
    ngx_log_error(words.level, r->connection->log, 0,
                  "auth_oidc: %s failed, provider \"%V\", problem %V, fault %s, rule %V: %V", failure.action, &provider,
                  &id, words.name, &rule, &text);
}

ngx_int_t send_body(ngx_http_request_t *r, const std::string &body) {
    if (body.empty()) {
        return ngx_http_send_special(r, NGX_HTTP_LAST);  // nginx takes an empty buffer of memory for a mistake
    }
    ngx_buf_t *buffer = ngx_create_temp_buf(r->pool, body.size());
    if (buffer == nullptr) {
        return NGX_ERROR;
    }
    buffer->last = ngx_cpymem(buffer->last, body.data(), body.size());
    buffer->last_buf = r == r->main;
    buffer->last_in_chain = 1;
    ngx_chain_t chain = {buffer, nullptr};
    return ngx_http_output_filter(r, &chain);
}

// A challenge of auth_basic under `satisfy any` would open a password box over our answer.
void drop_challenge(ngx_http_request_t *r) {
    if (r->headers_out.www_authenticate != nullptr) {
        r->headers_out.www_authenticate->hash = 0;
        r->headers_out.www_authenticate = nullptr;
    }
}

}  // namespace

ngx_int_t finish(ngx_http_request_t *r, ngx_int_t status) {
    ngx_http_finalize_request(r, status);
    return NGX_DONE;
}

void set_own_headers(ngx_http_request_t *r, const Answer &answer) {
    ensure_context(r).own_answer = true;
    r->disable_not_modified = 1;  // no condition of the request's makes a 304 or 412 of it
    add_header(r, "Cache-Control", "no-store");
    add_header(r, "X-Content-Type-Options", "nosniff");
    add_header(r, "Referrer-Policy", "no-referrer");
    std::string policy = answer.policy;
    if (policy.empty()) {
        policy = answer.ancestors.empty() ? page_policy(answer.form_targets, answer.framed, answer.script)
                                          : "default-src 'none'; frame-ancestors " + answer.ancestors;
    }
    add_header(r, "Content-Security-Policy", policy);
}

ngx_int_t send_redirect(ngx_http_request_t *r, std::string_view url) {
    ngx_int_t discarded = ngx_http_discard_request_body(r);
    if (discarded != NGX_OK) {
        return finish(r, discarded);
    }
    drop_challenge(r);
    set_own_headers(r, Answer());
    ngx_http_clear_location(r);
    add_header(r, "Location", url);
    r->headers_out.status = NGX_HTTP_MOVED_TEMPORARILY;
    r->headers_out.content_length_n = 0;
    ngx_int_t sent = ngx_http_send_header(r);
    if (sent == NGX_ERROR || sent > NGX_OK || r->header_only) {
        return finish(r, sent);
    }
    return finish(r, ngx_http_send_special(r, NGX_HTTP_LAST));
}

ngx_int_t send_answer(ngx_http_request_t *r, const Answer &answer) {
    ngx_int_t discarded = ngx_http_discard_request_body(r);
    if (discarded != NGX_OK) {
        return finish(r, discarded);
    }
    drop_challenge(r);
    set_own_headers(r, answer);
    r->headers_out.status = answer.status;
    r->headers_out.content_type = copy(r->pool, answer.type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_length_n = static_cast<off_t>(answer.body.size());
    ngx_int_t sent = ngx_http_send_header(r);
    if (sent == NGX_ERROR || sent > NGX_OK || r->header_only) {
        return finish(r, sent);
    }
    return finish(r, send_body(r, answer.body));
}

bool is_taken_over(ngx_http_request_t *r, ngx_uint_t status) {
    if (!has_error_page(r, status)) {
        return false;
    }
    drop_challenge(r);
    return true;
}

ngx_int_t fail(ngx_http_request_t *r, const Failure &failure) {
    Context &context = ensure_context(r);
    std::string problem = hex(oidc::random_bytes(4));
    context.status = failure.error.status == NGX_HTTP_FORBIDDEN ? "refused" : "error";
    context.error = failure.error.rule;
    context.error_description = failure.error.text;
    log_failure(r, failure, problem);
    ngx_uint_t status = status_of(failure.error);
    if (failure.retry_after != 0) {
        add_header(r, "Retry-After", std::to_string(failure.retry_after));
    }
    ngx_int_t site = send_site_page(r, SitePage::error, {status, failure.retry_url});
    if (site != NGX_DECLINED) {
        return site;
    }
    if (is_taken_over(r, status)) {
        return static_cast<ngx_int_t>(status);
    }
    StatusWords words = explain(status);
    ErrorPage page;
    page.status = static_cast<unsigned>(status);
    page.title = failure.title.empty() ? words.title : std::string_view(failure.title);
    page.what = failure.explanation.empty() ? words.what : std::string_view(failure.explanation);
    page.next = words.next;
    page.problem = problem;
    if (!failure.retry_url.empty()) {
        page.links.push_back(
            {failure.retry_text.empty() ? "Sign in again" : std::string_view(failure.retry_text), failure.retry_url});
    }
    return send_answer(r, {status, "text/html; charset=utf-8", error_page(page), {}});
}

ngx_int_t fail_store(ngx_http_request_t *r, const Provider *provider, const char *action) {
    Failure failure;
    failure.provider = provider;
    failure.error = oidc::our_error("session_store", "the session store gives no answer", NGX_HTTP_SERVICE_UNAVAILABLE);
    failure.action = action;
    failure.retry_after = 1;
    return fail(r, failure);
}

}  // namespace auth_oidc
