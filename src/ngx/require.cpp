#include "require.hpp"

#include "bearer.hpp"
#include "lookup.hpp"
#include "signin.hpp"

namespace auth_oidc {
namespace {

bool match_pattern(const oidc::Pattern &pattern, std::string_view text) {
#if (NGX_PCRE)
    ngx_str_t subject = borrow(text);
    auto *regex = static_cast<ngx_regex_t *>(const_cast<void *>(pattern.compiled));
    return regex != nullptr && ngx_regex_exec(regex, &subject, nullptr, 0) >= 0;
#else
    (void)pattern;
    (void)text;
    return false;
#endif
}

std::string account_of(const oidc::SessionView &session) {
    for (const char *name : {"email", "preferred_username", "name", "sub"}) {
        auto text = session.claim(name);
        if (text && !text->empty()) {
            return std::string(*text);
        }
    }
    return std::string(session.field(oidc::Field::sub));
}

void log_refusal(ngx_http_request_t *r, const Context &context, const std::string &why) {
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "auth_oidc: access refused, provider \"%V\", %s",
                  &context.session.provider->name, why.c_str());
}

// 403 and never another login round: the same account would be refused again.
ngx_int_t refuse(ngx_http_request_t *r, Context &context, const oidc::SessionView &session,
                 const oidc::Requirement &failed) {
    const std::string why = oidc::describe(failed);
    const Provider &provider = *context.session.provider;
    main_conf(r)->state->add(Count::refusals);
    context.status = "refused";
    context.error = "access_denied";
    context.error_description = why;
    if (failed.status != NGX_HTTP_FORBIDDEN) {
        log_refusal(r, context, why);
        add_header(r, "Cache-Control", "no-store");  // caches may keep a 404, and it holds for this account alone
        return failed.status;
    }
    if (is_program(r) || !context.session.token.empty()) {
        log_refusal(r, context, why);
        if (is_taken_over(r, NGX_HTTP_FORBIDDEN)) {
            return NGX_HTTP_FORBIDDEN;
        }
        return send_answer(r, {NGX_HTTP_FORBIDDEN,
                               "application/json",
                               "{\"error\":\"access_denied\",\"error_description\":\"this account may not do this\"}",
                               {}});
    }
    Failure failure;
    failure.provider = &provider;
    failure.error = oidc::browser_error("access_denied", why, NGX_HTTP_FORBIDDEN);
    failure.action = "access";
    failure.title = "Not for this account";
    failure.explanation = "You are signed in as " + account_of(session) + ", and this account may not open this page.";
    failure.retry_url = login_url(provider, return_target(r)) + "&prompt=select_account";
    failure.retry_text = "Sign in with another account";
    return fail(r, failure);
}

// RFC 9470 for programs; a browser is sent to sign in once more.
ngx_int_t step_up(ngx_http_request_t *r, Context &context, LoginWish wish) {
    Provider &provider = *context.session.provider;
    const bool by_token = !context.session.token.empty();
    if (is_navigation(r) && !by_token) {
        wish.target = return_target(r);
        return start_login(r, context, provider, wish);
    }
    std::string challenge =
        challenge_of(r, provider) +
        ", error=\"insufficient_user_authentication\", error_description=\"another sign-in is needed\"";
    std::string acr;
    for (const std::string &value : wish.acr_values) {
        acr += (acr.empty() ? "" : " ") + value;
    }
    if (!acr.empty()) {
        challenge += ", acr_values=\"" + oidc::json_escape(acr) + "\"";
    }
    if (wish.max_age >= 0) {
        challenge += ", max_age=\"" + std::to_string(wish.max_age) + "\"";
    }
    add_header(r, "WWW-Authenticate", challenge);
    context.status = "refused";
    context.error = "insufficient_user_authentication";
    context.error_description = "another sign-in is needed";
    if (is_taken_over(r, NGX_HTTP_UNAUTHORIZED)) {
        return NGX_HTTP_UNAUTHORIZED;
    }
    std::string body =
        "{\"error\":\"insufficient_user_authentication\",\"error_description\":\"another sign-in is needed\"";
    body += by_token ? "}" : ",\"login_url\":\"" + oidc::json_escape(login_url(provider, {})) + "\"}";
    return send_answer(r, {NGX_HTTP_UNAUTHORIZED, "application/json", std::move(body), {}});
}

// The sign-in of this session must be that fresh. NGX_OK, or what to return.
ngx_int_t check_age(ngx_http_request_t *r, Context &context) {
    ngx_http_complex_value_t *value = location_conf(r)->max_age;
    if (value == nullptr) {
        return NGX_OK;
    }
    std::string text = evaluate(r, value);
    ngx_str_t time = borrow(text);
    ngx_int_t max_age = text.empty() ? static_cast<ngx_int_t>(NGX_ERROR) : ngx_parse_time(&time, 1);
    if (max_age == NGX_ERROR) {
        return fail(r, {context.session.provider,
                        oidc::our_error(
                            "max_age", "\"auth_oidc_max_age\" gives \"" + oidc::log_safe(text) + "\", expected a time"),
                        {},
                        "access",
                        0,
                        {},
                        {}});
    }
    const oidc::SessionHead &head = context.session.head;
    int64_t signed_in = head.auth_time != 0 ? head.auth_time : head.signed_in;
    if (ngx_time() - signed_in <= max_age + context.session.provider->clock_skew * (head.auth_time != 0)) {
        return NGX_OK;
    }
    LoginWish wish;
    wish.max_age = max_age;
    return step_up(r, context, std::move(wish));
}

}  // namespace

ngx_int_t check_rules(ngx_http_request_t *r, Context &context) {
    const oidc::Policy *policy = location_conf(r)->policy;
    if (policy != nullptr) {
        const oidc::SessionView *session = load_session(r, context);
        if (session == nullptr) {
            return NGX_HTTP_FORBIDDEN;  // it went away this very moment: nobody is let in by what cannot be read
        }
        if (const oidc::Requirement *failed = oidc::first_refusal(*policy, *session, match_pattern)) {
            LoginWish wish;
            wish.acr_values = oidc::wanted_acr(*failed);
            if (wish.acr_values.empty()) {
                return refuse(r, context, *session, *failed);
            }
            return step_up(r, context, std::move(wish));  // where it does not help, the callback ends in 403
        }
    }
    return check_age(r, context);
}

}  // namespace auth_oidc
