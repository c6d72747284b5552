#include "request.hpp"

#include <algorithm>

#include "../oidc/http.hpp"

namespace auth_oidc {
namespace {

constexpr size_t max_target = 1200;

void destroy_context(void *data) noexcept {
    static_cast<Context *>(data)->~Context();
}

// r->ctx is emptied by an internal redirect; the context is still known to the pool.
Context *find_in_pool(ngx_http_request_t *main) {
    for (ngx_pool_cleanup_t *cleanup = main->pool->cleanup; cleanup != nullptr; cleanup = cleanup->next) {
        if (cleanup->handler == destroy_context) {
            return static_cast<Context *>(cleanup->data);
        }
    }
    return nullptr;
}

struct HostPort {
    std::string_view host, port;  // port with its colon, or empty
};

// nginx's own parse of the host, and the port as the client wrote it.
HostPort request_host(ngx_http_request_t *r) {
    std::string_view host = view(r->headers_in.server);
    std::string_view written = r->headers_in.host ? view(r->headers_in.host->value) : std::string_view();
    size_t colon = written.rfind(':');
    if (colon == std::string_view::npos || written.find(']', colon) != std::string_view::npos) {
        return {host, {}};
    }
    return {host, written.substr(colon)};
}

bool matches_wildcard(std::string_view name, std::string_view host) {
    if (name.size() > 2 && name[0] == '*') {
        return oidc::ends_with(host, name.substr(1)) && host.size() > name.size() - 1;
    }
    if (name.size() > 1 && name[0] == '.') {
        return host == name.substr(1) || (oidc::ends_with(host, name) && host.size() > name.size());
    }
    if (name.size() > 2 && oidc::ends_with(name, ".*")) {
        return oidc::starts_with(host, name.substr(0, name.size() - 1)) && host.size() > name.size() - 1;
    }
    return host == name;
}

bool matches_name(const ServerName &name, std::string_view host) {
#if (NGX_PCRE)
    if (name.regex != nullptr) {
        ngx_str_t text = borrow(host);
        return ngx_regex_exec(name.regex->regex, &text, nullptr, 0) >= 0;
    }
#endif
    return matches_wildcard(name.text, host);
}

// A server without a name takes any host (nginx -t warns).
bool is_own_host(ngx_http_request_t *r, std::string_view host) {
    const std::vector<ServerName> &names = server_conf(r)->names;
    return names.empty() || oidc::http::is_loopback_host(host) ||
           std::any_of(names.begin(), names.end(), [&](const ServerName &name) { return matches_name(name, host); });
}

bool is_host_text(std::string_view text) {
    return !text.empty() &&
           text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._[]:") == std::string_view::npos;
}

oidc::Result<std::string> configured_base(ngx_http_request_t *r, ngx_http_complex_value_t *value) {
    std::string text = evaluate(r, value);
    auto url = oidc::http::parse_url(text);
    if (!url || url->target != "/") {
        return oidc::our_error("base_url",
                               "auth_oidc_base_url gives no URL of scheme and host: \"" + oidc::log_safe(text) + "\"");
    }
    return url->origin();
}

}  // namespace

Context *get_context(ngx_http_request_t *r) {
    ngx_http_request_t *main = r->main;
    auto *context = static_cast<Context *>(ngx_http_get_module_ctx(main, ngx_http_auth_oidc_module));
    if (context == nullptr && (main->internal || r != main)) {
        context = find_in_pool(main);
        if (context != nullptr) {
            ngx_http_set_ctx(main, context, ngx_http_auth_oidc_module);
        }
    }
    return context;
}

Context &ensure_context(ngx_http_request_t *r) {
    if (Context *context = get_context(r)) {
        return *context;
    }
    ngx_http_request_t *main = r->main;
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(main->pool, sizeof(Context));
    if (cleanup == nullptr) {
        throw std::bad_alloc();
    }
    auto *context = new (cleanup->data) Context(main);
    cleanup->handler = destroy_context;
    ngx_http_set_ctx(main, context, ngx_http_auth_oidc_module);
    return *context;
}

RequestCookies &cookies_of(ngx_http_request_t *r, Context &context) {
    if (!context.collected) {
        context.cookies.collect(r->main, *main_conf(r), false);
        context.collected = true;
    }
    return context.cookies;
}

std::string_view request_header(ngx_http_request_t *r, std::string_view lower_case_name) {
    for (ngx_list_part_t *part = &r->headers_in.headers.part; part != nullptr; part = part->next) {
        auto *elements = static_cast<ngx_table_elt_t *>(part->elts);
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (elements[i].key.len == lower_case_name.size() &&
                ngx_strncmp(elements[i].lowcase_key, lower_case_name.data(), lower_case_name.size()) == 0) {
                return view(elements[i].value);
            }
        }
    }
    return {};
}

std::string evaluate(ngx_http_request_t *r, ngx_http_complex_value_t *value) {
    ngx_str_t text{};
    if (ngx_http_complex_value(r, value, &text) != NGX_OK) {
        throw std::bad_alloc();
    }
    return std::string(view(text));
}

oidc::Result<std::string> base_url(ngx_http_request_t *r, const Provider *provider) {
    if (auto *value = location_conf(r)->base_url) {
        return configured_base(r, value);
    }
    HostPort host = request_host(r);
    if (!is_host_text(host.host) || host.port.find_first_not_of(":0123456789") != std::string_view::npos ||
        !is_own_host(r, host.host)) {
        return oidc::browser_error("host",
                                   "the Host of the request is no server_name of this server: \"" +
                                       oidc::log_safe(host.host) +
                                       "\"; write auth_oidc_base_url where another name is meant",
                                   NGX_HTTP_MISDIRECTED_REQUEST);
    }
    auto absolute = provider ? oidc::http::parse_url(provider->client.redirect_uri) : std::nullopt;
    if (absolute && absolute->host == host.host) {
        return absolute->origin();
    }
    bool tls = false;
#if (NGX_HTTP_SSL)
    tls = r->connection->ssl != nullptr;
#endif
    return std::string(tls ? "https://" : "http://") + std::string(host.host) + std::string(host.port);
}

std::string return_target(ngx_http_request_t *r) {
    std::string_view target = view(r->unparsed_uri);
    if (target.size() > max_target) {
        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "auth_oidc: the request target is too long to return to, "
                      "%uz bytes of at most %uz: the query is left out",
                      target.size(), max_target);
        target = target.substr(0, target.find('?'));
    }
    return target.empty() || target[0] != '/' || target.size() > max_target ? "/" : std::string(target);
}

void prepare_wait(ngx_http_request_t *r) {
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
}

void resume(ngx_http_request_t *r) {
    ngx_connection_t *c = r->connection;
    ngx_http_set_log_request(c->log, r);
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;
    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
}

}  // namespace auth_oidc
