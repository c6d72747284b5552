// The access phase: who may come in, and what somebody gets who is not signed in.
#include "../oidc/text.hpp"
#include "bearer.hpp"
#include "lookup.hpp"
#include "module.hpp"
#include "open_requests.hpp"
#include "preserve_post.hpp"
#include "refresher.hpp"
#include "request.hpp"
#include "require.hpp"
#include "signin.hpp"
#include "site_page.hpp"
#include "streamlit.hpp"

namespace auth_oidc {
namespace {

// What kind of request wants in. Only a navigation is ever sent to sign in; nobody is let in by a
// header.
enum class Kind { navigation, framed, post, program };

bool has_html(ngx_http_request_t *r) {
    return request_header(r, "accept").find("text/html") != std::string_view::npos;
}

Kind kind_of_get(ngx_http_request_t *r) {
    std::string_view mode = request_header(r, "sec-fetch-mode");
    if (mode.empty()) {
        return has_html(r) ? Kind::navigation : Kind::program;
    }
    if (mode != "navigate" || request_header(r, "sec-purpose").find("prefetch") != std::string_view::npos) {
        return Kind::program;
    }
    std::string_view destination = request_header(r, "sec-fetch-dest");
    return destination.empty() || destination == "document" ? Kind::navigation : Kind::framed;
}

Kind kind_of(ngx_http_request_t *r) {
    if (!request_header(r, "upgrade").empty() || !request_header(r, "x-requested-with").empty()) {
        return Kind::program;
    }
    if (r->method == NGX_HTTP_GET || r->method == NGX_HTTP_HEAD) {
        return kind_of_get(r);
    }
    std::string_view mode = request_header(r, "sec-fetch-mode");
    bool page = mode.empty() ? has_html(r) : mode == "navigate";
    return r->method == NGX_HTTP_POST && page ? Kind::post : Kind::program;
}

using Providers = std::vector<Provider *>;

// The site's own error_page for 401 finds the reason in $oidc_error.
bool site_answers(ngx_http_request_t *r) {
    Context &context = ensure_context(r);
    context.error = "login_required";
    context.error_description = "sign in at login_url";
    return is_taken_over(r, NGX_HTTP_UNAUTHORIZED);
}

// RFC 6750 section 3: a challenge without an error, for there was no token.
ngx_int_t answer_program(ngx_http_request_t *r, const Provider &provider) {
    std::string url = login_url(provider, {});
    add_header(r, "WWW-Authenticate", challenge_of(r, provider));
    if (site_answers(r)) {
        return NGX_HTTP_UNAUTHORIZED;
    }
    std::string body = "{\"error\":\"login_required\",\"error_description\":\"sign in at login_url\",\"login_url\":\"" +
                       oidc::json_escape(url) + "\"}";
    if (takes_only_tokens(*location_conf(r))) {
        body = "{\"error\":\"login_required\",\"error_description\":\"send an access token\"}";
    }
    return send_answer(r, {NGX_HTTP_UNAUTHORIZED, "application/json", std::move(body), {}});
}

// One of several providers is chosen on the sign-in page, which login_uri shows.
std::string choice_url(const Providers &providers, const std::string &target) {
    if (providers.size() == 1) {
        return login_url(*providers[0], target);
    }
    return std::string(view(providers[0]->login_uri)) + "?return_to=" + oidc::percent_encode(target);
}

ngx_int_t answer_page(ngx_http_request_t *r, const Providers &providers, Kind kind) {
    std::string target = kind == Kind::post ? "/" : return_target(r);
    ngx_int_t site = send_site_page(r, SitePage::signin, {NGX_HTTP_UNAUTHORIZED, {}, target});
    if (site != NGX_DECLINED) {
        return site;
    }
    if (site_answers(r)) {
        return NGX_HTTP_UNAUTHORIZED;
    }
    std::string url = choice_url(providers, target);
    std::string page = signin_needed_page({"Sign in", url}, kind == Kind::post, kind == Kind::framed);
    return send_answer(r,
                       {NGX_HTTP_UNAUTHORIZED, "text/html; charset=utf-8", std::move(page), {}, kind == Kind::framed});
}

ngx_int_t login_or_choice(ngx_http_request_t *r, Context &context, const Providers &providers) {
    if (providers.size() > 1) {
        return send_choice(r, providers, return_target(r), NGX_HTTP_UNAUTHORIZED);
    }
    LoginWish wish;
    wish.target = return_target(r);
    return start_login(r, context, *providers[0], wish);
}

ngx_int_t refuse(ngx_http_request_t *r, const Providers &providers) {
    Kind kind = kind_of(r);
    return kind == Kind::program ? answer_program(r, *providers[0]) : answer_page(r, providers, kind);
}

ngx_int_t answer_anonymous(ngx_http_request_t *r, Context &context, const Providers &providers) {
    LocationConf *location = location_conf(r);
    std::string mode = location->anonymous ? evaluate(r, location->anonymous) : "auto";
    context.login_provider = providers[0];
    if (location->bearer != nullptr && oidc::has_query_token(view(r->args))) {
        return refuse_query_token(r, *providers[0]);
    }
    if (mode == "allow" && location->policy != nullptr) {
        mode = "auto";  // what not every account may see, a stranger may not
    }
    if (mode == "allow") {
        return NGX_DECLINED;  // never NGX_OK: `satisfy any; deny all` would open
    }
    if (takes_only_tokens(*location)) {
        return answer_program(r, *providers[0]);
    }
    if (location->preserve_post == 1 && (mode == "auto" || mode == "login") && kind_of(r) == Kind::post) {
        return site_answers(r) ? static_cast<ngx_int_t>(NGX_HTTP_UNAUTHORIZED) : answer_post(r, context, providers);
    }
    if (mode == "login") {
        return login_or_choice(r, context, providers);
    }
    if (mode == "auto") {
        return kind_of(r) == Kind::navigation ? login_or_choice(r, context, providers) : refuse(r, providers);
    }
    if (mode == "deny") {
        return answer_program(r, *providers[0]);
    }
    return fail(r, {nullptr,
                    oidc::our_error("anonymous_mode", "\"auth_oidc_anonymous\" gives \"" + oidc::log_safe(mode) +
                                                          "\", expected auto, login, deny or allow"),
                    {},
                    "login",
                    0,
                    {}});
}

ngx_int_t fail_configuration(ngx_http_request_t *r, std::string message) {
    Failure failure;
    failure.error = oidc::our_error("unknown_provider", std::move(message));
    return fail(r, failure);
}

// The providers that auth_oidc of this location names for this request. NGX_OK: go on with them. NGX_DECLINED: off.
ngx_int_t evaluate_providers(ngx_http_request_t *r, const LocationConf &location, Providers &providers) {
    std::vector<std::string> names;
    for (ngx_uint_t i = 0; i < location.auth_oidc->nelts; i++) {
        auto &value = static_cast<ngx_http_complex_value_t *>(location.auth_oidc->elts)[i];
        std::vector<std::string> words = oidc::split_words(evaluate(r, &value));
        if (words.empty()) {
            return fail_configuration(r, "the variable in \"auth_oidc\" is empty: only \"off\" opens");
        }
        names.insert(names.end(), words.begin(), words.end());
    }
    if (names.size() == 1 && names[0] == "off") {
        return NGX_DECLINED;
    }
    for (const std::string &name : names) {
        Provider *provider = main_conf(r)->find(name);
        if (provider == nullptr) {
            return fail_configuration(
                r, "\"auth_oidc\" names \"" + oidc::log_safe(name) + "\", and there is no oidc_provider of that name");
        }
        providers.push_back(provider);
    }
    return NGX_OK;
}

// The idle life is written back only after a tenth of it: most requests write nothing.
void note_use(ngx_http_request_t *r, Context &context) {
    Provider &provider = *context.session.provider;
    int64_t idle = ngx_time() - context.session.head.last_used;
    if (provider.session_idle_timeout == 0 || location_conf(r)->touch != 1 ||
        idle <= provider.session_idle_timeout / 10) {
        return;
    }
    auto *call = pool_new<StoreCall>(r->pool);
    prepare_call(r, *call, provider, context.session.cookie);
    call->done = [](StoreCall *) {};  // whether it came through, the next request will see
    if (call->store->ops->touch(call) == NGX_OK && !call->new_cookie.empty()) {
        context.new_cookie = call->new_cookie;
    }
}

ngx_int_t decide(ngx_http_request_t *r, const Providers &providers) {
    Context &context = ensure_context(r);
    if (location_conf(r)->bearer != nullptr) {
        ngx_int_t token = find_token(r, context, providers);
        if (token != NGX_DECLINED) {
            return token == NGX_OK ? check_rules(r, context) : token;
        }
    }
    if (takes_only_tokens(*location_conf(r))) {
        context.session = {};
        context.status = "anonymous";
        return answer_anonymous(r, context, providers);
    }
    note_ends(r, context);
    ngx_int_t found = find_session(r, context, providers);
    if (found == NGX_OK) {
        note_use(r, context);
        context.status = "session";
        ngx_int_t fresh = keep_fresh(r, context);
        ngx_int_t allowed = fresh == NGX_OK ? check_rules(r, context) : fresh;
        if (allowed == NGX_OK) {
            watch_session(r, context);
        }
        return allowed;
    }
    if (found == NGX_AGAIN) {
        return NGX_AGAIN;
    }
    if (found == NGX_ERROR) {
        return fail_store(r, providers[0], "session look-up");
    }
    context.status = "anonymous";
    return answer_anonymous(r, context, providers);
}

}  // namespace

bool is_navigation(ngx_http_request_t *r) {
    return kind_of(r) == Kind::navigation;
}

bool is_program(ngx_http_request_t *r) {
    return kind_of(r) == Kind::program;
}

ngx_int_t send_choice(ngx_http_request_t *r, const Providers &providers, const std::string &target, ngx_uint_t status) {
    ensure_context(r).login_provider = providers[0];
    ngx_int_t site = send_site_page(r, SitePage::signin, {status, {}, target});
    if (site != NGX_DECLINED) {
        return site;
    }
    std::vector<std::string> urls;
    for (const Provider *provider : providers) {
        urls.push_back(login_url(*provider, target));
    }
    std::vector<PageLink> links;
    for (size_t i = 0; i < providers.size(); i++) {
        links.push_back({providers[i]->shown_name(), urls[i]});
    }
    return send_answer(r, {status, "text/html; charset=utf-8", signin_page(links), {}});
}

ngx_int_t on_preaccess(ngx_http_request_t *r) {
    MainConf *main = main_conf(r);
    if (r != r->main || main->providers.empty()) {
        return NGX_DECLINED;
    }
    if (!server_conf(r)->headers.empty()) {
        remove_aliases(r, server_conf(r)->headers);
    }
    if (server_conf(r)->streamlit) {
        strip_streamlit(r);
    }
    RequestCookies cookies;
    cookies.collect(r, *main, true);
    if (cookies.begin() != cookies.end()) {
        Context &context = ensure_context(r);
        context.cookies = std::move(cookies);
        context.collected = true;
    }
    return NGX_DECLINED;
}

namespace {

ngx_int_t authenticate(ngx_http_request_t *r) {
    LocationConf *location = location_conf(r);
    if (location->auth_oidc == nullptr || location->auth_oidc->nelts == 0) {
        return NGX_DECLINED;
    }
    if (location->constant) {
        return decide(r, location->providers);
    }
    Providers providers;
    ngx_int_t named = evaluate_providers(r, *location, providers);
    return named == NGX_OK ? decide(r, providers) : named;
}

}  // namespace

ngx_int_t on_access(ngx_http_request_t *r) {
    if (shows_site_page(r)) {
        return NGX_DECLINED;
    }
    ngx_int_t answer = authenticate(r);
    if (answer != NGX_OK && answer != NGX_DECLINED) {
        return answer;
    }
    ngx_int_t required = location_conf(r)->require_values ? check_values_required(r) : static_cast<ngx_int_t>(NGX_OK);
    return required == NGX_OK ? answer : required;
}

}  // namespace auth_oidc
