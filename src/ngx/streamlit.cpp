#include "streamlit.hpp"

#include "../oidc/http.hpp"
#include "../oidc/refresh.hpp"
#include "../oidc/streamlit.hpp"
#include "endpoints.hpp"
#include "headers.hpp"
#include "lookup.hpp"

namespace auth_oidc {
namespace {

// The WebSocket handshake of Streamlit's server dies of a line of about 8,190 bytes.
constexpr size_t max_line = 8000;
constexpr int64_t dated_back = 60;  // seconds: a stamp of the future is refused, and clocks differ

std::string_view kept(const oidc::SessionView &session, oidc::Field field) {
    auto first = session.claim(oidc::frozen_key(field));
    return first ? *first : session.field(field);
}

// What the session was told at login: Streamlit drops the application's state when anything differs at a reconnect.
oidc::StreamlitIdentity identity_of(const oidc::SessionView &session, const Provider &provider) {
    const oidc::SecretsEntry &entry = *provider.entry;
    oidc::StreamlitIdentity identity;
    identity.claims = kept(session, oidc::Field::claims_json);
    identity.provider = view(provider.name);
    identity.has_tokens = entry.expose_id || entry.expose_access;
    identity.id_token = entry.expose_id ? kept(session, oidc::Field::id_token) : std::string_view();
    identity.access_token = entry.expose_access ? kept(session, oidc::Field::access_token) : std::string_view();
    return identity;
}

ngx_int_t refuse_identity(ngx_http_request_t *r, const Provider &provider) {
    Failure failure;
    failure.provider = &provider;
    failure.error = oidc::our_error("streamlit_identity",
                                    "with the identity in it the Cookie line would be longer than 8000 bytes: ask for "
                                    "fewer claims, expose no tokens, or set fewer cookies on this host");
    failure.action = "identity for Streamlit";
    return r == r->main ? fail(r, failure) : NGX_HTTP_INTERNAL_SERVER_ERROR;
}

}  // namespace

void strip_streamlit(ngx_http_request_t *r) {
    strip_cookies(r, oidc::is_streamlit_cookie);
}

ngx_int_t add_streamlit_identity(ngx_http_request_t *r) {
    if (r != r->main) {
        own_cookie_lines(r);  // it shares its parent's, with the parent's identity
        strip_streamlit(r);
    }
    Context *context = location_conf(r)->streamlit == 1 ? get_context(r) : nullptr;
    const oidc::SessionView *session = context ? load_session(r, *context) : nullptr;
    if (session == nullptr || !context->session.provider->entry) {
        return NGX_DECLINED;
    }
    const Provider &provider = *context->session.provider;
    auto origin = base_url(r->main, &provider);
    if (!origin) {
        return NGX_DECLINED;
    }
    oidc::StreamlitIdentity identity = identity_of(*session, provider);
    if (identity.claims.empty()) {
        return NGX_DECLINED;  // an access token's, or a session from before this directive: never half an identity
    }
    identity.origin = *origin;
    size_t used = cookie_bytes(r);
    oidc::StreamlitSeal seal{provider.entry->shared_secret, ngx_time() - dated_back};
    auto pairs = used + 2 < max_line ? oidc::streamlit_cookies(seal, identity, max_line - used - 2) : std::nullopt;
    if (!pairs) {
        return refuse_identity(r, provider);
    }
    append_cookies(r, *pairs);
    return NGX_DECLINED;
}

Provider *file_provider(const Endpoint &endpoint) {
    for (Provider *provider : endpoint.providers) {
        if (provider->entry) {
            return provider;
        }
    }
    return nullptr;
}

std::string app_base(const Provider &provider) {
    return provider.entry->base_path() + "/";
}

Provider *provider_by_token(const Endpoint &endpoint, std::string_view token) {
    for (const Provider *signer : endpoint.providers) {
        if (!signer->entry) {
            continue;
        }
        auto name = oidc::read_provider_token(token, signer->entry->shared_secret, ngx_time());
        for (Provider *provider : endpoint.providers) {
            if (name && provider->entry && *name == view(provider->name) &&
                provider->entry->shared_secret == signer->entry->shared_secret) {
                return provider;
            }
        }
    }
    return nullptr;
}

std::string streamlit_target(ngx_http_request_t *r, const Provider &provider) {
    std::string_view referer = request_header(r, "referer");
    auto url = oidc::http::parse_url(referer.substr(0, referer.find('#')));
    auto origin = url ? base_url(r, &provider) : oidc::Result<std::string>(std::string());
    if (!url || !origin || url->origin() != *origin) {
        return app_base(provider);
    }
    for (const Endpoint &endpoint : server_conf(r)->endpoints) {
        if (endpoint.path == url->path()) {
            return app_base(provider);  // a page of ours is no place to return to
        }
    }
    return safe_target(url->target, app_base(provider));
}

}  // namespace auth_oidc
