#include "introspector.hpp"

#include <algorithm>

#include "../oidc/protocol.hpp"

namespace auth_oidc {

namespace {

constexpr size_t max_calls = 64;   // of one worker: a flood of made-up tokens does not become a flood at the provider
constexpr int64_t kept_good = 60;  // seconds, at most: so late does a revocation bite
constexpr int64_t kept_refused = 10;  // a token that was made a moment ago may become known

std::string key_of(const oidc::Digest &key) {
    return std::string(oidc::bytes(key));
}

}  // namespace

struct Introspector::Call {
    explicit Call(const IntrospectionQuestion &question)
        : provider(question.provider), metadata(question.data.metadata), key(question.key), rules(question.rules) {}
    Provider &provider;
    const oidc::Metadata metadata;
    const oidc::Digest key;
    oidc::AccessTokenRules rules;
    Waiters waiters;
    std::unique_ptr<Fetch> fetch;
};

Introspector::Introspector(ngx_conf_t *cf, const Leases &leases) : answers(cf), leases_(leases) {}
Introspector::~Introspector() = default;

void Introspector::drop() {
    calls_.clear();
}

oidc::Digest Introspector::lease_of(const oidc::Digest &key) {
    return oidc::sha256("introspection " + key_of(key));
}

Asked Introspector::ask(const IntrospectionQuestion &question, Waiter &waiter) {
    if (const auto running = calls_.find(key_of(question.key)); running != calls_.end()) {
        running->second->waiters.add(waiter);
        return Asked::started;
    }
    Provider &provider = question.provider;
    if (calls_.size() >= max_calls) {
        return Asked::failed;
    }
    switch (leases_.claim(lease_of(question.key), provider.connect_timeout + provider.read_timeout + 1000)) {
        case LeaseTurn::running:
            return Asked::running;
        case LeaseTurn::paused:
            return Asked::failed;
        case LeaseTurn::ours:
            break;
    }
    auto request =
        oidc::introspection_request(provider.client, question.data.metadata, question.token, question.rules.now);
    if (!request) {
        leases_.conclude(lease_of(question.key), true);
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "auth_oidc: introspection failed, provider \"%V\", rule %s: %s",
                      &provider.name, request.error().rule.c_str(), request.error().text.c_str());
        return Asked::failed;
    }
    auto made = std::make_unique<Call>(question);
    Call &call = *(calls_[key_of(question.key)] = std::move(made));
    call.waiters.add(waiter);
    call.fetch = Fetch::start(std::move(*request), provider.fetch,
                              [this, &call](oidc::http::Reply &reply) { finish(call, reply); });
    return Asked::started;
}

// Whether a verdict could be had.
bool Introspector::keep(const Call &call, const oidc::http::Reply &reply) const {
    const int64_t now = ngx_time();
    oidc::AccessTokenRules rules = call.rules;
    rules.now = now;
    auto claims = oidc::read_introspection(call.provider.client, call.metadata, reply, rules);
    if (!claims && claims.error().status != NGX_HTTP_UNAUTHORIZED) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "auth_oidc: introspection failed, provider \"%V\", rule %s: %s",
                      &call.provider.name, claims.error().rule.c_str(), claims.error().text.c_str());
        return false;
    }
    if (!claims) {
        return answers.put(call.key, {false, claims.error().rule + "\n" + claims.error().text, now + kept_refused},
                           now);
    }
    const oidc::Session session = oidc::session_of_token(call.provider.client, *claims, now + kept_good);
    const int64_t ends = std::min(session.head.ends + call.provider.clock_skew, now + kept_good);
    return answers.put(call.key, {true, oidc::write_session(session), ends}, now);
}

void Introspector::finish(Call &call, const oidc::http::Reply &reply) {
    bool kept = false;
    try {
        kept = keep(call, reply);
    } catch (const std::exception &error) {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0, "auth_oidc: introspection failed: %s", error.what());
    }
    leases_.conclude(lease_of(call.key), !kept);
    const auto found = calls_.find(key_of(call.key));
    const std::unique_ptr<Call> over = std::move(found->second);
    calls_.erase(found);
    over->waiters.wake_all();
}

}  // namespace auth_oidc
