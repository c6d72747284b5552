#include "bearer.hpp"

#include "../oidc/protocol.hpp"
#include "../oidc/query.hpp"
#include "endpoints.hpp"
#include "introspector.hpp"
#include "lookup.hpp"
#include "refresher.hpp"
#include "signin.hpp"

namespace auth_oidc {
namespace {

constexpr ngx_msec_t look_again = 50;  // nothing in another worker can wake us

using Providers = std::vector<Provider *>;

// A token on its way to a verdict.
struct Work {
    ngx_http_request_t *r;
    Context &context;
    const BearerConf &conf;
    const Providers &providers;
    std::string_view token;
};

oidc::AccessTokenRules rules_of(const BearerConf &conf) {
    oidc::AccessTokenRules rules;
    rules.audiences = conf.audiences;
    rules.jwt_type = conf.jwt_type;
    rules.now = ngx_time();
    return rules;
}

std::string key_of(const Work &work, const Provider &provider, const oidc::ProviderData &data) {
    const uint64_t keys = data.keys.fingerprint();
    std::string key = provider.binding;
    key.append(reinterpret_cast<const char *>(&keys), sizeof(keys));
    return key.append(work.conf.rules).append(work.token);
}

// The token's claims take the place of a session's.
ngx_int_t accept(const Work &work, Provider &provider, std::shared_ptr<const std::string> record) {
    Context &context = work.context;
    auto view = oidc::SessionView::over(*record);
    if (!view) {
        return fail(
            work.r,
            {&provider, oidc::our_error("bearer_record", "the token's claims cannot be read"), {}, "bearer", 0, {}});
    }
    context.session = {};
    context.session.provider = &provider;
    context.session.token = work.token;
    context.session.head = view->head();
    context.token_record = std::move(record);
    context.session.record = *context.token_record;
    context.session.view = view;
    context.session.loaded = true;
    if (!oidc::has_scopes(*context.session.view, work.conf.scopes)) {
        context.session = {};
        return refuse_token(work.r, provider,
                            oidc::browser_error("access_token_scope",
                                                "expected the scopes \"" + oidc::join_words(work.conf.scopes) +
                                                    "\", the token lacks one of them",
                                                NGX_HTTP_FORBIDDEN));
    }
    context.status = "bearer";
    main_conf(work.r)->state->add(Count::bearer_accepted);
    return NGX_OK;
}

// By the token's own word, which the signature has to confirm afterwards.
Provider *provider_of(const Work &work, std::string &issuer) {
    auto parsed = oidc::parse_jws(work.token);
    issuer = parsed ? parsed->claims.string("iss").value_or("") : "";
    for (Provider *provider : work.providers) {
        if (is_issuer(*provider, issuer)) {
            return provider;
        }
    }
    // Alone, it says itself what is wrong with the token.
    return work.providers.size() == 1 ? work.providers[0] : nullptr;
}

ngx_int_t refuse_issuer(const Work &work, const std::string &issuer) {
    std::string expected;
    for (const Provider *provider : work.providers) {
        expected += (expected.empty() ? "\"" : " or \"") + provider->client.issuer + "\"";
    }
    return refuse_token(
        work.r, *work.providers[0],
        oidc::browser_error("access_token_iss", "expected " + expected + ", found \"" + oidc::log_safe(issuer) + "\"",
                            NGX_HTTP_UNAUTHORIZED));
}

// Tokens of strangers may force a fetch of the keys once a minute. NGX_OK: there are newer ones.
ngx_int_t fetch_keys(const Work &work, Provider &provider, const oidc::ProviderData &stale) {
    if (std::exchange(work.context.asked_for_keys, true)) {
        return NGX_DECLINED;
    }
    work.context.waiter = std::make_unique<Waiter>([r = work.r] { resume(r); });
    const ngx_int_t started = provider.keyring->refresh_keys(*work.context.waiter, KeysFor::strangers, &stale);
    if (started == NGX_AGAIN) {
        prepare_wait(work.r);
    }
    return started;
}

ngx_int_t judge_signed(const Work &work) {
    std::string issuer;
    Provider *provider = provider_of(work, issuer);
    if (provider == nullptr) {
        return refuse_issuer(work, issuer);
    }
    auto data = provider->keyring->current();
    if (!data) {
        return wait_for_data(work.r, work.context, *provider, Need::keys);
    }
    auto claims = oidc::check_access_token(provider->client, *data, work.token, rules_of(work.conf));
    if (!claims && oidc::may_be_stale_keys(claims.error())) {
        const ngx_int_t started = fetch_keys(work, *provider, *data);
        if (started != NGX_DECLINED) {
            return started == NGX_AGAIN ? NGX_AGAIN : judge_signed(work);
        }
    }
    if (!claims) {
        return refuse_token(work.r, *provider, claims.error());
    }
    const oidc::Session session = oidc::session_of_token(provider->client, *claims, 0);
    WorkerTokens &known = *main_conf(work.r)->tokens;
    return accept(work, *provider,
                  known.add(key_of(work, *provider, *data), oidc::write_session(session),
                            session.head.ends + provider->clock_skew));
}

ngx_int_t no_verdict(const Work &work, const Provider &provider, ngx_uint_t retry_after) {
    Failure failure;
    failure.provider = &provider;
    failure.error = oidc::provider_error("introspection_unavailable", "the provider gives no answer about a token",
                                         NGX_HTTP_SERVICE_UNAVAILABLE);
    failure.action = "bearer";
    failure.retry_after = retry_after;
    return fail(work.r, failure);
}

ngx_int_t ask(const Work &work, const IntrospectionQuestion &question) {
    Introspector &introspector = *main_conf(work.r)->introspector;
    Context &context = work.context;
    if (context.introspected) {
        return no_verdict(work, question.provider, introspector.retry_after(question.key));
    }
    context.waiter = std::make_unique<Waiter>([r = work.r] { resume(r); });
    switch (introspector.ask(question, *context.waiter)) {
        case Asked::started:
            context.introspected = true;
            break;
        case Asked::running:
            context.alarm =
                std::make_unique<Alarm>([](void *r) { resume(static_cast<ngx_http_request_t *>(r)); }, work.r);
            context.alarm->after(look_again);
            break;
        case Asked::failed:
            return no_verdict(work, question.provider, introspector.retry_after(question.key));
    }
    prepare_wait(work.r);
    return NGX_AGAIN;
}

ngx_int_t judge_opaque(const Work &work, Provider &provider, const oidc::ProviderData &data) {
    const std::string name = key_of(work, provider, data);
    const oidc::Digest key = oidc::sha256(name);
    if (auto known = main_conf(work.r)->introspector->answers.find(key, ngx_time())) {
        work.context.introspected = false;  // another location may have another question
        if (known->good) {
            return accept(work, provider, main_conf(work.r)->tokens->add(name, std::move(known->text), known->ends));
        }
        const size_t end = known->text.find('\n');
        return refuse_token(
            work.r, provider,
            oidc::browser_error(known->text.substr(0, end), known->text.substr(end + 1), NGX_HTTP_UNAUTHORIZED));
    }
    return ask(work, {provider, work.token, rules_of(work.conf), data, key});
}

// An opaque token names no issuer: the first provider that can be asked is asked, and no other one ever sees it.
ngx_int_t judge_opaque(const Work &work) {
    for (Provider *provider : work.providers) {
        auto data = provider->keyring->current(Need::metadata);
        if (!data) {
            return wait_for_data(work.r, work.context, *provider, Need::metadata);
        }
        if (!data->metadata.introspection_endpoint.empty()) {
            return judge_opaque(work, *provider, *data);
        }
    }
    return refuse_token(work.r, *work.providers[0],
                        oidc::browser_error("access_token_format",
                                            "it is no signed token, and the provider has no introspection_endpoint",
                                            NGX_HTTP_UNAUTHORIZED));
}

ngx_int_t judge(const Work &work) {
    for (Provider *provider : work.providers) {
        auto data = provider->keyring->current(Need::metadata);
        auto record = data ? main_conf(work.r)->tokens->find(key_of(work, *provider, *data), ngx_time()) : nullptr;
        if (record) {
            return accept(work, *provider, std::move(record));
        }
    }
    return oidc::is_signed_token(work.token) ? judge_signed(work) : judge_opaque(work);
}

}  // namespace

std::string challenge_of(ngx_http_request_t *r, const Provider &provider) {
    std::string text = "Bearer realm=\"" + std::string(view(provider.name)) + "\"";
    const BearerConf *conf = location_conf(r)->bearer;
    if (conf != nullptr && !conf->scopes.empty()) {
        text += ", scope=\"" + oidc::join_words(conf->scopes) + "\"";
    }
    return conf == nullptr || conf->resource.empty() ? text
                                                     : text + ", resource_metadata=\"" + conf->metadata_url + "\"";
}

// RFC 6750 3 and 3.1
ngx_int_t refuse_token(ngx_http_request_t *r, const Provider &provider, const oidc::Error &error) {
    Context &context = ensure_context(r);
    const std::string code(oidc::bearer_error(error));
    const std::string why = oidc::description_safe(error.text);
    main_conf(r)->state->add(Count::bearer_refused);
    context.status = "refused";
    context.error = code;
    context.error_description = error.text;
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "auth_oidc: bearer refused, provider \"%V\", rule %s: %s",
                  &provider.name, error.rule.c_str(), error.text.c_str());
    add_header(r, "WWW-Authenticate",
               challenge_of(r, provider) + ", error=\"" + code + "\", error_description=\"" + why + "\"");
    const auto status = static_cast<ngx_uint_t>(error.status);
    if (is_taken_over(r, status)) {
        return static_cast<ngx_int_t>(status);
    }
    return send_answer(r, {status,
                           "application/json",
                           "{\"error\":\"" + code + "\",\"error_description\":\"" + oidc::json_escape(why) + "\"}",
                           {}});
}

// auth_oidc_set_header may have taken Authorization out of the list of headers: what nginx keeps beside the list is
// what the client sent. (Two of them never get here: nginx answers 400 itself.)
ngx_int_t find_token(ngx_http_request_t *r, Context &context, const Providers &providers) {
    const ngx_table_elt_t *header = r->headers_in.authorization;
    auto token = oidc::read_credentials(header ? view(header->value) : std::string_view());
    if (token && token->empty()) {
        return NGX_DECLINED;
    }
    context.session = {};
    if (!token) {
        return refuse_token(r, *providers[0], token.error());
    }
    if (oidc::has_query_token(view(r->args))) {
        return refuse_query_token(r, *providers[0]);
    }
    return judge({r, context, *location_conf(r)->bearer, providers, *token});
}

ngx_int_t refuse_query_token(ngx_http_request_t *r, const Provider &provider) {
    hide_query(r, ensure_context(r));  // at least our own answer writes it into no log
    return refuse_token(r, provider,
                        oidc::browser_error("bearer_query",
                                            "a token in the query is never taken, send it in the "
                                            "Authorization header",
                                            NGX_HTTP_BAD_REQUEST));
}

void complete_bearer(ngx_conf_t *cf, MainConf &main) {
    if (main.any_bearer) {
        main.tokens = std::make_shared<WorkerTokens>();
        main.introspector = std::make_shared<Introspector>(cf, main.refresher->leases);
    }
}

}  // namespace auth_oidc
