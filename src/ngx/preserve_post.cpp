#include "preserve_post.hpp"

#include "../oidc/http.hpp"
#include "../oidc/kept_form.hpp"
#include "body.hpp"
#include "endpoints.hpp"
#include "lookup.hpp"
#include "post_pages.hpp"
#include "signin.hpp"

namespace auth_oidc {
namespace {

using Providers = std::vector<Provider *>;
using oidc::KeptForm;

constexpr size_t id_bytes = 16;

// A cross-site POST looks anonymous, because SameSite holds the session cookie back: to send it again would be request
// forgery by our own hand. A page of this site alone counts, and a browser that does not say is asked for the origin.
bool comes_from_here(ngx_http_request_t *r, std::string_view origin) {
    std::string_view site = request_header(r, "sec-fetch-site");
    return site.empty() ? request_header(r, "origin") == origin : site == "same-origin";
}

bool is_framed(ngx_http_request_t *r) {
    std::string_view destination = request_header(r, "sec-fetch-dest");
    return !destination.empty() && destination != "document";
}

std::string purpose(std::string_view id) {
    return "post " + std::string(id);
}

// The digest of whoever signed in last in this browser, or empty.
std::string last_user(ngx_http_request_t *r, Context &context) {
    for (const Cookie &cookie : cookies_of(r, context)) {
        if (cookie.name != user_cookie && cookie.name != own_cookie_name(user_cookie, true)) {
            continue;
        }
        for (const Provider *provider : server_conf(r)->providers) {
            if (auto user = provider->sealers->session.open(cookie.value, user_cookie)) {
                return *user;
            }
        }
    }
    return {};
}

// Where the browser comes back to after signing in. A session remembers what its login was for: so a kept form goes out
// in the session alone that was begun for it.
std::string resend_target(const Provider &provider, std::string_view id) {
    return std::string(view(provider.login_uri)) + std::string(post_path) + "?id=" + std::string(id);
}

struct Sealed {
    std::string id, text;
};

// Nothing: it cannot be kept.
std::optional<Sealed> seal_form(ngx_http_request_t *r, Context &context, Provider &provider, KeptForm form) {
    form.created = ngx_time();
    form.target = std::string(view(r->unparsed_uri));
    form.user = last_user(r, context);
    std::string record = oidc::write_kept_form(form);
    if (record.empty()) {
        return std::nullopt;
    }
    Sealed sealed;
    sealed.id = oidc::base64url_encode(oidc::random_bytes(id_bytes));
    sealed.text = provider.sealers->guard.seal(record, purpose(sealed.id), ngx_time());
    return sealed;
}

// login_uri shows the choice where there are several.
std::string sign_in_url(const Providers &providers, std::string_view target) {
    if (providers.size() == 1) {
        return login_url(*providers[0], target);
    }
    return std::string(view(providers[0]->login_uri)) + "?return_to=" + oidc::percent_encode(target);
}

ngx_int_t send_needed(ngx_http_request_t *r, const Providers &providers, bool too_much) {
    std::string url = sign_in_url(providers, "/");
    bool framed = is_framed(r);
    Answer answer;
    answer.status = NGX_HTTP_UNAUTHORIZED;
    answer.body = too_much ? post_not_kept_page(url) : signin_needed_page({"Sign in", url}, true, framed);
    answer.framed = framed;
    return send_answer(r, answer);
}

// ---- the form comes back ----

// What happened to a kept form that is not sent, with a way on.
ngx_int_t refuse_form(ngx_http_request_t *r, const char *rule, std::string_view what, std::string_view target) {
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "auth_oidc: a kept form is not sent again, rule %s", rule);
    ErrorPage page;
    page.title = "Your form was not sent";
    page.what = what;
    page.next = "Open the page again and fill it in once more.";
    page.links.push_back({"Open the page", target});
    Answer answer;
    answer.status = NGX_HTTP_CONFLICT;
    answer.body = error_page(page);
    return send_answer(r, answer);
}

std::optional<KeptForm> open_form(ngx_http_request_t *r, std::string_view sealed, std::string_view id) {
    for (Provider *provider : server_conf(r)->providers) {
        auto record = provider->sealers->guard.open(sealed, purpose(id), ngx_time());
        auto form = record ? oidc::read_kept_form(*record) : std::nullopt;
        if (form && form->created <= ngx_time() && ngx_time() - form->created <= provider->login_timeout) {
            return form;
        }
    }
    return std::nullopt;
}

// The session's login went to this very address.
bool was_begun_for(const oidc::SessionView &session, std::string_view address) {
    std::string_view state = session.field(oidc::Field::state);
    size_t blank = state.find(' ');
    return blank != std::string_view::npos && state.substr(blank + 1) == address;
}

ngx_int_t send_again(ngx_http_request_t *r, Context &context, std::string_view sealed, std::string_view id) {
    const oidc::SessionView *session = load_session(r, context);
    if (session == nullptr || !was_begun_for(*session, view(r->unparsed_uri))) {
        return refuse_form(r, "post_session", "The form belongs to another sign-in than your last one.", "/");
    }
    auto form = open_form(r, sealed, id);
    auto origin = base_url(r, context.session.provider);
    bool ours = form && origin && (form->origin == *origin || server_conf(r)->many_base_urls);
    if (!ours) {
        return refuse_form(r, "post_seal", "The form is too old, or it was not kept by this site.", "/");
    }
    oidc::Digest user = index_key(context.session.provider->binding, session->field(oidc::Field::sub));
    if (!form->user.empty() && form->user != oidc::bytes(user)) {
        return refuse_form(r, "post_user", "Another user than the one who is signed in now has filled it in.",
                           form->target);
    }
    time_t until = ngx_time() + context.session.provider->login_timeout + 1;
    if (!main_conf(r)->state->remember(oidc::sha256(purpose(id)), until)) {
        return refuse_form(r, "post_once", "It was sent already, and nothing is sent twice.", form->target);
    }
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "auth_oidc: a kept form is sent again");
    Answer answer;
    answer.body =
        post_send_page({form->target, *oidc::form_fields(form->body)}, view(context.endpoint->providers[0]->login_uri));
    answer.script = PageScript::own_and_leaves;
    return send_answer(r, answer);
}

bool is_id(std::string_view id) {
    auto bytes = oidc::base64url_decode(id);
    return bytes && bytes->size() == id_bytes;
}

}  // namespace

ngx_int_t answer_post(ngx_http_request_t *r, Context &context, const Providers &providers) {
    Provider &provider = *providers[0];
    auto origin = base_url(r, &provider);
    if (!origin || is_framed(r) || !comes_from_here(r, *origin)) {
        return send_needed(r, providers, false);
    }
    KeptForm form;
    form.origin = *origin;
    if (r->headers_in.content_length_n > static_cast<off_t>(KeptForm::max_body)) {
        return send_needed(r, providers, true);
    }
    ngx_int_t read = read_form(r, context, form.body);
    if (read == NGX_AGAIN) {
        return NGX_AGAIN;
    }
    auto sealed = read == NGX_OK ? seal_form(r, context, provider, std::move(form)) : std::nullopt;
    if (!sealed) {
        return send_needed(r, providers, true);
    }
    Answer answer;
    answer.status = NGX_HTTP_UNAUTHORIZED;
    std::string url = sign_in_url(providers, resend_target(provider, sealed->id));
    answer.body = post_kept_page({url, sealed->id, sealed->text}, view(provider.login_uri));
    answer.script = PageScript::own;
    return send_answer(r, answer);
}

// GET: the page whose script brings the form. POST: here it is.
ngx_int_t serve_post(ngx_http_request_t *r, Context &context) {
    std::string_view address = view(r->unparsed_uri), start = "id=";
    std::string_view id = view(r->args).substr(0, start.size()) == start ? view(r->args).substr(start.size()) : "";
    if (!is_id(id)) {
        return fail(r,
                    {nullptr, oidc::browser_error("post_id", "the address names no kept form"), {}, "request", 0, {}});
    }
    if (r->method == NGX_HTTP_GET || r->method == NGX_HTTP_HEAD) {
        Answer answer;
        answer.body = post_open_page(address, id, view(context.endpoint->providers[0]->login_uri));
        answer.script = PageScript::own;
        return send_answer(r, answer);
    }
    if (r->method != NGX_HTTP_POST) {
        return refuse_method(r, "GET, HEAD, POST");
    }
    auto origin = base_url(r, context.endpoint->providers[0]);
    if (!origin || !comes_from_here(r, *origin)) {
        auto error =
            oidc::browser_error("post_foreign", "another site sends a form that was kept here", NGX_HTTP_FORBIDDEN);
        return fail(r, {nullptr, std::move(error), {}, "request", 0, {}});
    }
    std::string body;
    ngx_int_t read = read_form(r, context, body);
    if (read != NGX_OK) {
        return read == NGX_AGAIN ? NGX_AGAIN : auth_oidc::refuse_form(r, read);
    }
    ngx_int_t found = find_session(r, context, server_conf(r)->providers);
    if (found == NGX_AGAIN) {
        return NGX_AGAIN;
    }
    if (found == NGX_ERROR) {
        return fail_store(r, nullptr, "request");
    }
    auto fields = oidc::form_decode(body);
    const std::string *sealed = fields ? oidc::find_parameter(*fields, "kept") : nullptr;
    return send_again(r, context, sealed ? std::string_view(*sealed) : std::string_view(), id);
}

ngx_int_t serve_post_script(ngx_http_request_t *r, Context &) {
    if (r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD) {
        return refuse_method(r, "GET, HEAD");
    }
    Answer answer;
    answer.type = "text/javascript; charset=utf-8";
    answer.body = post_script();
    return send_answer(r, answer);
}

void note_user(ngx_http_request_t *r, const Provider &provider, std::string_view sub, bool secure) {
    if (!server_conf(r)->preserves_post) {
        return;
    }
    if (sub.empty()) {
        return set_own_cookie(r, {user_cookie, {}}, secure, 0);
    }
    oidc::Digest user = index_key(provider.binding, sub);
    set_own_cookie(r, {user_cookie, provider.sealers->session.seal(oidc::bytes(user), user_cookie)}, secure, -1);
}

}  // namespace auth_oidc
