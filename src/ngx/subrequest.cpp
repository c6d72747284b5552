#include "subrequest.hpp"

namespace auth_oidc {
namespace {

void finish(ngx_http_request_t *sr, SubFetch &exchange, oidc::http::Reply &reply) {
    ngx_connection_t *c = sr->connection;
    ngx_http_set_log_request(c->log, sr);
    exchange.reply = std::move(reply);
    exchange.done = true;
    std::unique_ptr<Fetch> over = std::move(exchange.fetch);  // ends after the parent was woken, not under its own feet
    ngx_http_finalize_request(sr, NGX_OK);
    ngx_http_run_posted_requests(c);
}

void on_start(ngx_http_request_t *sr) {
    auto *exchange = static_cast<SubFetch *>(ngx_http_get_module_ctx(sr, ngx_http_auth_oidc_module));
    sr->write_event_handler = ngx_http_request_empty_handler;
    sr->read_event_handler =
        ngx_http_test_reading;  // a client that leaves is noticed here: sr is the connection's data
    exchange->fetch = Fetch::start(
        std::move(exchange->request), *exchange->options,
        [sr, exchange](oidc::http::Reply &reply) { finish(sr, *exchange, reply); }, sr);
}

}  // namespace

ngx_int_t run_in_subrequest(ngx_http_request_t *r, SubFetch &exchange) {
    ngx_http_request_t *sr = nullptr;
    ngx_str_t uri = r->uri;
    exchange.done = false;
    constexpr ngx_uint_t flags = NGX_HTTP_SUBREQUEST_WAITED | NGX_HTTP_SUBREQUEST_IN_MEMORY;
    if (ngx_http_subrequest(r, &uri, nullptr, &sr, nullptr, flags) != NGX_OK) {
        return NGX_ERROR;
    }
    // The call only posted the subrequest: with this handler it never enters the phases and needs no location.
    sr->write_event_handler = entry<&on_start>;
    ngx_http_set_ctx(sr, &exchange, ngx_http_auth_oidc_module);
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;
    return NGX_AGAIN;
}

}  // namespace auth_oidc
