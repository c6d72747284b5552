#include "lookup.hpp"

#include "../oidc/chunks.hpp"

namespace auth_oidc {
namespace {

void on_answer(StoreCall *call) noexcept {
    resume(static_cast<ngx_http_request_t *>(call->data));
}

// The look-up's own record, or what the store has at once.
std::string_view record_of(ngx_http_request_t *r, const Provider &provider, std::string_view cookie,
                           std::string_view found) {
    if (!found.empty()) {
        return found;
    }
    StoreCall call;
    prepare_call(r, call, provider, cookie);
    bool loaded = call.store->ops->load(&call) == NGX_OK && call.answer == Stored::found;
    return loaded ? call.found : std::string_view();
}

std::string_view sub_of(ngx_http_request_t *r, const Provider &provider, std::string_view cookie,
                        std::string_view found) {
    auto session = oidc::SessionView::over(record_of(r, provider, cookie, found));
    return session ? session->field(oidc::Field::sub) : std::string_view();
}

// Two valid sessions under one cookie name: of one user, the first counts; of two users, neither does, for one of them
// was planted from a neighbouring host.
bool is_tossed(ngx_http_request_t *r, const FoundSession &first, const StoreCall &other) {
    const Provider &provider = *first.provider;
    return first.cookie != other.cookie &&
           sub_of(r, provider, first.cookie, first.record) != sub_of(r, provider, other.cookie, other.found);
}

void refuse_tossed(ngx_http_request_t *r, Context &context) {
    Provider &provider = *context.session.provider;
    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "auth_oidc: two sessions of different users came under the cookie name "
                  "\"%s\", provider \"%V\": neither counts",
                  provider.cookie.c_str(), &provider.name);
    auto base = base_url(r, &provider);
    delete_session_cookie(r, provider, base && is_secure(*base));
    context.session = {};
}

// A store in memory answers at once: only who had to wait is counted.
void note_wait(ngx_http_request_t *r, const Lookup &lookup) {
    SharedState &state = *main_conf(r)->state;
    state.add(Count::store_calls);
    state.add(Count::store_milliseconds, ngx_current_msec - lookup.began);
}

enum class Step { found, absent, waits, failed };

Step ask(ngx_http_request_t *r, Lookup &lookup, const Provider &provider, std::string_view value) {
    StoreCall &call = lookup.call;
    if (call.running != nullptr) {
        return Step::waits;
    }
    if (!lookup.running) {
        prepare_call(r, call, provider, value);
        call.whole = location_conf(r)->policy != nullptr || location_conf(r)->headers != nullptr;
        lookup.began = ngx_current_msec;
        if (call.store->ops->find(&call) == NGX_AGAIN) {
            lookup.running = true;
            return Step::waits;
        }
    }
    if (lookup.running) {
        note_wait(r, lookup);
    }
    lookup.running = false;
    if (call.answer == Stored::unavailable) {
        main_conf(r)->state->add(Count::store_failures);
        return Step::failed;
    }
    return call.answer == Stored::found ? Step::found : Step::absent;
}

void take(ngx_http_request_t *r, Context &context, Provider &provider, StoreCall &call) {
    FoundSession &session = context.session;
    session.provider = &provider;
    session.cookie = call.cookie;
    session.head = call.head;
    session.record = call.found;
    session.id = call.id;
    session.has_id = call.has_id;
    if (!call.new_cookie.empty()) {
        context.new_cookie = std::move(call.new_cookie);
        session.cookie = view(copy(r->main->pool, context.new_cookie));
    }
}

// All cookies of one provider's name, from where the search stands.
Step search(ngx_http_request_t *r, Context &context, Provider &provider) {
    RequestCookies &cookies = cookies_of(r, context);
    Lookup &lookup = context.lookup;
    for (; cookies.begin() + lookup.cookie != cookies.end(); lookup.cookie++) {
        const Cookie &cookie = cookies.begin()[lookup.cookie];
        if (!is_session_cookie(r, provider, cookie.name)) {
            continue;
        }
        std::string_view value = lookup.running ? lookup.call.cookie : session_value(r, context, provider, cookie);
        Step step = ask(r, lookup, provider, value);
        if (step == Step::waits || step == Step::failed) {
            return step;
        }
        if (step == Step::found && context.session.provider == nullptr) {
            take(r, context, provider, lookup.call);
        } else if (step == Step::found && is_tossed(r, context.session, lookup.call)) {
            refuse_tossed(r, context);
            return Step::absent;
        }
    }
    return context.session.provider ? Step::found : Step::absent;
}

// The further chunk that belongs to the first one, or nothing.
std::optional<std::string_view> find_chunk(const RequestCookies &cookies, const std::string &name,
                                           std::string_view mark) {
    for (const Cookie &cookie : cookies) {
        if (cookie.name == name) {
            if (auto text = oidc::read_further_chunk(cookie.value, mark)) {
                return text;
            }
        }
    }
    return std::nullopt;
}

}  // namespace

std::string_view session_value(ngx_http_request_t *r, Context &context, const Provider &provider,
                               const Cookie &cookie) {
    if (!provider.store->ops->chunked) {
        return cookie.value;
    }
    auto first = oidc::read_first_chunk(cookie.value);
    if (!first || first->count == 1) {
        return first ? first->text : std::string_view();
    }
    std::string whole(first->text);
    for (size_t i = 1; i < first->count; i++) {
        auto text = find_chunk(cookies_of(r, context), chunk_name(cookie.name, i), first->mark);
        if (!text) {
            return {};
        }
        whole += *text;
    }
    return view(copy(r->main->pool, whole));
}

// A prefix promises that no neighbour set the cookie: where it is wished, a cookie without it counts on plain http
// only.
bool is_session_cookie(ngx_http_request_t *r, const Provider &provider, std::string_view name) {
    if (provider.cookie_prefix != 1) {
        return name == provider.cookie;
    }
    auto base = base_url(r, &provider);
    return name == session_cookie_name(provider, base && is_secure(*base));
}

void prepare_call(ngx_http_request_t *r, StoreCall &call, const Provider &provider, std::string_view cookie) {
    call.answer = Stored::absent;
    call.found = {};
    call.new_cookie.clear();
    call.has_id = false;
    call.store = provider.store;
    call.pool = r->main->pool;
    call.log = r->connection->log;
    call.cookie = cookie;
    call.binding = provider.binding;
    call.now = ngx_time();
    call.idle_timeout = provider.session_idle_timeout;
    call.whole = false;
    call.done = on_answer;
    call.data = r->main;
}

ngx_int_t find_session(ngx_http_request_t *r, Context &context, const std::vector<Provider *> &providers) {
    Lookup &lookup = context.lookup;
    if (!lookup.running) {
        lookup.provider = lookup.cookie = 0;
        context.session = {};
        context.new_cookie.clear();
    }
    for (; lookup.provider < providers.size(); lookup.provider++, lookup.cookie = 0) {
        switch (search(r, context, *providers[lookup.provider])) {
            case Step::found:
                return NGX_OK;
            case Step::waits:
                prepare_wait(r);
                return NGX_AGAIN;
            case Step::failed:
                return NGX_ERROR;
            case Step::absent:
                break;
        }
    }
    return NGX_DECLINED;
}

const oidc::SessionView *load_session(ngx_http_request_t *r, Context &context) {
    FoundSession &session = context.session;
    if (session.provider == nullptr) {
        return nullptr;
    }
    if (!session.loaded) {
        session.loaded = true;
        session.view = oidc::SessionView::over(record_of(r, *session.provider, session.cookie, session.record));
    }
    return session.view ? &*session.view : nullptr;
}

}  // namespace auth_oidc
