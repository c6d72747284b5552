// Signing out at logout_uri (RP-Initiated Logout 1.0): the local session first, then the provider's.
#include "../oidc/http.hpp"
#include "../oidc/protocol.hpp"
#include "body.hpp"
#include "endpoints.hpp"
#include "lookup.hpp"
#include "preserve_post.hpp"
#include "signin.hpp"
#include "site_page.hpp"
#include "streamlit.hpp"

namespace auth_oidc {

struct LogoutPlace {
    std::string origin;
    std::string after;  // absolute post_logout_uri, or empty
    std::string back;   // return_to, or empty
    std::string extra;  // logout_args
};

// A sign-out that waits for the store.
class SignOut {
public:
    LogoutPlace place;
    std::string id_token;
    StoreCall erase;
};

namespace {

constexpr size_t state_size = 43;           // of a random token
constexpr int64_t confirmation_life = 600;  // seconds

// Bound to the session: a token of another browser is worth nothing here.
std::string confirmation_purpose(const Context &context) {
    return "logout " + std::string(context.session.identity());
}

// return_to of the query: a path of this site, or empty.
std::string wanted_back(ngx_http_request_t *r) {
    auto query = oidc::form_decode(view(r->args));
    const std::string *path = query ? oidc::find_parameter(*query, "return_to") : nullptr;
    return path ? safe_target(*path, "") : "";
}

ngx_int_t ask_first(ngx_http_request_t *r, Context &context) {
    Provider &provider = *context.session.provider;
    std::string text = std::to_string(static_cast<int64_t>(ngx_time()));
    std::string token = provider.sealers->guard.seal(text, confirmation_purpose(context), ngx_time());
    // A browser holds the answer's redirects against form-action too.
    auto after = oidc::http::parse_url(provider.client.post_logout_uri);
    std::string form_targets = after ? after->origin() : "";
    if (auto data = provider.keyring->current(Need::metadata)) {
        if (auto url = oidc::http::parse_url(data->metadata.end_session_endpoint)) {
            form_targets += " " + url->origin();
        }
    }
    std::string back = wanted_back(r);
    std::string action = context.endpoint->path + (back.empty() ? "" : "?return_to=" + oidc::percent_encode(back));
    std::string page = confirm_logout_page({action, token, back.empty() ? "/" : back});
    return send_answer(r, {NGX_HTTP_OK, "text/html; charset=utf-8", std::move(page), form_targets});
}

bool is_confirmed(Context &context, const std::string &form) {
    auto fields = oidc::form_decode(form);
    const std::string *token = fields ? oidc::find_parameter(*fields, "token") : nullptr;
    if (token == nullptr) {
        return false;
    }
    auto time = context.session.provider->sealers->guard.open(*token, confirmation_purpose(context), ngx_time());
    return time && ngx_time() - std::strtoll(time->c_str(), nullptr, 10) <= confirmation_life;
}

ngx_int_t signed_out(ngx_http_request_t *r, const Provider &provider, const LogoutPlace &place) {
    if (!place.back.empty()) {
        return send_redirect(r, place.origin + place.back);
    }
    if (!place.after.empty()) {
        return send_redirect(r, place.after);
    }
    ngx_int_t site = send_site_page(r, SitePage::signed_out, {NGX_HTTP_OK, login_url(provider, "/")});
    if (site != NGX_DECLINED) {
        return site;
    }
    return send_answer(r, {NGX_HTTP_OK, "text/html; charset=utf-8", signed_out_page(login_url(provider, "/")), {}});
}

// The provider's own session. Its metadata is only used when it is there: a provider that is away keeps nobody signed
// in here.
ngx_int_t leave_provider(ngx_http_request_t *r, Provider &provider, const LogoutPlace &place,
                         const std::string &id_token) {
    auto data = provider.keyring->current(Need::metadata);
    if (!data) {
        return signed_out(r, provider, place);
    }
    std::string state = oidc::random_token();
    oidc::LogoutQuery query;
    query.post_logout_redirect_uri = place.after;
    query.state = place.after.empty() ? std::string_view() : std::string_view(state);
    query.id_token_hint = provider.client.logout_token_hint ? std::string_view(id_token) : std::string_view();
    query.extra = place.extra;
    auto url = oidc::end_session_url(provider.client, data->metadata, query);
    if (!url) {
        return signed_out(r, provider, place);
    }
    if (!place.after.empty()) {
        std::string sealed = provider.sealers->guard.seal(state + place.back, logout_cookie, ngx_time());
        set_own_cookie(r, {logout_cookie, sealed}, is_secure(place.origin), confirmation_life);
    }
    return send_redirect(r, *url);
}

// Nobody is told that he is signed out before he is.
ngx_int_t finish_sign_out(ngx_http_request_t *r, Context &context, SignOut &work) {
    Provider &provider = *context.session.provider;
    if (work.erase.answer == Stored::unavailable) {
        return fail_store(r, nullptr, "logout");
    }
    bool secure = is_secure(work.place.origin);
    delete_session_cookie(r, provider, secure);
    note_user(r, provider, {}, secure);
    if (const oidc::SessionView *session = load_session(r, context); session && provider.revoke_on_logout == 1) {
        revoke_tokens(r, provider, *session);
    }
    login_cookie_setter (&provider)(r, {loop_cookie, {}}, secure, 0);  // whoever signs out by hand is in no loop
    main_conf(r)->state->add(Count::logouts);
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "auth_oidc: signed out, provider \"%V\"", &provider.name);
    return leave_provider(r, provider, work.place, work.id_token);
}

ngx_int_t sign_out(ngx_http_request_t *r, Context &context, const std::string &origin) {
    Provider &provider = context.session.provider ? *context.session.provider : *context.endpoint->providers[0];
    LogoutPlace place{origin, provider.client.post_logout_uri, wanted_back(r), {}};
    if (!place.after.empty() && place.after[0] == '/') {
        place.after = origin + place.after;
    }
    if (context.session.provider == nullptr) {
        delete_session_cookie(r, provider, is_secure(origin));
        return signed_out(r, provider, place);
    }
    // What is needed of the session afterwards is read while there is one; the arguments may hold claims.
    place.extra = provider.logout_args ? evaluate(r, provider.logout_args) : std::string();
    context.sign_out = std::make_shared<SignOut>();
    SignOut &work = *context.sign_out;
    work.place = std::move(place);
    if (const oidc::SessionView *session = load_session(r, context)) {
        work.id_token = std::string(session->field(oidc::Field::id_token));
    }
    prepare_call(r, work.erase, provider, context.session.cookie);
    if (work.erase.store->ops->erase(&work.erase) == NGX_AGAIN) {
        prepare_wait(r);
        return NGX_AGAIN;
    }
    return finish_sign_out(r, context, work);
}

// The browser is back at post_logout_uri.
bool is_way_back(ngx_http_request_t *r, const Provider &provider) {
    return !provider.signed_out_path.empty() && view(r->uri) == provider.signed_out_path;
}

// The cookie is taken away, whatever comes of it. Gives return_to when the state is the one that was sent.
std::optional<std::string> use_logout_cookie(ngx_http_request_t *r, Provider &provider, const Cookie &cookie,
                                             std::string_view args) {
    bool secure = oidc::starts_with(cookie.name, host_prefix);
    set_own_cookie(r, {logout_cookie, {}}, secure, 0);
    auto query = oidc::form_decode(args);
    const std::string *state = query ? oidc::find_parameter(*query, "state") : nullptr;
    auto sent = provider.sealers->guard.open(cookie.value, logout_cookie, ngx_time());
    if (!sent || !state || !oidc::equal_constant_time(sent->substr(0, state_size), *state)) {
        ngx_log_error(
            NGX_LOG_INFO, r->connection->log, 0,
            "auth_oidc: the state that came back from a sign-out is not the one that was sent, provider \"%V\"",
            &provider.name);
        return std::nullopt;
    }
    return sent->substr(state_size);
}

// return_to of the sign-out that this browser comes back from; empty when there was none.
std::string target_after(ngx_http_request_t *r, Provider &provider, std::string_view args) {
    RequestCookies cookies;
    cookies.collect(r, *main_conf(r), false);
    for (const Cookie &cookie : cookies) {
        if (cookie.name == logout_cookie || cookie.name == own_cookie_name(logout_cookie, true)) {
            return use_logout_cookie(r, provider, cookie, args).value_or("");
        }
    }
    return {};
}

}  // namespace

bool is_own_request(ngx_http_request_t *r, std::string_view origin) {
    std::string_view site = request_header(r, "sec-fetch-site");
    if (!site.empty()) {
        return site == "same-origin" || site == "none";
    }
    std::string_view source = request_header(r, "origin");
    if (source.empty()) {
        source = request_header(r, "referer");
    }
    auto url = oidc::http::parse_url(source.substr(0, source.find('#')));
    return url && url->origin() == origin;
}

ngx_int_t check_signed_out(ngx_http_request_t *r) {
    for (Provider *provider : server_conf(r)->providers) {
        if (!is_way_back(r, *provider)) {
            continue;
        }
        std::string back = target_after(r, *provider, view(r->args));
        auto origin = base_url(r, provider);
        return !back.empty() && origin ? send_redirect(r, *origin + back) : NGX_DECLINED;
    }
    return NGX_DECLINED;
}

bool is_way_to_app(const Context &context) {
    const Provider *provider = file_provider(*context.endpoint);
    auto query = oidc::form_decode(view(context.query));
    if (provider == nullptr || !query) {
        return false;
    }
    for (const char *name : {"code", "error", "response"}) {
        if (oidc::find_parameter(*query, name) != nullptr) {
            return false;
        }
    }
    return true;
}

ngx_int_t go_to_app(ngx_http_request_t *r, Context &context) {
    Provider &provider = *file_provider(*context.endpoint);
    auto origin = base_url(r, &provider);
    if (!origin) {
        return fail(r, {&provider, origin.error(), {}, "logout", 0, {}});
    }
    std::string back = target_after(r, provider, view(context.query));
    return send_redirect(r, *origin + (back.empty() ? app_base(provider) : back));
}

ngx_int_t serve_logout(ngx_http_request_t *r, Context &context) {
    if (context.sign_out) {
        if (context.sign_out->erase.running == nullptr) {
            return finish_sign_out(r, context, *context.sign_out);
        }
        prepare_wait(r);
        return NGX_AGAIN;
    }
    bool post = r->method == NGX_HTTP_POST;
    if (!post && r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD) {
        return refuse_method(r, "GET, HEAD, POST");
    }
    auto origin = base_url(r, context.endpoint->providers[0]);
    if (!origin) {
        return fail(r, {nullptr, origin.error(), {}, "logout", 0, {}});
    }
    bool own = is_own_request(r, *origin);
    std::string form;
    if (post && !own) {
        ngx_int_t read = read_form(r, context, form);
        if (read == NGX_AGAIN) {
            return read;
        }
        if (read != NGX_OK) {
            return fail(
                r, {nullptr,
                    oidc::browser_error("logout_form", "the body is no form of at most 64 KB", static_cast<int>(read)),
                    {},
                    "logout",
                    0,
                    {}});
        }
    }
    ngx_int_t found = find_session(r, context, context.endpoint->providers);
    if (found == NGX_AGAIN) {
        return NGX_AGAIN;
    }
    if (found == NGX_ERROR) {
        return fail_store(r, nullptr, "logout");
    }
    bool go = context.session.provider == nullptr || own || (post && is_confirmed(context, form));
    return go ? sign_out(r, context, *origin) : ask_first(r, context);
}

}  // namespace auth_oidc
