// auth_oidc_page: a page of the site in place of one of ours.
#pragma once

#include "request.hpp"

namespace auth_oidc {

char *set_page(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void merge_pages(const LocationConf &above, LocationConf &here);

// The site's page with this status, or NGX_DECLINED where it has none. `login_url` and `target` are what
// $oidc_login_url and $oidc_return_to say there; empty: what they say anyway.
struct PageFacts {
    ngx_uint_t status = NGX_HTTP_OK;
    std::string login_url{}, target{};
};
ngx_int_t send_site_page(ngx_http_request_t *r, SitePage page, const PageFacts &facts);
// The request was sent to such a page by us: nobody is asked to sign in to see it.
bool shows_site_page(ngx_http_request_t *r);

}  // namespace auth_oidc
