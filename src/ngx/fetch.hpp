// HTTP to a provider: libcurl's multi interface in the worker's event loop. Nothing here ever blocks.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "../oidc/http.hpp"
#include "ngx.hpp"

namespace auth_oidc {

// How to talk to one provider. Files were checked when the configuration was read.
struct FetchOptions {
    std::string ca_file;  // empty: the system's bundle
    std::string crl_file;
    std::string certificate, certificate_key;  // PEM texts: a worker may not be allowed to read the key's file
    std::string proxy;                         // empty: none; the environment is not read
    std::string ssl_name;                      // empty: the URL's host
    std::string location;                      // proxy_location: calls go through it, and the above is for it to say
    ngx_http_conf_ctx_t *home = nullptr;       // the server whose location that is, for calls that belong to no request
    bool verify = true;
    ngx_msec_t connect_timeout = 5000;  // with TLS
    ngx_msec_t read_timeout = 10000;    // the whole answer
};

// A transfer that runs. Destroying it ends it; `done` is not called then. `done` is called at most once, never from
// inside start() and never on libcurl's stack, and may destroy the Fetch. A failure is a Reply with status 0.
class Fetch {
public:
    using Done = std::function<void(oidc::http::Reply &reply)>;
    // The options must outlive the transfer. A transfer that cannot even be set up fails through `done` too. `asker`:
    // in whose server the location is looked for; null: at home.
    static std::unique_ptr<Fetch> start(oidc::http::Request request, const FetchOptions &options, Done done,
                                        ngx_http_request_t *asker = nullptr);
    virtual ~Fetch() = default;
};

// One multi per worker.
ngx_int_t fetch_init_process(ngx_cycle_t *cycle);
void fetch_exit_process();

}  // namespace auth_oidc
