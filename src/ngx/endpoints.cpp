#include "endpoints.hpp"

#include "../oidc/http.hpp"
#include "body.hpp"
#include "callback_host.hpp"
#include "module.hpp"
#include "preserve_post.hpp"
#include "signin.hpp"
#include "streamlit.hpp"

namespace auth_oidc {
namespace {

// proxy_location is for our own calls, which are subrequests. A client that asks for it must not find an open proxy.
ngx_int_t serve_provider_calls(ngx_http_request_t *, Context &) {
    return NGX_HTTP_NOT_FOUND;
}

struct Row {
    EndpointKind kind;
    ngx_int_t (*serve)(ngx_http_request_t *r, Context &context);
    bool secret_query;  // its query holds codes or tokens: no log may show it
};
constexpr Row rows[] = {
    {EndpointKind::callback, serve_callback, true},
    {EndpointKind::login, serve_login, false},
    {EndpointKind::session, serve_session, false},
    {EndpointKind::logout, serve_logout, false},
    {EndpointKind::post, serve_post, false},
    {EndpointKind::post_script, serve_post_script, false},
    {EndpointKind::frontchannel, serve_frontchannel, true},
    {EndpointKind::backchannel, serve_backchannel, true},
    {EndpointKind::provider_calls, serve_provider_calls, false},
    {EndpointKind::resource, serve_resource, false},
};

const Row &row_of(EndpointKind kind) {
    for (const Row &row : rows) {
        if (row.kind == kind) {
            return row;
        }
    }
    return rows[0];
}

// By path and server, before any location is looked for.
const Endpoint *find_endpoint(ngx_http_request_t *r) {
    for (const Endpoint &endpoint : server_conf(r)->endpoints) {
        if (endpoint.path == view(r->uri)) {
            return &endpoint;
        }
    }
    return nullptr;
}

}  // namespace

void hide_query(ngx_http_request_t *r, Context &context) {
    context.query = r->args;
    std::string line = std::string(view(r->method_name)) + " " + std::string(view(r->uri));
    if (view(r->http_protocol).size() != 0) {
        line += " " + std::string(view(r->http_protocol));
    }
    r->request_line = copy(r->pool, line);
    r->unparsed_uri = copy(r->pool, view(r->uri));
    ngx_str_null(&r->args);
    r->valid_unparsed_uri = 0;
}

namespace {

// third-party-initiated login and st.login("name"): the provider by name or by issuer.
Provider *chosen_provider(const Endpoint &endpoint, const oidc::Parameters &query) {
    const std::string *name = oidc::find_parameter(query, "provider");
    const std::string *issuer = oidc::find_parameter(query, "iss");
    for (Provider *provider : endpoint.providers) {
        if ((name && *name == view(provider->name)) || (!name && issuer && *issuer == view(provider->issuer))) {
            return provider;
        }
    }
    if (name) {
        return provider_by_token(endpoint, *name);
    }
    return !issuer && endpoint.providers.size() == 1 ? endpoint.providers[0] : nullptr;
}

ngx_int_t unknown_provider(ngx_http_request_t *r) {
    return fail(
        r, {nullptr,
            oidc::browser_error("unknown_provider",
                                "the login URL names a provider that this server does not have, or by a token that is "
                                "forged or too old"),
            {},
            "login",
            0,
            {}});
}

}  // namespace

std::string safe_target(std::string_view value, std::string_view fallback) {
    bool usable = !value.empty() && value[0] == '/' && value.size() <= 1200;
    for (char c : value) {
        usable = usable && static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '\\';
    }
    return std::string(usable ? value : fallback);
}

ngx_int_t refuse_method(ngx_http_request_t *r, std::string_view allowed) {
    add_header(r, "Allow", allowed);
    Failure failure;
    failure.error = oidc::browser_error(
        "method", "the method " + oidc::log_safe(view(r->method_name)) + " is not one of " + std::string(allowed),
        NGX_HTTP_NOT_ALLOWED);
    failure.action = "request";
    return fail(r, failure);
}

namespace {

// return_to, or what a third party wants opened (C 4): a URL of this origin, or a path. Anything else is the front
// page.
std::string wanted_target(ngx_http_request_t *r, const Endpoint &endpoint, const oidc::Parameters &query) {
    if (const std::string *path = oidc::find_parameter(query, "return_to")) {
        return safe_target(*path, "/");
    }
    const std::string *link = oidc::find_parameter(query, "target_link_uri");
    const Provider *file = link ? nullptr : file_provider(endpoint);
    if (file != nullptr) {
        return streamlit_target(r, *file);
    }
    auto url = link ? oidc::http::parse_url(*link) : std::nullopt;
    if (!url) {
        return safe_target(link ? *link : "/", "/");
    }
    auto origin = base_url(r, nullptr);
    return origin && *origin == url->origin() ? safe_target(url->target, "/") : "/";
}

// What login_args lets through; a third party's hint (C 4) and the wish for another account always. Empty values are as
// good as none.
oidc::Parameters passed_on(const Provider &provider, const oidc::Parameters &query) {
    oidc::Parameters extra;
    bool third_party = oidc::find_parameter(query, "iss") != nullptr;
    for (const auto &[name, value] : query) {
        bool allowed = oidc::contains(provider.passed_on, name) || (third_party && name == "login_hint") ||
                       (name == "prompt" && value == "select_account");
        if (allowed && !value.empty() && name != "provider" && name != "return_to" && name != "iss") {
            extra.emplace_back(name, value);
        }
    }
    return extra;
}

ngx_int_t login_from_elsewhere(ngx_http_request_t *r, Context &context, Provider &provider, const std::string &sealed) {
    auto wish = wish_from_elsewhere(provider, sealed);
    if (wish) {
        return start_login(r, context, provider, *wish);
    }
    auto error = oidc::browser_error("begun_elsewhere", "the sign-in that began on another host is too old or changed");
    return fail(r, {&provider, error, login_url(provider, "/"), "login", 0, {}});
}

}  // namespace

ngx_int_t serve_login(ngx_http_request_t *r, Context &context) {
    std::string form;
    if (r->method == NGX_HTTP_POST) {
        ngx_int_t read = read_form(r, context, form);
        if (read != NGX_OK) {
            return read == NGX_AGAIN ? NGX_AGAIN : refuse_form(r, read);
        }
    } else if (r->method != NGX_HTTP_GET && r->method != NGX_HTTP_HEAD) {
        return refuse_method(r, "GET, HEAD, POST");
    }
    auto query = oidc::form_decode(r->method == NGX_HTTP_POST ? std::string_view(form) : view(r->args));
    if (!query || oidc::find_duplicate(*query)) {
        return fail(r, {nullptr,
                        oidc::browser_error("login_query",
                                            "the query of the login URL is malformed or names a parameter twice"),
                        {},
                        "login",
                        0,
                        {}});
    }
    std::string target = wanted_target(r, *context.endpoint, *query);
    Provider *provider = chosen_provider(*context.endpoint, *query);
    if (provider == nullptr) {
        bool named = oidc::find_parameter(*query, "provider") || oidc::find_parameter(*query, "iss");
        return named ? unknown_provider(r) : send_choice(r, context.endpoint->providers, target, NGX_HTTP_OK);
    }
    if (const std::string *sealed = oidc::find_parameter(*query, elsewhere_parameter)) {
        return login_from_elsewhere(r, context, *provider, *sealed);
    }
    LoginWish wish;
    wish.extra = passed_on(*provider, *query);
    wish.target = target;
    return start_login(r, context, *provider, wish);
}

ngx_int_t on_post_read(ngx_http_request_t *r) {
    const Endpoint *endpoint = find_endpoint(r);
    if (endpoint != nullptr && row_of(endpoint->kind).secret_query && r->args.len != 0) {
        hide_query(r, ensure_context(r));
    }
    return NGX_DECLINED;
}

// In this phase NGX_AGAIN would end the request: it waits with NGX_DONE, and the phases run again from here. An
// internal redirect and a subrequest never are calls of an endpoint.
ngx_int_t on_server_rewrite(ngx_http_request_t *r) {
    if (r != r->main || r->internal) {
        return NGX_DECLINED;
    }
    Context *context = get_context(r);
    const Endpoint *endpoint = context && context->endpoint ? context->endpoint : find_endpoint(r);
    if (endpoint == nullptr) {
        return check_signed_out(r);
    }
    context = &ensure_context(r);
    context->endpoint = endpoint;
    ngx_int_t answer = row_of(endpoint->kind).serve(r, *context);
    return answer == NGX_AGAIN ? NGX_DONE : answer;
}

}  // namespace auth_oidc
