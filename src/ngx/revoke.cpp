// Token revocation (RFC 7009): sent by the worker after a sign-out, while the browser is long on its way.
#include <algorithm>

#include "../oidc/protocol.hpp"
#include "endpoints.hpp"

namespace auth_oidc {
namespace {

constexpr size_t max_calls = 64;  // at once: a provider that hangs does not pile them up

void note(const Provider &provider, const oidc::http::Reply &reply) {
    if (reply.status == 200) {
        return;
    }
    std::string found = reply.status == 0 ? reply.failure : "status " + std::to_string(reply.status);
    ngx_str_t name = provider.name;
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "auth_oidc: a token could not be revoked, provider \"%V\": %s", &name,
                  found.c_str());
}

void call(Provider &provider, oidc::http::Request request) {
    auto self = std::make_shared<const Fetch *>(nullptr);
    auto fetch = Fetch::start(std::move(request), provider.fetch, [&provider, self](oidc::http::Reply &reply) {
        note(provider, reply);
        auto &calls = provider.calls;
        calls.erase(std::remove_if(calls.begin(), calls.end(), [&self](const auto &one) { return one.get() == *self; }),
                    calls.end());
    });
    *self = fetch.get();
    provider.calls.push_back(std::move(fetch));
}

}  // namespace

void revoke_tokens(ngx_http_request_t *r, Provider &provider, const oidc::SessionView &session) {
    auto data = provider.keyring->current(Need::metadata);
    if (!data || data->metadata.revocation_endpoint.empty()) {
        return;
    }
    struct {
        oidc::Field field;
        const char *hint;
    } rows[] = {{oidc::Field::refresh_token, "refresh_token"}, {oidc::Field::access_token, "access_token"}};
    for (const auto &row : rows) {
        std::string_view token = session.field(row.field);
        if (token.empty() || provider.calls.size() >= max_calls) {
            continue;
        }
        auto request = oidc::revocation_request(provider.client, data->metadata, {token, row.hint}, ngx_time());
        if (request) {
            call(provider, std::move(*request));
        } else {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "auth_oidc: a token could not be revoked: %s",
                          request.error().text.c_str());
        }
    }
}

}  // namespace auth_oidc
