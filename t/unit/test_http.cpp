// URLs (RFC 3986, stricter) and Cache-Control (RFC 9111).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string>
#include <string_view>

#include "exact.hpp"
#include "oidc/http.hpp"

extern "C" {
#include <cmocka.h>
}

using namespace oidc::http;
using namespace std::string_literals;

namespace {

void expect(const std::string &name, const std::string &found, const std::string &expected) {
    if (found != expected) {
        fail_msg("%s: expected \"%s\", found \"%s\"", name.c_str(), expected.c_str(), found.c_str());
    }
}

void urls_are_taken_apart(void **) {
    const struct {
        const char *text, *scheme, *host, *port, *target, *origin, *path;
    } cases[] = {
        {"https://id.example", "https", "id.example", "", "/", "https://id.example", "/"},
        {"https://id.example/", "https", "id.example", "", "/", "https://id.example", "/"},
        {"HTTPS://ID.Example/Path", "https", "id.example", "", "/Path", "https://id.example", "/Path"},
        {"http://id.example:8080/a?b=c", "http", "id.example", "8080", "/a?b=c", "http://id.example:8080", "/a"},
        {"https://id.example:443/", "https", "id.example", "", "/", "https://id.example", "/"},
        {"http://id.example:80/", "http", "id.example", "", "/", "http://id.example", "/"},
        {"http://id.example:443/", "http", "id.example", "443", "/", "http://id.example:443", "/"},
        {"https://id.example:65535", "https", "id.example", "65535", "/", "https://id.example:65535", "/"},
        {"https://id.example?q=1", "https", "id.example", "", "/?q=1", "https://id.example", "/"},
        {"https://id.example/?", "https", "id.example", "", "/?", "https://id.example", "/"},
        {"https://[2001:DB8::1]:8443/x", "https", "[2001:db8::1]", "8443", "/x", "https://[2001:db8::1]:8443", "/x"},
        {"http://[::1]", "http", "[::1]", "", "/", "http://[::1]", "/"},
        {"http://127.0.0.1:5000", "http", "127.0.0.1", "5000", "/", "http://127.0.0.1:5000", "/"},
        {"http://my_idp-1/", "http", "my_idp-1", "", "/", "http://my_idp-1", "/"},
        {"https://id.example//a/../b", "https", "id.example", "", "//a/../b", "https://id.example", "//a/../b"},
        {"https://id.example/@user:x", "https", "id.example", "", "/@user:x", "https://id.example", "/@user:x"},
        {"https://id.example/?u=http://a@b", "https", "id.example", "", "/?u=http://a@b", "https://id.example", "/"},
        {"https://id.example/%5c%00|{}", "https", "id.example", "", "/%5c%00|{}", "https://id.example", "/%5c%00|{}"},
    };
    for (const auto &c : cases) {
        const Exact text(c.text);
        const auto url = parse_url(text.view());
        if (!url) {
            fail_msg("%s: refused", c.text);
        }
        expect(c.text, url->scheme, c.scheme);
        expect(c.text, url->host, c.host);
        expect(c.text, url->port, c.port);
        expect(c.text, url->target, c.target);
        expect(c.text, url->origin(), c.origin);
        expect(c.text, url->path(), c.path);
    }
}

void other_urls_are_refused(void **) {
    const struct {
        const char *name;
        std::string text;
    } cases[] = {
        {"empty", ""},
        {"no scheme", "id.example/"},
        {"relative", "//id.example/"},
        {"path", "/path"},
        {"file", "file:///etc/passwd"},
        {"javascript", "javascript://id.example/%0aalert(1)"},
        {"scheme with one slash", "https:/id.example"},
        {"longer scheme", "httpss://id.example"},
        {"blank before", " https://id.example"},
        {"blank behind", "https://id.example "},
        {"blank in the path", "https://id.example/a b"},
        {"line end", "https://id.example/\r\nX: y"},
        {"NUL", "https://id.example\0.evil.example/"s},
        {"delete", "https://id.example/\x7f"},
        {"UTF-8", "https://id.ex\xc3\xa4mple/"},
        {"UTF-8 in the path", "https://id.example/\xc3\xa4"},
        {"fragment", "https://id.example/#a"},
        {"fragment instead of a path", "https://id.example#@evil.example"},
        {"user info", "https://user@id.example/"},
        {"user info with password", "https://user:x@id.example/"},
        {"empty user info", "https://@id.example/"},
        {"backslash", "https://id.example\\@evil.example/"},
        {"backslash in the path", "https://id.example/\\evil"},
        {"quote", "https://id.example/\"x"},
        {"angle bracket", "https://id.example/<x>"},
        {"no host", "https://"},
        {"no host but a path", "https:///path"},
        {"no host but a port", "https://:443/"},
        {"no host but a query", "https://?a"},
        {"empty port", "https://id.example:/"},
        {"port 0", "https://id.example:0/"},
        {"port 65536", "https://id.example:65536/"},
        {"long port", "https://id.example:000443/"},
        {"leading zero", "https://id.example:0443/"},
        {"signed port", "https://id.example:+443/"},
        {"letters as port", "https://id.example:https/"},
        {"two ports", "https://id.example:1:2/"},
        {"escape in the host", "https://id%2eexample/"},
        {"empty label", "https://id..example/"},
        {"dot first", "https://.example/"},
        {"comma", "https://a,b/"},
        {"bare IPv6", "https://::1/"},
        {"open bracket", "https://[::1/"},
        {"empty brackets", "https://[]/"},
        {"no address", "https://[id.example]/"},
        {"zone", "https://[fe80::1%25eth0]/"},
        {"behind the bracket", "https://[::1]x/"},
        {"before the bracket", "https://x[::1]/"},
    };
    for (const auto &c : cases) {
        const Exact text(c.text);
        if (parse_url(text.view())) {
            fail_msg("%s: accepted", c.name);
        }
    }
}

void loopback_hosts(void **) {
    const struct {
        std::string host;
        bool expected;
    } cases[] = {
        {"localhost", true},
        {"LocalHost", true},
        {"app.localhost", true},
        {"127.0.0.1", true},
        {"127.255.255.254", true},
        {"[::1]", true},
        {"[0:0:0:0:0:0:0:1]", true},
        {"", false},
        {"localhost.evil.example", false},
        {"notlocalhost", false},
        {".localhost", false},
        {"a..localhost", false},
        {"128.0.0.1", false},
        {"127.0.0.1.evil.example", false},
        {"127.1", false},
        {"0.0.0.0", false},
        {"2130706433", false},
        {"0x7f.0.0.1", false},
        {"::1", false},
        {"[::2]", false},
        {"[::]", false},
        {"[::ffff:10.0.0.1]", false},
        {"127.0.0.1\0"s, false},
        {"[::1\0]"s, false},
        {"evil.example/.localhost", false},
    };
    for (const auto &c : cases) {
        if (is_loopback_host(c.host) != c.expected) {
            fail_msg("%s: expected %d", c.host.c_str(), c.expected);
        }
    }
}

void queries_are_appended(void **) {
    expect("none yet", with_query("https://a/b", "x=1"), "https://a/b?x=1");
    expect("one there", with_query("https://a/b?y=2", "x=1"), "https://a/b?y=2&x=1");
    expect("empty one there", with_query("https://a/b?", "x=1"), "https://a/b?x=1");
    expect("open end", with_query("https://a/b?y=2&", "x=1"), "https://a/b?y=2&x=1");
    expect("nothing to append", with_query("https://a/b", ""), "https://a/b");
}

void headers_are_found(void **) {
    Reply reply;
    reply.headers = {{"content-type", "a"}, {"set-cookie", "1"}, {"set-cookie", "2"}};
    expect("only", std::string(reply.header("content-type")), "a");
    expect("first", std::string(reply.header("set-cookie")), "1");
    expect("absent", std::string(reply.header("etag")), "");
}

void answers_are_fresh(void **) {
    const struct {
        const char *name;
        Headers headers;
        long expected;  // -1: nothing
    } cases[] = {
        {"no header", {}, -1},
        {"another header", {{"x-cache-control", "max-age=1"}}, -1},
        {"empty", {{"cache-control", ""}}, -1},
        {"max-age", {{"cache-control", "max-age=3600"}}, 3600},
        {"zero", {{"cache-control", "max-age=0"}}, 0},
        {"case", {{"cache-control", "Public, Max-Age=60"}}, 60},
        {"quoted", {{"cache-control", "max-age=\"60\""}}, 60},
        {"blanks", {{"cache-control", "  public ,\tmax-age=60 , x"}}, 60},
        {"no commas' content", {{"cache-control", ",,max-age=60,,"}}, 60},
        {"no-store", {{"cache-control", "no-store"}}, 0},
        {"no-cache", {{"cache-control", "No-Cache"}}, 0},
        {"no-cache with a field", {{"cache-control", "no-cache=\"set-cookie\""}}, 0},
        {"no-store wins", {{"cache-control", "max-age=60, no-store"}}, 0},
        {"two headers", {{"cache-control", "max-age=60"}, {"cache-control", "no-store"}}, 0},
        {"two values", {{"cache-control", "max-age=60, max-age=30"}}, 30},
        {"inside a quoted string", {{"cache-control", "private=\"a, max-age=5\", max-age=60"}}, 60},
        {"escaped quote", {{"cache-control", "x=\"a\\\", no-store\", max-age=60"}}, 60},
        {"open quote", {{"cache-control", "x=\"max-age=60"}}, -1},
        {"backslash at the end", {{"cache-control", "x=\"\\"}}, -1},
        {"s-maxage is for others", {{"cache-control", "s-maxage=60"}}, -1},
        {"prefix", {{"cache-control", "max-age-x=60, xmax-age=60, no-storex"}}, -1},
        {"negative", {{"cache-control", "max-age=-1"}}, 0},
        {"no number", {{"cache-control", "max-age=soon"}}, 0},
        {"no value", {{"cache-control", "max-age"}}, 0},
        {"fraction", {{"cache-control", "max-age=1.5"}}, 0},
        {"huge", {{"cache-control", "max-age=99999999999999999999999999"}}, 2147483648},
    };
    for (const auto &c : cases) {
        Reply reply;
        reply.headers = c.headers;
        expect(c.name, std::to_string(freshness(reply).value_or(-1)), std::to_string(c.expected));
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_taken_apart), cmocka_unit_test(other_urls_are_refused),
        cmocka_unit_test(loopback_hosts),       cmocka_unit_test(queries_are_appended),
        cmocka_unit_test(headers_are_found),    cmocka_unit_test(answers_are_fresh),
    };
    return cmocka_run_group_tests_name("http", tests, nullptr, nullptr);
}
