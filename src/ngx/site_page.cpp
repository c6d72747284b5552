#include "site_page.hpp"

#include "config_values.hpp"

namespace auth_oidc {
namespace {

constexpr std::string_view names[] = {"signin", "error", "signed_out"};

}  // namespace

char *set_page(ngx_conf_t *cf, ngx_command_t *, void *conf) {
    auto &location = *static_cast<LocationConf *>(conf);
    std::string_view name = view(arguments(cf)[1]), uri = view(arguments(cf)[2]);
    for (size_t i = 0; i < std::size(names); i++) {
        if (name != names[i]) {
            continue;
        }
        if (location.pages[i].len != 0) {
            return conf_error(cf, "\"auth_oidc_page " + std::string(name) + "\" is given twice: remove one of them");
        }
        if (!oidc::starts_with(uri, "/") || oidc::starts_with(uri, "//")) {
            return conf_error(cf, "invalid value \"" + std::string(uri) +
                                      "\" in \"auth_oidc_page\", write a path of this site that begins with \"/\"");
        }
        location.pages[i] = arguments(cf)[2];
        return static_cast<char *>(NGX_CONF_OK);
    }
    return conf_error(cf, "invalid value \"" + std::string(name) +
                              "\" in \"auth_oidc_page\", it must be \"signin\", \"error\" or \"signed_out\"");
}

void merge_pages(const LocationConf &above, LocationConf &here) {
    for (size_t i = 0; i < std::size(names); i++) {
        if (here.pages[i].len == 0) {
            here.pages[i] = above.pages[i];
        }
    }
}

ngx_int_t send_site_page(ngx_http_request_t *r, SitePage page, const PageFacts &facts) {
    Context &context = ensure_context(r);
    ngx_str_t uri = location_conf(r)->pages[static_cast<size_t>(page)];
    if (uri.len == 0 || context.site_page) {
        return NGX_DECLINED;
    }
    context.site_page = true;
    context.page_login_url = facts.login_url;
    context.page_target = facts.target;
    add_header(r, "Cache-Control", "no-store");
    ngx_int_t discarded = ngx_http_discard_request_body(r);
    if (discarded != NGX_OK) {
        return finish(r, discarded);
    }
    // As error_page does: the page's own handler sends it, with our status.
    r->err_status = facts.status == NGX_HTTP_OK ? 0 : facts.status;
    if (r->method != NGX_HTTP_HEAD) {
        r->method = NGX_HTTP_GET;
        r->method_name = ngx_http_core_get_method;
    }
    ngx_str_t path = uri, args{};
    ngx_uint_t flags = NGX_HTTP_LOG_UNSAFE;
    if (ngx_http_parse_unsafe_uri(r, &path, &args, &flags) != NGX_OK) {
        return finish(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
    }
    return finish(r, ngx_http_internal_redirect(r, &path, &args));
}

bool shows_site_page(ngx_http_request_t *r) {
    Context *context = r->main->internal ? get_context(r) : nullptr;
    return context != nullptr && context->site_page;
}

}  // namespace auth_oidc
