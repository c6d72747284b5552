#include "cookies.hpp"

#include <algorithm>

#include "../oidc/chunks.hpp"
#include "headers.hpp"
#include "request.hpp"

namespace auth_oidc {
namespace {

bool is_chunk_number(char c) {
    return c >= '1' && c < static_cast<char>('0' + oidc::max_chunks);
}

// NAME, and NAME.1 to NAME.3 of a session that is kept in several cookies.
std::string_view without_chunk_number(std::string_view name) {
    size_t size = name.size();
    return size > 2 && name[size - 2] == '.' && is_chunk_number(name[size - 1]) ? name.substr(0, size - 2) : name;
}

bool is_ours(std::string_view name, const MainConf &main) {
    const auto is_session = [&](std::string_view one) {
        return std::find(main.cookies.begin(), main.cookies.end(), one) != main.cookies.end();
    };
    return is_reserved_cookie(name) || is_session(name) || is_session(without_chunk_number(name));
}

std::string_view trim_left(std::string_view text) {
    size_t start = text.find_first_not_of(" \t");
    return start == std::string_view::npos ? std::string_view() : text.substr(start);
}

Cookie parse_pair(std::string_view segment) {
    std::string_view pair = trim_left(segment);
    size_t equal = pair.find('=');
    if (equal == std::string_view::npos) {
        return {};
    }
    std::string_view value = pair.substr(equal + 1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) {
        value.remove_suffix(1);
    }
    return {pair.substr(0, equal), value};
}

// The segments between semicolons of one Cookie line.
template <class Visit>
void each_segment(std::string_view line, Visit visit) {
    for (size_t start = 0;;) {
        size_t end = line.find(';', start);
        visit(line.substr(start, end == std::string_view::npos ? end : end - start));
        if (end == std::string_view::npos) {
            return;
        }
        start = end + 1;
    }
}

// The line without the cookies of some names; every other byte as it came.
template <class Unwanted>
std::string without(std::string_view line, Unwanted unwanted) {
    std::string kept;
    bool first = true;
    each_segment(line, [&](std::string_view segment) {
        if (unwanted(parse_pair(segment).name)) {
            return;
        }
        if (!first) {
            kept += ';';
        }
        kept += first ? trim_left(segment) : segment;
        first = false;
    });
    return kept;
}

template <class Unwanted>
void strip_line(ngx_http_request_t *r, ngx_table_elt_t *header, Unwanted unwanted) {
    std::string kept = without(view(header->value), unwanted);
    if (kept.empty()) {
        remove_header_line(r, header);
        header->value.len = 0;
    } else {
        header->value = copy(r->pool, kept);
    }
}

#if (nginx_version >= 1023000)
template <class Visit>
void each_cookie_line(ngx_http_request_t *r, Visit visit) {
    for (ngx_table_elt_t *header = r->headers_in.cookie; header != nullptr; header = header->next) {
        visit(header);
    }
}
// Lines that became empty are not in the list of headers any more, so nothing may point at them.
void forget_empty_lines(ngx_http_request_t *r) {
    ngx_table_elt_t **link = &r->headers_in.cookie;
    while (*link != nullptr) {
        if ((*link)->value.len == 0) {
            *link = (*link)->next;
        } else {
            link = &(*link)->next;
        }
    }
}
void forget_cookie_lines(ngx_http_request_t *r) {
    r->headers_in.cookie = nullptr;
}
void note_cookie_line(ngx_http_request_t *r, ngx_table_elt_t *line) {
    ngx_table_elt_t **link = &r->headers_in.cookie;
    while (*link != nullptr) {
        link = &(*link)->next;
    }
    line->next = nullptr;
    *link = line;
}
#else
template <class Visit>
void each_cookie_line(ngx_http_request_t *r, Visit visit) {
    auto **lines = static_cast<ngx_table_elt_t **>(r->headers_in.cookies.elts);
    for (ngx_uint_t i = 0; i < r->headers_in.cookies.nelts; i++) {
        visit(lines[i]);
    }
}
void forget_empty_lines(ngx_http_request_t *r) {
    auto **lines = static_cast<ngx_table_elt_t **>(r->headers_in.cookies.elts);
    auto **end = std::remove_if(lines, lines + r->headers_in.cookies.nelts,
                                [](const ngx_table_elt_t *line) { return line->value.len == 0; });
    r->headers_in.cookies.nelts = static_cast<ngx_uint_t>(end - lines);
}
// A new array: the old one may be another request's.
void forget_cookie_lines(ngx_http_request_t *r) {
    if (ngx_array_init(&r->headers_in.cookies, r->pool, 1, sizeof(ngx_table_elt_t *)) != NGX_OK) {
        throw std::bad_alloc();
    }
}
void note_cookie_line(ngx_http_request_t *r, ngx_table_elt_t *line) {
    if (r->headers_in.cookies.elts == nullptr) {
        forget_cookie_lines(r);
    }
    auto **slot = static_cast<ngx_table_elt_t **>(ngx_array_push(&r->headers_in.cookies));
    if (slot == nullptr) {
        throw std::bad_alloc();
    }
    *slot = line;
}
#endif

std::string attributes(bool secure, int64_t max_age, const char *same_site = "Lax") {
    std::string text = "; Path=/";
    if (max_age >= 0) {
        text += "; Max-Age=" + std::to_string(max_age);
    }
    return text + (secure ? "; Secure" : "") + "; HttpOnly; SameSite=" + same_site;
}

}  // namespace

bool is_reserved_cookie(std::string_view name) {
    std::string_view plain = oidc::starts_with(name, host_prefix) ? name.substr(host_prefix.size()) : name;
    return oidc::starts_with(plain, ticket_prefix) || plain == loop_cookie || plain == logout_cookie ||
           plain == user_cookie;
}

void RequestCookies::add(const Cookie &cookie) {
    if (size_ < inline_size) {
        inline_[size_] = cookie;
    } else {
        if (size_ == inline_size) {
            more_.assign(inline_, inline_ + inline_size);
        }
        more_.push_back(cookie);
    }
    size_++;
}

void RequestCookies::collect(ngx_http_request_t *r, const MainConf &main, bool strip) {
    size_ = 0;
    more_.clear();
    bool stripped = false;
    each_cookie_line(r, [&](ngx_table_elt_t *header) {
        size_t before = size_;
        each_segment(view(header->value), [&](std::string_view segment) {
            Cookie cookie = parse_pair(segment);
            if (is_ours(cookie.name, main)) {
                add(cookie);
            }
        });
        if (strip && size_ != before) {
            strip_line(r, header, [&](std::string_view name) { return is_ours(name, main); });
            stripped = true;
        }
    });
    if (stripped) {
        forget_empty_lines(r);
    }
}

void strip_cookies(ngx_http_request_t *r, bool (*unwanted)(std::string_view name)) {
    each_cookie_line(r, [&](ngx_table_elt_t *header) {
        bool found = false;
        each_segment(view(header->value),
                     [&](std::string_view segment) { found = found || unwanted(parse_pair(segment).name); });
        if (found) {
            strip_line(r, header, unwanted);
        }
    });
    forget_empty_lines(r);
}

size_t cookie_bytes(ngx_http_request_t *r) {
    size_t bytes = 0;
    each_cookie_line(r, [&](const ngx_table_elt_t *header) { bytes += header->value.len + 2; });
    return bytes;
}

void append_cookies(ngx_http_request_t *r, std::string_view pairs) {
    ngx_table_elt_t *line = nullptr;
    each_cookie_line(r, [&](ngx_table_elt_t *header) { line = line ? line : header; });
    if (line != nullptr) {
        line->value = copy(r->pool, std::string(view(line->value)) + "; " + std::string(pairs));
        return;
    }
    line = static_cast<ngx_table_elt_t *>(ngx_list_push(&r->headers_in.headers));
    if (line == nullptr) {
        throw std::bad_alloc();
    }
    ngx_memzero(line, sizeof(ngx_table_elt_t));
    line->key = copy(r->pool, "Cookie");
    line->lowcase_key = copy(r->pool, "cookie").data;
    line->hash = ngx_hash_key(line->lowcase_key, line->key.len);
    line->value = copy(r->pool, pairs);
    note_cookie_line(r, line);
}

void own_cookie_lines(ngx_http_request_t *r) {
    copy_without_aliases(r, {});
    forget_cookie_lines(r);
    for (ngx_list_part_t *part = &r->headers_in.headers.part; part != nullptr; part = part->next) {
        auto *elements = static_cast<ngx_table_elt_t *>(part->elts);
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (elements[i].key.len == 6 && ngx_strncmp(elements[i].lowcase_key, "cookie", 6) == 0) {
                note_cookie_line(r, &elements[i]);
            }
        }
    }
}

bool RequestCookies::has(std::string_view name) const {
    return std::any_of(begin(), end(), [&](const Cookie &cookie) { return cookie.name == name; });
}

std::string_view RequestCookies::find(std::string_view name) const {
    for (const Cookie &cookie : *this) {
        if (cookie.name == name) {
            return cookie.value;
        }
    }
    return {};
}

void add_header(ngx_http_request_t *r, std::string_view name, std::string_view value) {
    auto *header = static_cast<ngx_table_elt_t *>(ngx_list_push(&r->headers_out.headers));
    if (header == nullptr) {
        throw std::bad_alloc();
    }
    ngx_memzero(header, sizeof(ngx_table_elt_t));
    header->key = copy(r->pool, name);
    header->value = copy(r->pool, value);
    header->hash = 1;
}

std::string own_cookie_name(std::string_view name, bool secure) {
    return (secure ? std::string(host_prefix) : std::string()) + std::string(name);
}

void set_own_cookie(ngx_http_request_t *r, const Cookie &cookie, bool secure, int64_t max_age) {
    add_header(r, "Set-Cookie",
               own_cookie_name(cookie.name, secure) + "=" + std::string(cookie.value) + attributes(secure, max_age));
    ensure_context(r).sets_cookie = true;
}

void set_cross_site_cookie(ngx_http_request_t *r, const Cookie &cookie, bool secure, int64_t max_age) {
    add_header(
        r, "Set-Cookie",
        own_cookie_name(cookie.name, secure) + "=" + std::string(cookie.value) + attributes(true, max_age, "None"));
}

std::string session_cookie_name(const Provider &provider, bool secure) {
    if (provider.cookie_prefix != 1 || !secure) {
        return provider.cookie;
    }
    bool host_only = provider.cookie_domain.len == 0 && view(provider.cookie_path) == "/";
    return (host_only ? "__Host-" : "__Secure-") + provider.cookie;
}

namespace {

// Deletion repeats every attribute of the set, or browsers keep the cookie.
std::string session_attributes(const Provider &provider, bool secure, int64_t max_age) {
    std::string text = "; Path=" + std::string(view(provider.cookie_path));
    if (provider.cookie_domain.len != 0) {
        text += "; Domain=" + std::string(view(provider.cookie_domain));
    }
    if (max_age >= 0) {
        text += "; Max-Age=" + std::to_string(max_age);
    }
    constexpr const char *same_site[] = {"Lax", "Strict", "None"};
    bool needs_secure = provider.cookie_samesite == 2 || provider.cookie_partitioned == 1;
    text += secure || needs_secure ? "; Secure; HttpOnly; SameSite=" : "; HttpOnly; SameSite=";
    text += same_site[provider.cookie_samesite];
    return provider.cookie_partitioned == 1 ? text + "; Partitioned" : text;
}

int64_t cookie_life(const Provider &provider) {
    return provider.cookie_lifetime == 0 ? -1 : provider.cookie_lifetime;
}

void delete_cookie(ngx_http_request_t *r, const Provider &provider, const std::string &name, bool secure) {
    add_header(r, "Set-Cookie", name + "=" + session_attributes(provider, secure, 0));
}

// Those that the browser has and the session does not need any more.
void delete_chunks(ngx_http_request_t *r, const Provider &provider, size_t first, bool secure) {
    const std::string name = session_cookie_name(provider, secure);
    const RequestCookies &cookies = cookies_of(r, ensure_context(r));
    for (size_t i = first; i < oidc::max_chunks; i++) {
        if (cookies.has(chunk_name(name, i))) {
            delete_cookie(r, provider, chunk_name(name, i), secure);
        }
    }
}

}  // namespace

std::string chunk_name(std::string_view name, size_t index) {
    return std::string(name) + (index == 0 ? std::string() : "." + std::to_string(index));
}

size_t chunk_room(const Provider &provider) {
    size_t used = chunk_name(session_cookie_name(provider, true), 1).size() + 1 +
                  session_attributes(provider, true, cookie_life(provider)).size();
    return used < oidc::max_chunk_line ? oidc::max_chunk_line - used : 0;
}

void set_session_cookie(ngx_http_request_t *r, const Provider &provider, std::string_view value, bool secure) {
    std::vector<std::string> values{std::string(value)};
    if (provider.store->ops->chunked) {
        values = oidc::split_chunks(value, chunk_room(provider));
    }
    const std::string name = session_cookie_name(provider, secure);
    const std::string attributes = session_attributes(provider, secure, cookie_life(provider));
    for (size_t i = 0; i < values.size(); i++) {
        add_header(r, "Set-Cookie", chunk_name(name, i) + "=" + values[i] + attributes);
    }
    delete_chunks(r, provider, values.size(), secure);
    ensure_context(r).sets_cookie = true;
}

void delete_session_cookie(ngx_http_request_t *r, const Provider &provider, bool secure) {
    delete_cookie(r, provider, session_cookie_name(provider, secure), secure);
    delete_chunks(r, provider, 1, secure);
    ensure_context(r).sets_cookie = true;
}

}  // namespace auth_oidc
