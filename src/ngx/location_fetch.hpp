// HTTP to a provider through a location of the site (proxy_location), which passes it on with proxy_pass
// $oidc_idp_request_uri.
#pragma once

#include <memory>

#include "fetch.hpp"

namespace auth_oidc {

// The same promises as Fetch::start. The call is a subrequest of a request of its own, without a client: what belongs
// to the worker must not end with whoever asked first.
std::unique_ptr<Fetch> fetch_through_location(oidc::http::Request request, const FetchOptions &options,
                                              Fetch::Done done, ngx_http_request_t *asker);

// The URL that a call of ours is about; null where r is no such call.
const std::string *location_call_url(const ngx_http_request_t *r);

}  // namespace auth_oidc
