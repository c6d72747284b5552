// session_uri: "who am I" for scripts. 200 for strangers too, never a token, and no activity for the idle life.
#include "../oidc/json.hpp"
#include "endpoints.hpp"
#include "lookup.hpp"
#include "signin.hpp"

namespace auth_oidc {
namespace {

std::string quoted_or_null(std::string_view text) {
    return text.empty() ? "null" : "\"" + oidc::json_escape(text) + "\"";
}

// The claims as the provider gave them; from the flat table where the session holds no more.
std::string claims_of(const oidc::SessionView *session) {
    if (session == nullptr) {
        return "null";
    }
    std::string_view claims = session->field(oidc::Field::claims_json);
    if (!claims.empty()) {
        return std::string(claims);
    }
    std::string text = "{";
    for (uint32_t i = 0; i < session->head().claim_count; i++) {
        auto [name, value] = session->claim_at(i);
        if (!name.empty() && static_cast<unsigned char>(name[0]) < 0x20) {
            continue;  // what rules keep for themselves
        }
        text += (text.size() == 1 ? "\"" : ",\"") + oidc::json_escape(name) + "\":\"" + oidc::json_escape(value) + "\"";
    }
    return text + "}";
}

}  // namespace

ngx_int_t serve_session(ngx_http_request_t *r, Context &context) {
    if (oidc::starts_with(view(r->args), "frame")) {
        return serve_session_frame(r, context);
    }
    if (r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD) {
        return refuse_method(r, "GET, HEAD");
    }
    ngx_int_t found = find_session(r, context, context.endpoint->providers);
    if (found == NGX_AGAIN) {
        return NGX_AGAIN;
    }
    if (found == NGX_ERROR) {
        return fail_store(r, nullptr, "session look-up");
    }
    const oidc::SessionView *session = load_session(r, context);
    const Provider &shown = session ? *context.session.provider : *context.endpoint->providers[0];
    std::string body = std::string("{\"is_logged_in\":") + (session ? "true" : "false");
    body += ",\"provider\":" + quoted_or_null(session ? view(shown.name) : std::string_view());
    body += ",\"expires\":" + (session ? std::to_string(oidc::ends_at(session->head())) : "null");
    body += ",\"login_url\":" + quoted_or_null(login_url(shown, {}));
    body += ",\"logout_url\":" + quoted_or_null(view(shown.logout_uri));
    body += ",\"user\":" + claims_of(session) + "}";
    return send_answer(r, {NGX_HTTP_OK, "application/json", std::move(body), {}});
}

}  // namespace auth_oidc
