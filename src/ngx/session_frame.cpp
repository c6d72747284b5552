// The relying party's frame of Session Management 1.0 (section 3.1): session_uri?frame, for pages of the site to embed.
// It asks the provider's frame, in the browser, whether the user's session there is still the one of our login.
#include "../oidc/http.hpp"
#include "endpoints.hpp"
#include "lookup.hpp"

namespace auth_oidc {
namespace {

// On "changed" nothing is asked of the provider: our session ends, and the page that embeds us is told. Browsers that
// keep third-party cookies from frames make every answer "changed", from the first one on: that says nothing.
constexpr const char *script = R"js('use strict';
const { client, state, origin } = document.currentScript.dataset;
const provider = document.getElementById('provider');
let known = false;
let timer;
const tell = (session) => parent.postMessage({ auth_oidc: session }, location.origin);
const ask = () => provider.contentWindow.postMessage(`${client} ${state}`, origin);
addEventListener('message', async (message) => {
  if (message.origin !== origin || message.source !== provider.contentWindow) {
    return;
  }
  if (message.data === 'unchanged') {
    if (!known) {
      known = true;
      tell('unchanged');
    }
    return;
  }
  clearInterval(timer);
  if (message.data !== 'changed' || !known) {
    tell(message.data === 'changed' ? 'unknown' : 'error');
    return;
  }
  await fetch('?frame', { method: 'POST' });
  tell('changed');
});
provider.addEventListener('load', () => {
  clearInterval(timer);
  timer = setInterval(ask, 2000);
  ask();
});
)js";

ngx_int_t answer_nothing(ngx_http_request_t *r) {
    return send_answer(r, {NGX_HTTP_NO_CONTENT, "text/plain", "", {}});
}

ngx_int_t end_by_frame(ngx_http_request_t *r, Context &context) {
    auto origin = base_url(r, context.session.provider);
    if (!origin || !is_own_request(r, *origin)) {
        return send_answer(r, {NGX_HTTP_FORBIDDEN, "application/json", "{\"error\":\"other_site\"}", {}});
    }
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "auth_oidc: signed out, the session at provider \"%V\" changed",
                  &context.session.provider->name);
    end_session(r, context);
    return answer_nothing(r);
}

std::string attribute(const char *name, std::string_view value) {
    return std::string(" ").append(name).append("=\"").append(oidc::html_escape(value)).append("\"");
}

}  // namespace

ngx_int_t serve_session_frame(ngx_http_request_t *r, Context &context) {
    bool post = r->method == NGX_HTTP_POST;
    if (!post && r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD) {
        return refuse_method(r, "GET, HEAD, POST");
    }
    if (view(r->args) == "frame.js") {
        return send_answer(r, {NGX_HTTP_OK, "text/javascript; charset=utf-8", script, {}});
    }
    ngx_int_t found = find_session(r, context, context.endpoint->providers);
    if (found == NGX_AGAIN) {
        return NGX_AGAIN;
    }
    if (found == NGX_ERROR) {
        return fail_store(r, nullptr, "session look-up");
    }
    const oidc::SessionView *session = load_session(r, context);
    auto state = session ? session->claim(oidc::session_state_key) : std::nullopt;
    auto data = session ? context.session.provider->keyring->current(Need::metadata) : nullptr;
    auto url = data ? oidc::http::parse_url(data->metadata.check_session_iframe) : std::nullopt;
    if (!state || !url) {
        return answer_nothing(r);  // a stranger, or a provider without such a frame
    }
    if (post) {
        return end_by_frame(r, context);
    }
    Answer answer;
    answer.body =
        "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Session</title>\n<iframe hidden "
        "id=\"provider\"" +
        attribute("src", data->metadata.check_session_iframe) + "></iframe>\n<script src=\"?frame.js\"" +
        attribute("data-client", context.session.provider->client.client_id) + attribute("data-state", *state) +
        attribute("data-origin", url->origin()) + "></script>\n</html>\n";
    answer.policy = "default-src 'none'; script-src 'self'; connect-src 'self'; frame-src " + url->origin() +
                    "; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
    return send_answer(r, answer);
}

}  // namespace auth_oidc
