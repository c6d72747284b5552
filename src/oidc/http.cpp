#include "http.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "text.hpp"

namespace oidc::http {

namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    for (char &c : out) {
        if (c >= 'A' && c <= 'Z') {
            c = static_cast<char>(c | 0x20);
        }
    }
    return out;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool all_digits(std::string_view text) {
    return std::all_of(text.begin(), text.end(), is_digit);
}

std::string_view trim(std::string_view text) {
    const size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
    text.remove_prefix(begin);
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

// Takes the next element off a comma-separated list; commas inside a quoted string belong to it (RFC 9110 5.6).
std::string_view next_element(std::string_view &list) {
    bool quoted = false;
    size_t end = 0;
    for (; end < list.size() && (quoted || list[end] != ','); ++end) {
        if (list[end] == '"') {
            quoted = !quoted;
        } else if (quoted && list[end] == '\\') {
            ++end;
        }
    }
    end = std::min(end, list.size());
    const std::string_view element = trim(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    return element;
}

// RFC 9111 1.2.2: too large is 2^31. What is no number makes the answer stale (4.2.1).
long delta_seconds(std::string_view text) {
    constexpr long most = 2147483648;
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);
    }
    if (text.empty() || !all_digits(text)) {
        return 0;
    }
    long out = 0;
    for (const char c : text) {
        out = std::min(most, out * 10 + (c - '0'));
    }
    return out;
}

std::optional<long> directive_freshness(std::string_view directive) {
    const size_t equals = std::min(directive.find('='), directive.size());
    const std::string name = lower(trim(directive.substr(0, equals)));
    if (name == "no-store" || name == "no-cache") {
        return 0;
    }
    if (name == "max-age") {
        return delta_seconds(trim(directive.substr(std::min(equals + 1, directive.size()))));
    }
    return std::nullopt;
}

// A NUL would end the text for inet_pton, so the characters are looked at first.
bool is_dotted_quad(const std::string &host, in_addr &address) {
    return host.find('\0') == std::string::npos && inet_pton(AF_INET, host.c_str(), &address) == 1;
}

bool is_bracketed_ipv6(std::string_view host, in6_addr &address) {
    if (host.size() < 4 || host.front() != '[' || host.back() != ']') {
        return false;
    }
    const std::string inside(host.substr(1, host.size() - 2));
    return inside.find('\0') == std::string::npos && inet_pton(AF_INET6, inside.c_str(), &address) == 1;
}

bool is_name(std::string_view host) {
    const auto fits = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_'; };
    return !host.empty() && host.front() != '.' && host.find("..") == std::string_view::npos &&
           std::all_of(host.begin(), host.end(), fits);
}

bool is_port(std::string_view port) {
    return !port.empty() && port.size() <= 5 && all_digits(port) && port.front() != '0' &&
           std::stol(std::string(port)) <= 65535;
}

// host[:port]. User info fails here too: '@' is in no host.
bool parse_authority(const std::string &authority, Url &url) {
    const size_t bracket = authority.front() == '[' ? authority.find(']') : 0;
    if (bracket == std::string::npos) {
        return false;
    }
    const size_t colon = authority.find(':', bracket);
    url.host = authority.substr(0, colon);
    if (colon != std::string::npos) {
        url.port = authority.substr(colon + 1);
        if (!is_port(url.port)) {
            return false;
        }
        if (url.port == (url.scheme == "https" ? "443" : "80")) {
            url.port.clear();
        }
    }
    in6_addr address;
    return is_name(url.host) || is_bracketed_ipv6(url.host, address);
}

// Printable ASCII without what may not stand in a URL and gets a meaning elsewhere: a backslash is a slash to browsers,
// quotes and angle brackets belong to HTML, a fragment never reaches a server.
bool has_url_characters(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return c > ' ' && c < 0x7f && !std::strchr("\\\"<>#", c); });
}

}  // namespace

std::string_view Reply::header(std::string_view lower_case_name) const {
    for (const auto &[name, value] : headers) {
        if (name == lower_case_name) {
            return value;
        }
    }
    return {};
}

std::optional<long> freshness(const Reply &reply) {
    std::optional<long> least;
    for (const auto &[name, value] : reply.headers) {
        std::string_view list = name == "cache-control" ? std::string_view(value) : std::string_view();
        while (!list.empty()) {
            const auto found = directive_freshness(next_element(list));
            if (found && (!least || *found < *least)) {
                least = found;
            }
        }
    }
    return least;
}

std::string Url::origin() const {
    return scheme + "://" + host + (port.empty() ? "" : ":" + port);
}

std::string Url::path() const {
    return target.substr(0, target.find('?'));
}

std::optional<Url> parse_url(std::string_view text) {
    const size_t separator = text.find("://");
    if (separator == std::string_view::npos || !has_url_characters(text)) {
        return std::nullopt;
    }
    Url url;
    url.scheme = lower(text.substr(0, separator));
    if (url.scheme != "http" && url.scheme != "https") {
        return std::nullopt;
    }
    const std::string_view rest = text.substr(separator + 3);
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
    if (authority.empty() || !parse_authority(lower(authority), url)) {
        return std::nullopt;
    }
    url.target = rest.substr(authority.size());
    if (url.target.empty() || url.target.front() == '?') {
        url.target.insert(0, "/");
    }
    return url;
}

bool is_loopback_host(std::string_view host) {
    const std::string name = lower(host);
    in_addr quad;
    in6_addr six;
    if (is_dotted_quad(name, quad)) {
        return ntohl(quad.s_addr) >> 24 == 127;
    }
    if (is_bracketed_ipv6(name, six)) {
        return IN6_IS_ADDR_LOOPBACK(&six);
    }
    return is_name(name) && (name == "localhost" || ends_with(name, ".localhost"));
}

std::string with_query(std::string_view url, std::string_view query) {
    std::string out(url);
    if (query.empty()) {
        return out;
    }
    if (out.find('?') == std::string::npos) {
        out += '?';
    } else if (out.back() != '?' && out.back() != '&') {
        out += '&';
    }
    return out.append(query);
}

}  // namespace oidc::http
