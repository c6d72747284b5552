#include "signin.hpp"

#include <algorithm>

#include "../oidc/http.hpp"
#include "../oidc/login.hpp"
#include "callback_host.hpp"

namespace auth_oidc {
namespace {

constexpr size_t max_tickets = 5;       // per browser, with the new one
constexpr size_t max_loop_entries = 3;  // callbacks within a minute before a loop is suspected
constexpr int64_t loop_window = 60;     // seconds

std::string_view without_host_prefix(std::string_view name) {
    return oidc::starts_with(name, host_prefix) ? name.substr(host_prefix.size()) : name;
}

bool is_ticket(std::string_view name) {
    return oidc::starts_with(without_host_prefix(name), ticket_prefix);
}

std::optional<oidc::Ticket> unseal_ticket(Provider &provider, const Cookie &cookie) {
    auto record = provider.sealers->ticket.open(cookie.value, without_host_prefix(cookie.name), ngx_time());
    auto ticket = record ? oidc::read_ticket(*record) : std::nullopt;
    if (!ticket || ticket->provider != provider.binding) {
        return std::nullopt;
    }
    // Two hosts may share a secret, and no two clocks are alike.
    int64_t age = ngx_time() - ticket->created;
    if (age < -provider.client.clock_skew || age > provider.login_timeout) {
        return std::nullopt;
    }
    return ticket;
}

// The same by whichever of these providers it belongs to.
std::optional<OpenedTicket> unseal_ticket(const std::vector<Provider *> &providers, const Cookie &cookie) {
    for (Provider *provider : providers) {
        if (auto ticket = unseal_ticket(*provider, cookie)) {
            return OpenedTicket{provider, std::move(*ticket)};
        }
    }
    return std::nullopt;
}

// A form_post answer comes as a cross-site POST: on plain http no browser would bring the ticket along.
bool can_post_back(std::string_view origin) {
    auto url = oidc::http::parse_url(origin);
    return is_secure(origin) || (url && oidc::http::is_loopback_host(url->host));
}

struct LiveTicket {
    Cookie cookie;
    const Provider *provider;
    int64_t created;
};

size_t bytes_of(const Cookie &cookie) {
    return cookie.name.size() + cookie.value.size() + 3;
}

// The browser's tickets that are still good; all others are deleted on the way.
std::vector<LiveTicket> live_tickets(ngx_http_request_t *r, Context &context, bool secure) {
    std::vector<LiveTicket> live;
    for (const Cookie &cookie : cookies_of(r, context)) {
        if (!is_ticket(cookie.name)) {
            continue;
        }
        if (auto opened = unseal_ticket(main_conf(r)->providers, cookie)) {
            live.push_back({cookie, opened->provider, opened->ticket.created});
        } else {
            login_cookie_setter(nullptr)(r, {without_host_prefix(cookie.name), {}}, secure, 0);
        }
    }
    std::sort(live.begin(), live.end(), [](const LiveTicket &a, const LiveTicket &b) { return a.created < b.created; });
    return live;
}

// Seals the ticket for a cookie of this name, prefix and all; a long target is shortened before an older login is given
// up for it. Empty: it fits into no ticket.
std::string seal_ticket(Provider &provider, const std::string &name, const oidc::Ticket &whole, size_t room) {
    auto seal = [&](const oidc::Ticket &ticket) {
        std::string record = oidc::write_ticket(ticket);
        return record.empty() ? record : provider.sealers->ticket.seal(record, without_host_prefix(name), ngx_time());
    };
    std::string sealed = seal(whole);
    if (name.size() + sealed.size() + 3 <= room) {
        return sealed;
    }
    oidc::Ticket ticket = whole;
    ticket.target = ticket.target.substr(0, ticket.target.find('?'));
    sealed = seal(ticket);
    if (name.size() + sealed.size() + 3 > max_ticket_bytes) {
        ticket.target = "/";
        sealed = seal(ticket);
    }
    return sealed;
}

// False when the ticket cannot be written.
bool store_ticket(ngx_http_request_t *r, Provider &provider, const oidc::LoginBegun &begun, bool secure) {
    std::vector<LiveTicket> live = live_tickets(r, ensure_context(r), secure);
    size_t used = 0;
    for (const LiveTicket &ticket : live) {
        used += bytes_of(ticket.cookie);
    }
    std::string name = std::string(ticket_prefix) + begun.state;
    std::string sent_name = own_cookie_name(name, secure);
    std::string sealed =
        seal_ticket(provider, sent_name, begun.ticket, used < max_ticket_bytes ? max_ticket_bytes - used : 0);
    if (sealed.empty()) {
        return false;
    }
    size_t size = sent_name.size() + sealed.size() + 3;
    for (size_t oldest = 0; oldest < live.size(); oldest++) {
        if (live.size() - oldest < max_tickets && used + size <= max_ticket_bytes) {
            break;
        }
        used -= bytes_of(live[oldest].cookie);
        const LiveTicket &gone = live[oldest];
        login_cookie_setter(gone.provider)(r, {without_host_prefix(gone.cookie.name), {}}, secure, 0);
    }
    login_cookie_setter (&provider)(r, {name, sealed}, secure, provider.login_timeout);
    return true;
}

// The times of callbacks in the last minute, oldest first.
std::vector<int64_t> read_loop(ngx_http_request_t *r, Context &context, Provider &provider, bool secure) {
    std::vector<int64_t> times;
    std::string_view sealed = cookies_of(r, context).find(own_cookie_name(loop_cookie, secure));
    auto text = provider.sealers->guard.open(sealed, loop_cookie, ngx_time());
    for (const std::string &word : oidc::split_words(text ? *text : "")) {
        int64_t time = std::strtoll(word.c_str(), nullptr, 10);
        if (time <= ngx_time() && ngx_time() - time < loop_window) {
            times.push_back(time);
        }
    }
    return times;
}

ngx_int_t send_loop_page(ngx_http_request_t *r, Provider &provider, const LoginWish &wish) {
    Failure failure;
    failure.provider = &provider;
    failure.error = oidc::browser_error("login_loop",
                                        "three sign-ins ended within a minute and yet another one begins: "
                                        "the browser does not keep the session cookie \"" +
                                            provider.cookie + "\"");
    failure.title = "Signing in goes round in circles";
    failure.explanation = "You signed in three times within a minute, but your browser did not keep the cookie \"" +
                          provider.cookie +
                          "\". Perhaps it blocks cookies of this site, or the site is reached by several addresses.";
    failure.retry_url = wish.origin + login_url(provider, wish.target);
    return fail(r, failure);
}

// Names that a login's own parameters have cannot be set from outside; begin_login ignores them.
oidc::Parameters extra_parameters(ngx_http_request_t *r, const Provider &provider, const LoginWish &wish) {
    oidc::Parameters extra;
    if (provider.extra_auth_args != nullptr) {
        auto parsed = oidc::form_decode(evaluate(r, provider.extra_auth_args));
        if (parsed) {
            extra = std::move(*parsed);
        }
    }
    extra.insert(extra.end(), wish.extra.begin(), wish.extra.end());
    return extra;
}

ngx_int_t begin(ngx_http_request_t *r, Context &context, Provider &provider, const LoginWish &wish) {
    auto origin = base_url(r, &provider);
    if (!origin) {
        return fail(r, {&provider, origin.error(), {}, "login", 0, {}});
    }
    if (wish.origin.empty() && has_callback_elsewhere(provider, *origin)) {
        context.status = "login";
        return send_redirect(r, callback_host_url(provider, *origin, wish));
    }
    if (provider.posts_back() && !can_post_back(*origin)) {
        auto error = oidc::our_error("form_post_http",
                                     "\"response_mode form_post\" needs https or a loopback name, found " + *origin);
        return fail(r, {&provider, error, {}, "login", 0, {}});
    }
    auto data = provider.keyring->current(Need::metadata);
    if (!data) {
        return wait_for_data(r, context, provider, Need::metadata);
    }
    if (read_loop(r, context, provider, is_secure(*origin)).size() >= max_loop_entries) {
        return send_loop_page(r, provider, wish);
    }
    oidc::LoginStart start;
    const std::string &redirect_uri = provider.client.redirect_uri;
    start.redirect_uri = redirect_uri[0] == '/' ? *origin + redirect_uri : redirect_uri;
    start.binding = provider.binding;
    start.target = wish.target;
    start.extra = extra_parameters(r, provider, wish);
    start.now = ngx_time();
    start.retried = wish.retried;
    start.acr_values = wish.acr_values;
    start.max_age = wish.max_age;
    auto begun = oidc::begin_login(provider.client, data->metadata, start);
    if (!begun) {
        return fail(r, {&provider, begun.error(), {}, "login", 0, {}});
    }
    begun->ticket.origin = wish.origin;
    if (!store_ticket(r, provider, *begun, is_secure(*origin))) {
        auto error = oidc::our_error("ticket_too_large", "the redirect_uri does not fit into a ticket");
        return fail(r, {&provider, error, {}, "login", 0, {}});
    }
    main_conf(r)->state->add(Count::logins_started);
    context.status = "login";
    return send_redirect(r, begun->url);
}

}  // namespace

decltype(&set_own_cookie) login_cookie_setter(const Provider *provider) {
    return provider != nullptr && provider->posts_back() ? set_cross_site_cookie : set_own_cookie;
}

std::string login_url(const Provider &provider, std::string_view return_to) {
    std::string url = std::string(view(provider.login_uri)) + "?provider=" + oidc::percent_encode(view(provider.name));
    return return_to.empty() ? url : url + "&return_to=" + oidc::percent_encode(return_to);
}

ngx_int_t wait_for_data(ngx_http_request_t *r, Context &context, Provider &provider, Need need) {
    if (!context.waited) {
        context.waited = true;
        context.waiter = std::make_unique<Waiter>([r] { resume(r); });
        if (provider.keyring->wait(*context.waiter, need) == NGX_AGAIN) {
            prepare_wait(r);
            return NGX_AGAIN;
        }
    }
    Failure failure;
    failure.provider = &provider;
    failure.error = oidc::provider_error("provider_data",
                                         "there is no metadata and no key set of the provider yet, and the last "
                                         "try to fetch them failed",
                                         NGX_HTTP_SERVICE_UNAVAILABLE);
    failure.retry_after = provider.keyring->retry_after();
    return fail(r, failure);
}

ngx_int_t start_login(ngx_http_request_t *r, Context &context, Provider &provider, const LoginWish &wish) {
    context.login_provider = &provider;
    return begin(r, context, provider, wish);
}

void count_callback(ngx_http_request_t *r, Context &context, Provider &provider, bool secure) {
    std::vector<int64_t> times = read_loop(r, context, provider, secure);
    times.push_back(static_cast<int64_t>(ngx_time()));
    if (times.size() > max_loop_entries) {
        times.erase(times.begin(), times.end() - static_cast<long>(max_loop_entries));
    }
    std::string text;
    for (int64_t time : times) {
        text += std::to_string(time) + " ";
    }
    std::string sealed = provider.sealers->guard.seal(text, loop_cookie, ngx_time());
    login_cookie_setter (&provider)(r, {loop_cookie, sealed}, secure, loop_window);
}

std::optional<OpenedTicket> open_ticket(ngx_http_request_t *r, Context &context,
                                        const std::vector<Provider *> &providers, std::string_view state) {
    std::string name = std::string(ticket_prefix) + std::string(state);
    for (const Cookie &cookie : cookies_of(r, context)) {
        if (without_host_prefix(cookie.name) != name) {
            continue;
        }
        if (auto opened = unseal_ticket(providers, cookie)) {
            return opened;
        }
    }
    return std::nullopt;
}

}  // namespace auth_oidc
