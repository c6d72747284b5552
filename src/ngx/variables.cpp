// $oidc_*: read from the context of the main request, so that subrequests and the locations after an internal redirect
// show the session that the request was let in with.
#include "../oidc/claims.hpp"
#include "location_fetch.hpp"
#include "lookup.hpp"
#include "module.hpp"
#include "signin.hpp"

namespace auth_oidc {
namespace {

using Value = ngx_http_variable_value_t;

void set(Value *value, std::string_view text) {
    value->data = borrow(text).data;
    value->len = static_cast<unsigned>(text.size());
    value->valid = 1;
    value->no_cacheable = 0;
    value->not_found = 0;
}

void set_copy(ngx_http_request_t *r, Value *value, std::string_view text) {
    set(value, view(copy(r->pool, text)));
}

// One row of the table below: what is read, for a request that has a context.
using Read = void (*)(ngx_http_request_t *r, Context &context, Value *value);

void read_logged_in(ngx_http_request_t *, Context &context, Value *value) {
    set(value, context.session.provider ? "1" : "");
}

void read_provider(ngx_http_request_t *, Context &context, Value *value) {
    if (context.session.provider) {
        set(value, view(context.session.provider->name));
    }
}

// One way: it names the session in a log and opens nothing.
void read_session_id(ngx_http_request_t *r, Context &context, Value *value) {
    if (context.session.provider && context.session.token.empty()) {
        oidc::Digest digest = oidc::sha256("session id " + std::string(context.session.identity()));
        set_copy(r, value, oidc::base64url_encode(oidc::bytes(digest).substr(0, 16)));
    }
}

void read_expires(ngx_http_request_t *r, Context &context, Value *value) {
    const oidc::SessionHead &head = context.session.head;
    if (context.session.provider) {
        set_copy(r, value, std::to_string(oidc::ends_at(head)));
    }
}

void read_status(ngx_http_request_t *, Context &context, Value *value) {
    set(value, context.status);
}
void read_error(ngx_http_request_t *, Context &context, Value *value) {
    set(value, context.error);
}
void read_error_description(ngx_http_request_t *, Context &context, Value *value) {
    set(value, context.error_description);
}

void read_field(ngx_http_request_t *r, Context &context, Value *value, oidc::Field field) {
    if (const oidc::SessionView *session = load_session(r, context)) {
        set(value, session->field(field));
    }
}
void read_id_token(ngx_http_request_t *r, Context &context, Value *value) {
    read_field(r, context, value, oidc::Field::id_token);
}
// One that has ended and could not be refreshed is of no use to anybody.
void read_access_token(ngx_http_request_t *r, Context &context, Value *value) {
    const FoundSession &session = context.session;
    if (!session.token.empty()) {
        return set(value, session.token);
    }
    if (session.provider && session.provider->refresh.on && oidc::is_access_token_over(session.head, ngx_time())) {
        return set(value, "");
    }
    read_field(r, context, value, oidc::Field::access_token);
}
void read_userinfo(ngx_http_request_t *r, Context &context, Value *value) {
    read_field(r, context, value, oidc::Field::userinfo);
}

Provider *shown_provider(ngx_http_request_t *r, Context *context) {
    if (context && context->session.provider) {
        return context->session.provider;
    }
    if (context && context->login_provider) {
        return context->login_provider;
    }
    LocationConf *location = location_conf(r);
    if (!location->providers.empty()) {
        return location->providers[0];
    }
    ServerConf *server = server_conf(r);
    return server->providers.empty() ? nullptr : server->providers[0];
}

// On a sign-in page of the site, where that leads; elsewhere this very page.
std::string shown_target(ngx_http_request_t *r, const Context *context) {
    return context && !context->page_target.empty() ? context->page_target : return_target(r->main);
}

// Links for pages of the site: these make sense without a context too.
ngx_int_t get_login_url(ngx_http_request_t *r, Value *value, uintptr_t) {
    Context *context = get_context(r);
    Provider *provider = shown_provider(r, context);
    value->not_found = 1;
    if (context && !context->page_login_url.empty()) {
        set_copy(r, value, context->page_login_url);
    } else if (provider != nullptr) {
        set_copy(r, value, login_url(*provider, shown_target(r, context)));
    }
    return NGX_OK;
}

ngx_int_t get_logout_url(ngx_http_request_t *r, Value *value, uintptr_t) {
    Provider *provider = shown_provider(r, get_context(r));
    value->not_found = 1;
    if (provider != nullptr && provider->logout_uri.len != 0) {
        set(value, view(provider->logout_uri));
    }
    return NGX_OK;
}

ngx_int_t get_return_to(ngx_http_request_t *r, Value *value, uintptr_t) {
    set_copy(r, value, shown_target(r, get_context(r)));
    return NGX_OK;
}

// Set only inside the module's own subrequests to proxy_location: asked from outside it is empty, and proxy_pass fails.
ngx_int_t get_idp_request_uri(ngx_http_request_t *r, Value *value, uintptr_t) {
    value->not_found = 1;
    if (const std::string *url = location_call_url(r)) {
        set(value, *url);
    }
    return NGX_OK;
}

struct Row {
    const char *name;
    Read read;
};
constexpr Row rows[] = {
    {"oidc_is_logged_in", read_logged_in},
    {"oidc_provider", read_provider},
    {"oidc_session_id", read_session_id},
    {"oidc_session_expires", read_expires},
    {"oidc_auth_status", read_status},
    {"oidc_error", read_error},
    {"oidc_error_description", read_error_description},
    {"oidc_id_token", read_id_token},
    {"oidc_access_token", read_access_token},
    {"oidc_userinfo", read_userinfo},
};

ngx_int_t get_row(ngx_http_request_t *r, Value *value, uintptr_t data) {
    value->not_found = 1;
    if (Context *context = get_context(r)) {
        rows[data].read(r, *context, value);
    }
    return NGX_OK;
}

constexpr std::string_view claim_prefix = "oidc_claim_";

// The name behind $oidc_claim_ is a top-level claim.
ngx_int_t get_claim(ngx_http_request_t *r, Value *value, uintptr_t data) {
    std::string_view name = view(*reinterpret_cast<ngx_str_t *>(data)).substr(claim_prefix.size());
    value->not_found = 1;
    Context *context = get_context(r);
    const oidc::SessionView *session = context ? load_session(r, *context) : nullptr;
    if (auto text = session ? session->claim(name) : std::nullopt) {
        set(value, *text);
    }
    return NGX_OK;
}

struct NewVariable {
    std::string_view name;
    ngx_http_get_variable_pt get;
    uintptr_t data = 0;
    ngx_uint_t flags = 0;
};

bool add(ngx_conf_t *cf, const NewVariable &added) {
    ngx_str_t text = copy(cf->pool, added.name);
    ngx_http_variable_t *variable = ngx_http_add_variable(cf, &text, added.flags | NGX_HTTP_VAR_NOCACHEABLE);
    if (variable == nullptr) {
        return false;
    }
    variable->get_handler = added.get;
    variable->data = added.data;
    return true;
}

}  // namespace

ngx_int_t add_variables(ngx_conf_t *cf) {
    bool added = add(cf, {"oidc_login_url", entry<&get_login_url, NGX_ERROR>}) &&
                 add(cf, {"oidc_logout_url", entry<&get_logout_url, NGX_ERROR>}) &&
                 add(cf, {"oidc_return_to", entry<&get_return_to, NGX_ERROR>}) &&
                 add(cf, {"oidc_idp_request_uri", entry<&get_idp_request_uri, NGX_ERROR>}) &&
                 add(cf, {claim_prefix, entry<&get_claim, NGX_ERROR>, 0, NGX_HTTP_VAR_PREFIX});
    for (size_t i = 0; i < std::size(rows); i++) {
        added = added && add(cf, {rows[i].name, entry<&get_row, NGX_ERROR>, i});
    }
    return added ? take_over_remote_user(cf) : NGX_ERROR;
}

// nginx indexes every variable that the configuration names.
bool uses_variable(ngx_conf_t *cf, std::string_view name) {
    auto *core = static_cast<ngx_http_core_main_conf_t *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    auto *variables = static_cast<ngx_http_variable_t *>(core->variables.elts);
    for (ngx_uint_t i = 0; i < core->variables.nelts; i++) {
        if (view(variables[i].name) == name) {
            return true;
        }
    }
    return false;
}

}  // namespace auth_oidc
