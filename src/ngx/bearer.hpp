// Access tokens in place of a session (auth_oidc_bearer): how a location takes them, and what a request with one gets.
#pragma once

#include <string>
#include <vector>

#include "../oidc/access_token.hpp"
#include "request.hpp"

namespace auth_oidc {

// auth_oidc_bearer, as it was written.
struct BearerConf {
    bool on = false, only = false;  // only: sessions do not count here
    bool jwt_type = false;
    std::vector<std::string> audiences, scopes;
    std::string resource;      // of RFC 9728, or empty
    std::string metadata_url;  // where its metadata is, absolute
    std::string rules;         // audiences and type rule as bytes: part of the keys of the caches
    Where where;
};

char *set_bearer(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
// What server and worker have to know of it. Runs when the location's providers are known.
void merge_bearer(ngx_conf_t *cf, LocationConf &location);
// The metadata of a server's resources gets its paths there.
char *add_resources(ngx_conf_t *cf, ServerConf &server);
// The caches, where any location takes tokens.
void complete_bearer(ngx_conf_t *cf, MainConf &main);

inline bool takes_only_tokens(const LocationConf &location) {
    return location.bearer != nullptr && location.bearer->only;
}

// The request's token, held against the providers of the location. NGX_OK: it is good, and context.session is its.
// NGX_DECLINED: there is none. NGX_AGAIN: the phases will run again. Anything else is the answer.
ngx_int_t find_token(ngx_http_request_t *r, Context &context, const std::vector<Provider *> &providers);

// The answer of RFC 6750 3.1 by the error's status, and one line in the log.
ngx_int_t refuse_token(ngx_http_request_t *r, const Provider &provider, const oidc::Error &error);
ngx_int_t refuse_query_token(ngx_http_request_t *r, const Provider &provider);

// "Bearer realm=..." with what RFC 9728 and RFC 6750 3 put beside it here; more may follow behind a comma.
std::string challenge_of(ngx_http_request_t *r, const Provider &provider);

}  // namespace auth_oidc
