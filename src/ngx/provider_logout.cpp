// Signing out that the provider asks for: Front-Channel Logout 1.0 (a frame in the browser) and Back-Channel Logout 1.0
// (a call).
#include <deque>

#include "../oidc/http.hpp"
#include "../oidc/logout_token.hpp"
#include "body.hpp"
#include "endpoints.hpp"
#include "lookup.hpp"

namespace auth_oidc {

// A logout token on its way: verified, perhaps once more with fresh keys, then carried out by the store.
class LogoutWork {
public:
    explicit LogoutWork(Provider &owner) : provider(owner) {}

    Provider &provider;
    std::string token;
    std::unique_ptr<Waiter> waiter;
    bool asked_for_data = false, asked_for_keys = false, erasing = false;
    StoreCall erase;
    oidc::Digest seen{};  // the token's jti
    time_t remember_until = 0;
};

struct FrontQuery {
    std::string iss, sid;
};

// A front-channel sign-out that waits for the store.
class FrontWork {
public:
    FrontQuery query;
    std::deque<StoreCall> calls;
    Provider *cookie_of = nullptr;  // whose session the browser itself brought
};

namespace {

ngx_int_t answer_empty(ngx_http_request_t *r, ngx_uint_t status) {
    return send_answer(r, {status, "text/plain", "", {}});
}

// Section 2.8: 400 with no-store. The reason goes to the log; whoever sends such tokens learns no more than the error's
// kind.
ngx_int_t refuse_token(ngx_http_request_t *r, const Provider *provider, const oidc::Error &error) {
    ngx_uint_t level = error.fault == oidc::Fault::browser ? NGX_LOG_INFO : NGX_LOG_ERR;
    ngx_str_t name = provider ? provider->name : ngx_str_t(ngx_string("-"));
    ngx_str_t rule = borrow(error.rule), text = borrow(error.text);
    ngx_log_error(level, r->connection->log, 0, "auth_oidc: back-channel logout refused, provider \"%V\", rule %V: %V",
                  &name, &rule, &text);
    return send_answer(r, {NGX_HTTP_BAD_REQUEST, "application/json", "{\"error\":\"invalid_request\"}", {}});
}

ngx_int_t busy(ngx_http_request_t *r) {
    add_header(r, "Retry-After", "1");
    return answer_empty(r, NGX_HTTP_SERVICE_UNAVAILABLE);
}

ngx_int_t finish_erase(ngx_http_request_t *r, LogoutWork &work) {
    if (work.erase.answer == Stored::unavailable) {
        return busy(r);
    }
    main_conf(r)->state->remember(work.seen, work.remember_until);
    if (work.erase.erased != 0) {
        main_conf(r)->state->add(Count::logouts);
    }
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "auth_oidc: signed out by the provider \"%V\", sessions ended: %uL", &work.provider.name,
                  work.erase.erased);
    return answer_empty(r, NGX_HTTP_OK);
}

// A token counts as used only once its sessions are gone: after a 503 the provider sends the same one again.
ngx_int_t carry_out(ngx_http_request_t *r, LogoutWork &work, const oidc::LogoutToken &token) {
    work.seen = oidc::sha256("jti " + work.provider.binding + token.jti);
    work.remember_until = static_cast<time_t>(token.remember_until);
    if (main_conf(r)->state->is_remembered(work.seen)) {
        return refuse_token(r, &work.provider, oidc::browser_error("logout_token_jti", "this token was used before"));
    }
    prepare_call(r, work.erase, work.provider, {});
    work.erase.who = index_key(work.provider.binding, token.sid.empty() ? token.sub : token.sid);
    const StoreOps &ops = *work.erase.store->ops;
    if ((token.sid.empty() ? ops.erase_sub : ops.erase_sid)(&work.erase) == NGX_AGAIN) {
        work.erasing = true;
        prepare_wait(r);
        return NGX_AGAIN;
    }
    return finish_erase(r, work);
}

ngx_int_t wait(ngx_http_request_t *r, ngx_int_t started) {
    if (started == NGX_AGAIN) {
        prepare_wait(r);
    }
    return started;
}

ngx_int_t judge(ngx_http_request_t *r, LogoutWork &work) {
    Keyring &keyring = *work.provider.keyring;
    auto data = keyring.current();
    if (!data) {
        work.waiter = std::make_unique<Waiter>([r] { resume(r); });
        bool first = !work.asked_for_data;
        work.asked_for_data = true;
        return first && wait(r, keyring.wait(*work.waiter)) == NGX_AGAIN ? NGX_AGAIN : busy(r);
    }
    const std::string alg = keyring.id_token_alg();
    auto token = oidc::check_logout_token(work.provider.client, *data, work.token, {ngx_time(), alg});
    if (token) {
        return carry_out(r, work, *token);
    }
    if (oidc::may_be_stale_keys(token.error()) && !work.asked_for_keys) {
        work.asked_for_keys = true;
        work.waiter = std::make_unique<Waiter>([r] { resume(r); });
        ngx_int_t started = wait(r, keyring.refresh_keys(*work.waiter, KeysFor::strangers, data.get()));
        if (started != NGX_DECLINED) {
            return started == NGX_AGAIN ? NGX_AGAIN : judge(r, work);
        }
    }
    return refuse_token(r, &work.provider, token.error());
}

}  // namespace

// Of an issuer for several organisations only the metadata know who that can be.
bool is_issuer(const Provider &provider, std::string_view iss) {
    auto data = provider.keyring->current(Need::metadata);
    return data ? oidc::is_issuer(provider.client, data->metadata, iss) : provider.client.is_issuer(iss);
}

namespace {

// By the token's own word, which the signature has to confirm afterwards. Two clients of one issuer are told apart by
// the audience.
Provider *provider_of(const Endpoint &endpoint, std::string_view token) {
    auto parsed = oidc::parse_jws(token);
    std::string issuer = parsed ? parsed->claims.string("iss").value_or("") : "";
    auto audience = parsed ? parsed->claims.list("aud") : std::nullopt;
    Provider *found = nullptr;
    for (Provider *provider : endpoint.providers) {
        if (!is_issuer(*provider, issuer)) {
            continue;
        }
        if (audience && oidc::contains(*audience, provider->client.client_id)) {
            return provider;
        }
        found = found ? found : provider;
    }
    return found ? found : endpoint.providers[0];
}

// ---- the front channel ----

FrontQuery read_front(std::string_view text) {
    FrontQuery query;
    if (auto parsed = oidc::form_decode(text)) {
        const std::string *iss = oidc::find_parameter(*parsed, "iss");
        const std::string *sid = oidc::find_parameter(*parsed, "sid");
        query.iss = iss ? *iss : "";
        query.sid = sid && sid->size() <= 1024 ? *sid : "";
    }
    return query;
}

// AD FS sends the sid alone.
bool is_meant(const Provider &provider, const FrontQuery &query) {
    return query.iss.empty() || is_issuer(provider, query.iss);
}

void erase_by_sid(ngx_http_request_t *r, Context &context, FrontWork &work) {
    for (Provider *provider : context.endpoint->providers) {
        if (!work.query.sid.empty() && is_meant(*provider, work.query)) {
            StoreCall &call = work.calls.emplace_back();
            prepare_call(r, call, *provider, {});
            call.who = index_key(provider->binding, work.query.sid);
            call.store->ops->erase_sid(&call);
        }
    }
}

// A link must not sign anybody out: by the cookie only in a frame, or where iss and sid are those of the session.
bool may_use_cookie(ngx_http_request_t *r, Context &context, const FrontQuery &query) {
    const Provider &provider = *context.session.provider;
    std::string_view destination = request_header(r, "sec-fetch-dest");
    if (!destination.empty()) {
        return destination == "iframe" && is_meant(provider, query);
    }
    const oidc::SessionView *session = load_session(r, context);
    return session && !query.sid.empty() && is_issuer(provider, query.iss) &&
           session->field(oidc::Field::sid) == query.sid;
}

void erase_by_cookie(ngx_http_request_t *r, Context &context, FrontWork &work) {
    StoreCall &call = work.calls.emplace_back();
    prepare_call(r, call, *context.session.provider, context.session.cookie);
    call.store->ops->erase(&call);
    work.cookie_of = context.session.provider;
}

// Whoever cannot be signed out now is not told that he was.
ngx_int_t finish_front(ngx_http_request_t *r, Context &context, const FrontWork &work) {
    for (const StoreCall &call : work.calls) {
        if (call.running != nullptr) {
            prepare_wait(r);
            return NGX_AGAIN;
        }
        if (call.answer == Stored::unavailable) {
            return busy(r);
        }
    }
    if (work.cookie_of != nullptr) {
        auto base = base_url(r, work.cookie_of);
        delete_session_cookie(r, *work.cookie_of, base && is_secure(*base));
        main_conf(r)->state->add(Count::logouts);
    }
    Answer answer;
    answer.body = "<!DOCTYPE html><html lang=\"en\"><title>Signed out</title></html>";
    for (const Provider *provider : context.endpoint->providers) {
        auto issuer = oidc::http::parse_url(provider->client.issuer);
        answer.ancestors += (answer.ancestors.empty() ? "" : " ") + (issuer ? issuer->origin() : "");
    }
    return send_answer(r, answer);
}

}  // namespace

void end_session(ngx_http_request_t *r, Context &context) {
    auto *call = pool_new<StoreCall>(r->pool);
    prepare_call(r, *call, *context.session.provider, context.session.cookie);
    call->done = [](StoreCall *) {};
    call->store->ops->erase(call);
    auto base = base_url(r, context.session.provider);
    delete_session_cookie(r, *context.session.provider, base && is_secure(*base));
    main_conf(r)->state->add(Count::logouts);
}

ngx_int_t serve_frontchannel(ngx_http_request_t *r, Context &context) {
    if (context.front) {
        return finish_front(r, context, *context.front);
    }
    if (r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD) {
        return refuse_method(r, "GET, HEAD");
    }
    ngx_int_t found = find_session(r, context, context.endpoint->providers);
    if (found == NGX_AGAIN) {
        return NGX_AGAIN;
    }
    if (found == NGX_ERROR) {
        return busy(r);
    }
    context.front = std::make_shared<FrontWork>();
    FrontWork &work = *context.front;
    work.query = read_front(view(context.query));
    if (found == NGX_OK && may_use_cookie(r, context, work.query)) {
        erase_by_cookie(r, context, work);
    }
    erase_by_sid(r, context, work);
    return finish_front(r, context, work);
}

ngx_int_t serve_backchannel(ngx_http_request_t *r, Context &context) {
    if (context.logout) {
        return context.logout->erasing ? finish_erase(r, *context.logout) : judge(r, *context.logout);
    }
    if (r->method != NGX_HTTP_POST) {
        return refuse_method(r, "POST");
    }
    std::string form;
    ngx_int_t read = read_form(r, context, form);
    if (read == NGX_AGAIN) {
        return NGX_AGAIN;
    }
    if (read != NGX_OK) {
        return refuse_token(r, nullptr,
                            oidc::browser_error("logout_token_form", "the body is no form of at most 64 KB"));
    }
    auto fields = oidc::form_decode(form);
    const std::string *token =
        fields && !oidc::find_duplicate(*fields) ? oidc::find_parameter(*fields, "logout_token") : nullptr;
    if (token == nullptr) {
        return refuse_token(r, nullptr,
                            oidc::browser_error("logout_token_form", "the form has not exactly one logout_token"));
    }
    context.logout = std::make_shared<LogoutWork>(*provider_of(*context.endpoint, *token));
    context.logout->token = *token;
    return judge(r, *context.logout);
}

}  // namespace auth_oidc
