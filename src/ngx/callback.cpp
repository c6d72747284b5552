// The callback: from the provider's redirect to a session.
//
//   read_callback: malformed -> a page
//   ticket:        none -> where the session of this very state goes, or a page
//   state:         entered as used; somebody was here -> wait, then go where that one went
//   Login:         token request and UserInfo in subrequests, keys from the keyring -> session, cookies, 302
#include <algorithm>
#include <deque>

#include "../oidc/http.hpp"
#include "../oidc/login.hpp"
#include "body.hpp"
#include "callback_host.hpp"
#include "endpoints.hpp"
#include "lookup.hpp"
#include "preserve_post.hpp"
#include "session_size.hpp"
#include "signin.hpp"
#include "subrequest.hpp"

namespace auth_oidc {

// A callback that is being worked on. Whoever goes away in the middle leaves its state "cut off" behind.
class Exchange {
public:
    Exchange(SharedState &state, Provider &owner, const oidc::Digest &digest, std::string where)
        : provider(owner), origin(std::move(where)), shared_(state), digest_(digest) {
        provider.exchanges++;
    }
    ~Exchange() {
        provider.exchanges--;
        shared_.finish(digest_, how_);
    }
    Exchange(const Exchange &) = delete;
    Exchange &operator=(const Exchange &) = delete;

    void ended(StateUse how) { how_ = how; }

    Provider &provider;
    const std::string origin;  // of the redirect_uri: the return target is sent out behind it
    oidc::Callback callback;
    oidc::Ticket ticket;
    std::unique_ptr<oidc::Login> login;
    std::shared_ptr<const oidc::ProviderData> data;
    SubFetch fetch;
    bool fetching = false, waits_for_keys = false;
    std::unique_ptr<Waiter> waiter;
    StoreCall save;
    std::string record;
    bool saving = false, dropping = false;
    std::deque<StoreCall> drops;  // of what the browser brought

private:
    SharedState &shared_;
    oidc::Digest digest_;
    StateUse how_ = StateUse::cut_off;
};

namespace {

constexpr ngx_uint_t max_exchanges = 64;  // per provider and worker: no location's limit_req reaches this path
constexpr ngx_msec_t look_again = 50;     // another worker cannot wake us

std::string target_url(const oidc::Ticket &ticket, const std::string &callback_origin) {
    return (ticket.origin.empty() ? callback_origin : ticket.origin) + ticket.target;
}

ngx_int_t fail_login(ngx_http_request_t *r, Exchange &exchange, const oidc::Error &error) {
    exchange.ended(StateUse::failed);
    SharedState &state = *main_conf(r)->state;
    state.add_failure(error.rule);
    state.add(error.fault == oidc::Fault::browser    ? Count::logins_failed_browser
              : error.fault == oidc::Fault::provider ? Count::logins_failed_provider
                                                     : Count::logins_failed_us);
    Failure failure;
    failure.provider = &exchange.provider;
    failure.error = error;
    failure.retry_url = exchange.ticket.origin + login_url(exchange.provider, exchange.ticket.target);
    if (error.status == NGX_HTTP_SERVICE_UNAVAILABLE) {
        failure.retry_after = 1;
    }
    if (error.rule == "session_too_large") {
        failure.explanation = "Your account brings more along than this site can keep of a sign-in.";
    }
    return fail(r, failure);
}

// The end of a callback, however it came: the ticket is used up, and the loop guard counts.
void close_ticket(ngx_http_request_t *r, Context &context, Exchange &exchange) {
    bool secure = is_secure(exchange.origin);
    std::string ticket = std::string(ticket_prefix) + exchange.callback.state;
    login_cookie_setter (&exchange.provider)(r, {ticket, {}}, secure, 0);
    count_callback(r, context, exchange.provider, secure);
}

ngx_int_t act(ngx_http_request_t *r, Context &context, Exchange &exchange, oidc::Action action);

ngx_int_t start_fetch(ngx_http_request_t *r, Exchange &exchange, oidc::http::Request request) {
    exchange.fetch.request = std::move(request);
    exchange.fetch.options = &exchange.provider.fetch;
    exchange.fetching = true;
    return run_in_subrequest(r, exchange.fetch);
}

// With fresh keys, or with the old ones again. Without any, no token can be judged: that is not the token's fault.
ngx_int_t judge_with_keys(ngx_http_request_t *r, Context &context, Exchange &exchange) {
    if (auto fresh = exchange.provider.keyring->current(Need::keys)) {
        exchange.data = std::move(fresh);
    } else if (exchange.data->keys.size() == 0) {
        return act(r, context, exchange,
                   oidc::provider_error("provider_data", "the keys of the provider could not be fetched",
                                        NGX_HTTP_SERVICE_UNAVAILABLE));
    }
    return act(r, context, exchange, exchange.login->resume(exchange.data, ngx_time()));
}

ngx_int_t fetch_keys(ngx_http_request_t *r, Context &context, Exchange &exchange) {
    exchange.waiter = std::make_unique<Waiter>([r] { resume(r); });
    Keyring &keyring = *exchange.provider.keyring;
    if (keyring.refresh_keys(*exchange.waiter, KeysFor::ourselves, exchange.data.get()) == NGX_AGAIN) {
        exchange.waits_for_keys = true;
        prepare_wait(r);
        return NGX_AGAIN;
    }
    return judge_with_keys(r, context, exchange);
}

ngx_int_t go_to_target(ngx_http_request_t *r, Context &context, Exchange &exchange) {
    close_ticket(r, context, exchange);
    return send_redirect(r, target_url(exchange.ticket, exchange.origin));
}

ngx_int_t fail_store(ngx_http_request_t *r, Context &context, Exchange &exchange, std::string what) {
    close_ticket(r, context, exchange);
    return fail_login(r, exchange, oidc::our_error("session_store", std::move(what), NGX_HTTP_SERVICE_UNAVAILABLE));
}

ngx_int_t finish_login(ngx_http_request_t *r, Context &context, Exchange &exchange) {
    for (const StoreCall &erase : exchange.drops) {
        if (erase.running != nullptr) {
            prepare_wait(r);
            return NGX_AGAIN;
        }
        if (erase.answer == Stored::unavailable) {
            return fail_store(r, context, exchange, "the former session could not be ended");
        }
    }
    bool secure = is_secure(exchange.origin);
    set_session_cookie(r, exchange.provider, exchange.save.new_cookie, secure);
    if (auto session = oidc::SessionView::over(exchange.record)) {
        note_user(r, exchange.provider, session->field(oidc::Field::sub), secure);
    }
    exchange.ended(StateUse::signed_in);
    main_conf(r)->state->add(Count::logins_finished);
    context.status = "callback";
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "auth_oidc: signed in, provider \"%V\"",
                  &exchange.provider.name);
    return go_to_target(r, context, exchange);
}

// The session that the browser brought is gone before the new one is named (session fixation).
ngx_int_t drop_old_session(ngx_http_request_t *r, Context &context, Exchange &exchange) {
    Provider &provider = exchange.provider;
    exchange.dropping = true;
    for (const Cookie &cookie : cookies_of(r, context)) {
        if (is_session_cookie(r, provider, cookie.name)) {
            StoreCall &erase = exchange.drops.emplace_back();
            prepare_call(r, erase, provider, session_value(r, context, provider, cookie));
            erase.store->ops->erase(&erase);
        }
    }
    return finish_login(r, context, exchange);
}

ngx_int_t finish_save(ngx_http_request_t *r, Context &context, Exchange &exchange) {
    if (auto error = session_size_error(r, exchange.provider, exchange.save)) {
        close_ticket(r, context, exchange);
        return fail_login(r, exchange, *error);
    }
    if (exchange.save.answer != Stored::found) {
        return fail_store(r, context, exchange, "the session could not be stored");
    }
    return drop_old_session(r, context, exchange);
}

ngx_int_t save_session(ngx_http_request_t *r, Context &context, Exchange &exchange, oidc::Session session) {
    // The target too, for the back button and the double click that come when the ticket is gone.
    session[oidc::Field::state] += " " + exchange.ticket.origin + kept_target(exchange.ticket.target);
    exchange.record = oidc::write_session(session);
    prepare_call(r, exchange.save, exchange.provider, {});
    exchange.save.record = exchange.record;
    if (exchange.save.store->ops->create(&exchange.save) == NGX_AGAIN) {
        exchange.saving = true;
        prepare_wait(r);
        return NGX_AGAIN;
    }
    return finish_save(r, context, exchange);
}

ngx_int_t start_over(ngx_http_request_t *r, Context &context, Exchange &exchange) {
    exchange.ended(StateUse::failed);
    close_ticket(r, context, exchange);
    LoginWish wish;
    wish.target = exchange.ticket.target;
    wish.origin = exchange.ticket.origin;
    wish.retried = true;
    return start_login(r, context, exchange.provider, wish);
}

ngx_int_t act(ngx_http_request_t *r, Context &context, Exchange &exchange, oidc::Action action) {
    if (auto *request = std::get_if<oidc::http::Request>(&action)) {
        return start_fetch(r, exchange, std::move(*request));
    }
    if (std::holds_alternative<oidc::FetchKeys>(action)) {
        return fetch_keys(r, context, exchange);
    }
    if (auto *signed_in = std::get_if<oidc::SignedIn>(&action)) {
        exchange.provider.keyring->note_id_token_alg(signed_in->id_token_alg);
        return save_session(r, context, exchange, std::move(signed_in->session));
    }
    if (std::holds_alternative<oidc::StartOver>(action)) {
        return start_over(r, context, exchange);
    }
    close_ticket(r, context, exchange);
    return fail_login(r, exchange, std::get<oidc::Error>(action));
}

// The callback goes on after something it waited for has come.
ngx_int_t go_on(ngx_http_request_t *r, Context &context, Exchange &exchange) {
    if (exchange.dropping) {
        return finish_login(r, context, exchange);
    }
    if (exchange.saving) {
        if (exchange.save.running != nullptr) {
            prepare_wait(r);
            return NGX_AGAIN;
        }
        exchange.saving = false;
        return finish_save(r, context, exchange);
    }
    if (exchange.waits_for_keys) {
        exchange.waits_for_keys = false;
        return judge_with_keys(r, context, exchange);
    }
    if (exchange.fetching) {
        if (!exchange.fetch.done) {
            return NGX_AGAIN;
        }
        exchange.fetching = false;
        return act(r, context, exchange, exchange.login->resume(exchange.fetch.reply, ngx_time()));
    }
    exchange.data = exchange.provider.keyring->current(Need::metadata);
    if (!exchange.data) {
        return wait_for_data(r, context, exchange.provider, Need::metadata);
    }
    exchange.login = std::make_unique<oidc::Login>(exchange.provider.client, exchange.data, exchange.ticket);
    return act(r, context, exchange, exchange.login->resume(exchange.callback, ngx_time()));
}

// ---- before the exchange ----

ngx_int_t refuse(ngx_http_request_t *r, const Context &context, oidc::Error error) {
    Failure failure;
    const auto &providers = context.endpoint->providers;
    failure.provider = providers.size() == 1 ? providers[0] : nullptr;
    failure.error = std::move(error);
    failure.retry_url =
        failure.provider ? login_url(*failure.provider, "/") : std::string(view(providers[0]->login_uri));
    main_conf(r)->state->add(Count::logins_failed_browser);
    main_conf(r)->state->add_failure(failure.error.rule);
    return fail(r, failure);
}

std::string state_mark(std::string_view state) {
    return oidc::base64url_encode(oidc::bytes(oidc::sha256(state)));
}

// The back button or a double click after a login that ended well: the session knows the state it came from.
ngx_int_t without_ticket(ngx_http_request_t *r, Context &context, const oidc::Callback &callback) {
    ngx_int_t found = find_session(r, context, context.endpoint->providers);
    if (found == NGX_AGAIN) {
        return NGX_AGAIN;
    }
    if (found == NGX_ERROR) {
        return auth_oidc::fail_store(r, nullptr, "login");
    }
    if (found == NGX_OK) {
        const oidc::SessionView *session = load_session(r, context);
        std::string mark = state_mark(callback.state) + " ";
        if (session && oidc::starts_with(session->field(oidc::Field::state), mark)) {
            auto origin = base_url(r, context.session.provider);
            std::string_view target = session->field(oidc::Field::state).substr(mark.size());
            return origin ? send_redirect(r, way_back(*context.session.provider, *origin, target))
                          : fail(r, {nullptr, origin.error(), {}, "login", 0, {}});
        }
    }
    return refuse(r, context,
                  oidc::browser_error("ticket_missing",
                                      "no cookie of this browser belongs to this state: the sign-in is "
                                      "too old, was used already or began elsewhere"));
}

// The state was entered before: by a click whose answer is on its way, or by one that ended.
ngx_int_t used_before(ngx_http_request_t *r, Context &context, OpenedTicket &opened, StateUse use) {
    std::string origin = oidc::http::parse_url(opened.ticket.redirect_uri)->origin();
    LoginWish wish;
    wish.target = opened.ticket.target;
    wish.origin = opened.ticket.origin;
    switch (use) {
        case StateUse::running:
            context.alarm =
                std::make_unique<Alarm>([](void *request) { resume(static_cast<ngx_http_request_t *>(request)); }, r);
            context.alarm->after(look_again);
            prepare_wait(r);
            return NGX_AGAIN;
        case StateUse::signed_in:
            return send_redirect(r, target_url(opened.ticket, origin));
        case StateUse::cut_off:
            return start_login(r, context, *opened.provider, wish);
        default:
            break;
    }
    return refuse(r, context,
                  oidc::browser_error("state_used", "this state was used before, and the sign-in with it failed"));
}

// The ticket is of this server when its redirect_uri is the address that was called.
bool is_of_this_server(ngx_http_request_t *r, const OpenedTicket &opened) {
    if (server_conf(r)->many_base_urls) {
        return true;
    }
    auto base = base_url(r, opened.provider);
    return base && *base + std::string(view(r->uri)) == opened.ticket.redirect_uri;
}

ngx_int_t open_exchange(ngx_http_request_t *r, Context &context, oidc::Callback callback) {
    auto opened = open_ticket(r, context, context.endpoint->providers, callback.state);
    if (!opened || !is_of_this_server(r, *opened)) {
        return without_ticket(r, context, callback);
    }
    SharedState &state = *main_conf(r)->state;
    oidc::Digest digest = oidc::sha256(callback.state);
    bool again = context.alarm != nullptr;
    StateUse use = again ? state.look(digest) : state.enter(digest);
    if (use != StateUse::first || again) {
        return used_before(r, context, *opened, use == StateUse::first ? StateUse::cut_off : use);
    }
    Provider &provider = *opened->provider;
    auto origin = oidc::http::parse_url(opened->ticket.redirect_uri);
    if (!origin || provider.exchanges >= max_exchanges) {
        state.finish(digest, StateUse::cut_off);
        return fail(r, {&provider,
                        oidc::our_error("too_many_exchanges", "64 logins are being completed already",
                                        NGX_HTTP_SERVICE_UNAVAILABLE),
                        login_url(provider, opened->ticket.target),
                        "login",
                        1,
                        {}});
    }
    context.exchange = std::make_shared<Exchange>(state, provider, digest, origin->origin());
    context.exchange->callback = std::move(callback);
    context.exchange->ticket = std::move(opened->ticket);
    return go_on(r, context, *context.exchange);
}

bool posts_back(const Endpoint &endpoint) {
    return std::any_of(endpoint.providers.begin(), endpoint.providers.end(),
                       [](const Provider *provider) { return provider->posts_back(); });
}

}  // namespace

ngx_int_t serve_callback(ngx_http_request_t *r, Context &context) {
    if (context.exchange) {
        return go_on(r, context, *context.exchange);
    }
    bool posts = posts_back(*context.endpoint);
    if (r->method == NGX_HTTP_POST && posts) {
        ngx_int_t read = context.posted ? NGX_OK : read_form(r, context, context.form);
        if (read != NGX_OK) {
            return read == NGX_AGAIN ? NGX_AGAIN : refuse_form(r, read);
        }
        context.posted = true;               // a wait for another click comes by here once more
    } else if (r->method != NGX_HTTP_GET) {  // HEAD neither: it would use up the code for an answer without a page
        return refuse_method(r, posts ? "GET, POST" : "GET");
    }
    if (!context.posted && is_way_to_app(context)) {
        return go_to_app(r, context);
    }
    auto callback = oidc::read_callback(context.posted ? std::string_view(context.form) : view(context.query));
    if (!callback) {
        return refuse(r, context, callback.error());
    }
    return open_exchange(r, context, std::move(*callback));
}

}  // namespace auth_oidc
