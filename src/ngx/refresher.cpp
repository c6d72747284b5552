#include "refresher.hpp"

#include "../oidc/refresh.hpp"
#include "lookup.hpp"
#include "module.hpp"
#include "refresh_flight.hpp"

namespace auth_oidc {

namespace {

constexpr ngx_msec_t look_again = 50;  // nothing in another worker can wake us

std::string key_of(const oidc::Digest &session) {
    return std::string(oidc::bytes(session));
}

ngx_int_t wait_here(ngx_http_request_t *r, Context &context, RefreshFlight &flight) {
    context.renewed = true;
    context.waiter = std::make_unique<Waiter>([r] { resume(r); });
    flight.waiters.add(*context.waiter);
    prepare_wait(r);
    return NGX_AGAIN;
}

ngx_int_t look_later(ngx_http_request_t *r, Context &context) {
    context.alarm =
        std::make_unique<Alarm>([](void *request) { resume(static_cast<ngx_http_request_t *>(request)); }, r);
    context.alarm->after(look_again);
    prepare_wait(r);
    return NGX_AGAIN;
}

// The provider is away. Without a living token only those are stopped who said that they need it.
ngx_int_t go_on_without(ngx_http_request_t *r, const Context &context, const oidc::Digest &session) {
    const Provider &provider = *context.session.provider;
    if (!provider.refresh.required || !oidc::is_access_token_over(context.session.head, ngx_time())) {
        return NGX_OK;
    }
    Failure failure;
    failure.provider = &provider;
    failure.error = oidc::provider_error("token_unavailable", "the access token has ended and cannot be refreshed now",
                                         NGX_HTTP_SERVICE_UNAVAILABLE);
    failure.action = "refresh";
    failure.retry_after = main_conf(r)->refresher->leases.retry_after(session);
    return fail(r, failure);
}

ngx_int_t join(ngx_http_request_t *r, Context &context, oidc::Due due) {
    Refresher &refresher = *main_conf(r)->refresher;
    const oidc::Digest session = oidc::sha256("refresh " + std::string(context.session.identity()));
    if (RefreshFlight *flight = refresher.find(session)) {
        return due == oidc::Due::now ? wait_here(r, context, *flight) : NGX_OK;
    }
    // Nobody waits for two refreshes, however short-lived what the first one brought.
    if (context.renewed) {
        return go_on_without(r, context, session);
    }
    Provider &provider = *context.session.provider;
    switch (refresher.leases.claim(session, provider.connect_timeout + provider.read_timeout)) {
        case LeaseTurn::ours:
            return wait_here(r, context, refresher.start(provider, context.session.cookie, session));
        case LeaseTurn::running:
            return due == oidc::Due::now ? look_later(r, context) : NGX_OK;
        case LeaseTurn::paused:
            break;
    }
    return go_on_without(r, context, session);
}

}  // namespace

Refresher::Refresher(ngx_conf_t *cf, SharedState &shared) : leases(cf), state(shared) {}
Refresher::~Refresher() = default;

RefreshFlight *Refresher::find(const oidc::Digest &session) {
    const auto found = flights_.find(key_of(session));
    return found == flights_.end() ? nullptr : found->second.get();
}

RefreshFlight &Refresher::start(Provider &provider, std::string_view cookie, const oidc::Digest &session) {
    auto flight = std::make_unique<RefreshFlight>(*this, provider, cookie, session);
    return *(flights_[key_of(session)] = std::move(flight));
}

void Refresher::remove(RefreshFlight &flight) {
    const auto found = flights_.find(key_of(flight.session()));
    const std::unique_ptr<RefreshFlight> over = std::move(found->second);
    flights_.erase(found);
    over->waiters.wake_all();
}

void Refresher::drop() {
    flights_.clear();
}

ngx_int_t keep_fresh(ngx_http_request_t *r, Context &context) {
    const FoundSession &session = context.session;
    const oidc::RefreshPolicy &policy = session.provider->refresh;
    if (!policy.watches()) {
        return NGX_OK;
    }
    const oidc::Due due = oidc::refresh_due(session.head, policy, ngx_time());
    return due == oidc::Due::no ? NGX_OK : join(r, context, due);
}

char *set_session_refresh(ngx_conf_t *cf, ngx_command_t *, void *conf) {
    auto *provider = static_cast<Provider *>(conf);
    if (provider->session_refresh != NGX_CONF_UNSET) {
        return const_cast<char *>("is duplicate");
    }
    auto *words = static_cast<ngx_str_t *>(cf->args->elts);
    const std::string_view word = view(words[1]);
    const bool has_more = cf->args->nelts == 3;
    provider->session_refresh = word == "on" || word == "off" ? word == "on" : 1;
    if (word != "on" && word != "off") {
        const ngx_int_t seconds = ngx_parse_time(&words[1], 1);
        if (seconds == NGX_ERROR || seconds == 0) {
            return conf_log(cf, NGX_LOG_EMERG, here(cf),
                            "invalid value \"" + std::string(word) +
                                "\" in \"session_refresh\", it must be \"on\", \"off\" or a time such as 60s");
        }
        provider->refresh.before = seconds;
    }
    if (has_more && (view(words[2]) != "required" || word == "off")) {
        return conf_log(cf, NGX_LOG_EMERG, here(cf),
                        "invalid parameter \"" + std::string(view(words[2])) +
                            "\" in \"session_refresh\", only \"required\" may follow \"on\" or a time");
    }
    provider->refresh.required = has_more;
    return static_cast<char *>(NGX_CONF_OK);
}

// What has to be kept for it says complete_keep. Stragglers of a sealed cookie carry the old refresh token: there it
// has to be asked for.
void complete_refresh(ngx_conf_t *cf, Provider &provider) {
    ngx_conf_init_value(provider.session_refresh, view(provider.session_store) != "cookie");
    ngx_conf_init_value(provider.session_recheck, 0);
    oidc::RefreshPolicy &policy = provider.refresh;
    policy.on = provider.session_refresh == 1;
    policy.recheck = provider.session_recheck;
    policy.id_token = uses_variable(cf, "oidc_id_token");
}

}  // namespace auth_oidc
