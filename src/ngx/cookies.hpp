// Cookies: ours are found in the request and leave it before an upstream can see them; new ones go into the answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config.hpp"

namespace auth_oidc {

// One cookie of the request. Views into the request's memory.
struct Cookie {
    std::string_view name, value;
};

// Our cookies of one request, in the order they came.
class RequestCookies {
public:
    // Notes what is ours; with `strip` it also leaves the request, byte for byte without touching the rest of the line.
    void collect(ngx_http_request_t *r, const MainConf &main, bool strip);
    const Cookie *begin() const { return size_ <= inline_size ? inline_ : more_.data(); }
    const Cookie *end() const { return begin() + size_; }
    std::string_view find(std::string_view name) const;  // the first one's value, or empty
    bool has(std::string_view name) const;

private:
    void add(const Cookie &cookie);
    static constexpr size_t inline_size = 3;  // the usual request needs no allocation
    Cookie inline_[inline_size];
    size_t size_ = 0;
    std::vector<Cookie> more_;
};

constexpr std::string_view ticket_prefix = "NGX_OIDC_LOGIN_";
constexpr std::string_view loop_cookie = "NGX_OIDC_LOOP";
constexpr std::string_view logout_cookie = "NGX_OIDC_LOGOUT";
constexpr std::string_view user_cookie = "NGX_OIDC_USER";
constexpr std::string_view host_prefix = "__Host-";
// One of the names above, with or without its prefix.
bool is_reserved_cookie(std::string_view name);

// A cookie of our own making: host-only, HttpOnly, Path=/, SameSite=Lax, over https Secure and named __Host-.
std::string own_cookie_name(std::string_view name, bool secure);
// max_age in seconds; 0 deletes.
void set_own_cookie(ngx_http_request_t *r, const Cookie &cookie, bool secure, int64_t max_age);

// The same for a cookie that a cross-site POST has to carry: SameSite=None, and so Secure also where only a loopback
// name is.
void set_cross_site_cookie(ngx_http_request_t *r, const Cookie &cookie, bool secure, int64_t max_age);

// With the prefix that `cookie_prefix on` asks for over https.
std::string session_cookie_name(const Provider &provider, bool secure);
// A session that is too long for one cookie goes into several: NAME, NAME.1 to NAME.3.
std::string chunk_name(std::string_view name, size_t index);
// The bytes of the value of each, so that its Set-Cookie line has at most 3,900.
size_t chunk_room(const Provider &provider);
void set_session_cookie(ngx_http_request_t *r, const Provider &provider, std::string_view value, bool secure);
void delete_session_cookie(ngx_http_request_t *r, const Provider &provider, bool secure);

// Cookies of these names leave the request; every other byte of the lines stays.
void strip_cookies(ngx_http_request_t *r, bool (*unwanted)(std::string_view name));
// The bytes of the request's Cookie line, or of all of them.
size_t cookie_bytes(ngx_http_request_t *r);
// "a=b; c=d" goes behind what the line holds, or is a line of its own.
void append_cookies(ngx_http_request_t *r, std::string_view pairs);
// A subrequest shares its parent's lines: it gets some of its own.
void own_cookie_lines(ngx_http_request_t *r);

// A header of the answer; the value is copied.
void add_header(ngx_http_request_t *r, std::string_view name, std::string_view value);

}  // namespace auth_oidc
