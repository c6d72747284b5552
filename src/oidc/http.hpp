// HTTP as values: what is to be asked, and what came back. The protocol never sees a socket.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oidc::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
    std::string what;  // "token request": for log lines
    std::string method = "GET";
    std::string url;
    Headers headers;
    std::string body;
    size_t max_reply = size_t{64} * 1024;  // a longer body ends the transfer with an error
};

struct Reply {
    int status = 0;   // 0: there was no answer, `failure` says why
    Headers headers;  // names in lower case
    std::string body;
    std::string failure;  // "connection refused", without a secret

    std::string_view header(std::string_view lower_case_name) const;  // first one, or empty
};

// Seconds for which the answer may be reused by Cache-Control: max-age (at most 2^31), 0 for no-store, no-cache and
// what is no number; nothing without.
std::optional<long> freshness(const Reply &reply);

// An absolute http or https URL in its parts. Nothing for user info, a fragment, blanks, control characters, a
// backslash, quotes, angle brackets, anything outside ASCII, an empty host or a port that is none.
struct Url {
    std::string scheme;  // lower case
    std::string host;    // lower case, IPv6 in brackets
    std::string port;    // empty: the scheme's own, also where it was written out
    std::string target;  // path and query, at least "/"

    std::string origin() const;  // scheme://host[:port]
    std::string path() const;    // target without the query
};
std::optional<Url> parse_url(std::string_view text);
// localhost, *.localhost, 127.0.0.0/8, [::1]
bool is_loopback_host(std::string_view host);
// url with the query appended: "?" or "&" as its own query demands.
std::string with_query(std::string_view url, std::string_view query);

}  // namespace oidc::http
