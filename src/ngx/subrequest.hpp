// An exchange with the provider as a subrequest of the callback: the subrequest's content is a Fetch.
#pragma once

#include <memory>

#include "../oidc/http.hpp"
#include "fetch.hpp"
#include "ngx.hpp"

namespace auth_oidc {

// One exchange. Lives as long as the request that waits for it; when it goes, the transfer ends.
struct SubFetch {
    oidc::http::Request request;
    const FetchOptions *options = nullptr;
    std::unique_ptr<Fetch> fetch;
    oidc::http::Reply reply;
    bool done = false;
};

// Starts `exchange` in a subrequest of r. Afterwards the phases of r run again, with exchange.done set. NGX_AGAIN, or
// NGX_ERROR.
ngx_int_t run_in_subrequest(ngx_http_request_t *r, SubFetch &exchange);

}  // namespace auth_oidc
