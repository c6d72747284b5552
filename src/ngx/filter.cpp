// The header filter: a session cookie that changed while the request was served goes out with the answer, and no cache
// keeps an answer that has a cookie of ours.
#include "cookies.hpp"
#include "lookup.hpp"

extern "C" ngx_module_t ngx_http_auth_oidc_filter_module;

namespace auth_oidc {
namespace {

ngx_http_output_header_filter_pt next_filter;

// Whoever was signed out meanwhile gets no cookie.
bool still_lives(ngx_http_request_t *r, const Provider &provider, std::string_view cookie) {
    StoreCall call;
    prepare_call(r, call, provider, cookie);
    call.done = [](StoreCall *) {};
    return call.store->ops->find(&call) == NGX_AGAIN || call.answer == Stored::found;
}

void send_new_cookie(ngx_http_request_t *r, Context &context) {
    const std::string cookie = std::exchange(context.new_cookie, std::string());
    const Provider &provider = *context.session.provider;
    if (still_lives(r, provider, cookie)) {
        auto base = base_url(r, &provider);
        set_session_cookie(r, provider, cookie, base && is_secure(*base));
    }
}

bool is_about_caching(const ngx_table_elt_t &header) {
    for (std::string_view name : {"Cache-Control", "Expires"}) {
        if (header.key.len == name.size() && ngx_strncasecmp(header.key.data, borrow(name).data, name.size()) == 0) {
            return true;
        }
    }
    return false;
}

void keep_private(ngx_http_request_t *r) {
    for (ngx_list_part_t *part = &r->headers_out.headers.part; part != nullptr; part = part->next) {
        auto *elements = static_cast<ngx_table_elt_t *>(part->elts);
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (is_about_caching(elements[i])) {
                elements[i].hash = 0;
            }
        }
    }
    r->headers_out.expires = nullptr;
#if (nginx_version >= 1023000)
    r->headers_out.cache_control = nullptr;
#else
    r->headers_out.cache_control.nelts = 0;
#endif
    add_header(r, "Cache-Control", "private, no-store");
}

ngx_int_t on_headers(ngx_http_request_t *r) {
    Context *context = r == r->main ? get_context(r) : nullptr;
    if (context == nullptr) {
        return next_filter(r);
    }
    if (!context->new_cookie.empty() && context->session.provider != nullptr) {
        send_new_cookie(r, *context);
    }
    if (context->sets_cookie && !context->own_answer) {
        keep_private(r);
    }
    return next_filter(r);
}

ngx_int_t install(ngx_conf_t *) {
    next_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = entry<&on_headers, NGX_ERROR>;
    return NGX_OK;
}

ngx_http_module_t filter_module = {nullptr, entry<&install, NGX_ERROR>, nullptr, nullptr, nullptr, nullptr, nullptr,
                                   nullptr};

}  // namespace
}  // namespace auth_oidc

extern "C" {
ngx_module_t ngx_http_auth_oidc_filter_module = {
    NGX_MODULE_V1, &auth_oidc::filter_module,
    nullptr,       NGX_HTTP_MODULE,
    nullptr,       nullptr,
    nullptr,       nullptr,
    nullptr,       nullptr,
    nullptr,       NGX_MODULE_V1_PADDING,
};
}
