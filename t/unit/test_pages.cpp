// What a person sees (src/ngx/pages.cpp): pure text, so it is tested here; the source is included because the unit
// tests are linked with src/oidc only.
#include "ngx/pages.cpp"  // NOLINT(bugprone-suspicious-include)

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

using namespace auth_oidc;

namespace {

// Looks harmless until somebody forgets to escape it: ends attributes, elements and comments, and opens others.
const std::string evil = R"(--></title></style>"'><script src=//x.example>&amp;</script><img onerror=x>)";
const std::string evil_href = "/x?a=" + evil;

struct Page {
    std::string name, html;
};

// Every page with every text from outside hostile.
std::vector<Page> hostile_pages() {
    const ErrorPage error{502, evil, evil, evil, evil, {{evil, evil_href}, {evil, evil_href}}};
    return {
        {"sign in, one", signin_page({{evil, evil_href}})},
        {"sign in, two", signin_page({{evil, evil_href}, {evil, evil_href}})},
        {"error", error_page(error)},
        {"sign-in needed", signin_needed_page({evil, evil_href}, false, false)},
        {"sign-in needed, post", signin_needed_page({evil, evil_href}, true, false)},
        {"sign-in needed, framed", signin_needed_page({evil, evil_href}, false, true)},
        {"signed out", signed_out_page(evil_href)},
        {"confirm logout", confirm_logout_page({evil_href, evil, evil_href})},
    };
}

size_t count(const std::string &text, std::string_view what) {
    size_t found = 0;
    for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) {
        ++found;
    }
    return found;
}

std::string between(const std::string &text, std::string_view from, std::string_view to) {
    const size_t begin = text.find(from);
    const size_t end = begin == text.npos ? begin : text.find(to, begin + from.size());
    return end == text.npos ? "" : text.substr(begin + from.size(), end - begin - from.size());
}

std::string six_providers() {
    const std::string name(80, 'W');
    return signin_page({{name, "/1"}, {name, "/2"}, {name, "/3"}, {name, "/4"}, {name, "/5"}, {name, "/6"}});
}

// Prints every case that fails before the test does.
class Table {
public:
    void check(bool good, const std::string &name) {
        if (!good) {
            print_error("failed: %s\n", name.c_str());
            ++failed_;
        }
    }
    void end() const { assert_int_equal(failed_, 0); }

private:
    int failed_ = 0;
};

struct Rule {
    const char *name;
    std::function<bool(const std::string &)> holds;
};

// Holds for every page, whatever it was given.
const Rule rules[] = {
    {"begins with the doctype",
     [](const std::string &html) { return html.rfind("<!DOCTYPE html>\n<html lang=\"en\">", 0) == 0; }},
    {"says its coding", [](const std::string &html) { return count(html, "<meta charset=\"utf-8\">") == 1; }},
    {"fits a small screen",
     [](const std::string &html) { return count(html, "width=device-width, initial-scale=1\"") == 1; }},
    {"one title", [](const std::string &html) { return count(html, "<title>") == 1 && count(html, "</title>") == 1; }},
    {"one heading", [](const std::string &html) { return count(html, "<h1>") == 1 && count(html, "</h1>") == 1; }},
    {"one landmark", [](const std::string &html) { return count(html, "<main>") == 1 && count(html, "</main>") == 1; }},
    {"title and heading agree",
     [](const std::string &html) { return between(html, "<title>", "</title>") == between(html, "<h1>", "</h1>"); }},
    {"no script", [](const std::string &html) { return count(html, "<script") == 0 && count(html, "<img") == 0; }},
    {"no inline style", [](const std::string &html) { return count(html, "style=") == 0; }},
    {"no handler of events", [](const std::string &html) { return count(html, " onerror=x>") == 0; }},
    {"one stylesheet",
     [](const std::string &html) { return count(html, "<style>") == 1 && count(html, "</style>") == 1; }},
    {"nothing foreign",
     [](const std::string &html) { return !count(html, "<link") && !count(html, " src=\"") && !count(html, "url("); }},
    {"no attribute broken open",
     [](const std::string &html) { return count(html, "\"'>") == 0 && count(html, "\">&lt;") == 0; }},
    {"the drawing is decoration",
     [](const std::string &html) { return count(html, "<svg viewBox=\"0 0 24 24\" aria-hidden=\"true\">") == 1; }},
};

void every_page_keeps_the_rules(void **) {
    Table table;
    for (const Page &page : hostile_pages()) {
        for (const Rule &rule : rules) {
            table.check(rule.holds(page.html), page.name + ": " + rule.name);
        }
    }
    table.end();
}

// protocol: the policy allows the style by its hash. Recomputed here from what a browser sees.
void policy_has_the_hash_of_the_style(void **) {
    Table table;
    for (const Page &page : hostile_pages()) {
        const std::string css = between(page.html, "<style>", "</style>");
        const std::string hash = oidc::base64_encode(oidc::bytes(oidc::sha256(css)));
        table.check(!css.empty() && count(page_policy(""), "style-src 'sha256-" + hash + "';") == 1, page.name);
    }
    table.end();
}

void small(void **) {
    Table table;
    std::vector<Page> pages = hostile_pages();
    pages.push_back({"six long names", six_providers()});
    for (const Page &page : pages) {
        table.check(page.html.size() < 4096, page.name + " has " + std::to_string(page.html.size()) + " bytes");
    }
    table.end();
}

struct Style {
    const char *name, *text;
};
const Style styles[] = {
    {"dark", "prefers-color-scheme:dark"},
    {"both schemes for the browser's own parts", "color-scheme:light dark"},
    {"focus can be seen", ":focus-visible{outline:"},
    {"large targets", "min-height:3rem"},
    {"long words wrap", "overflow-wrap:anywhere"},
    {"narrow screens", "@media (max-width:"},
};

void style_is_for_everybody(void **) {
    Table table;
    for (const Style &style : styles) {
        table.check(count(signin_page({}), style.text) == 1, style.name);
    }
    table.end();
}

struct Href {
    const char *name, *given, *expected;
};
const Href hrefs[] = {
    {"path", "/a/b?c=d", "/a/b?c=d"},
    {"root", "/", "/"},
    {"ampersand", "/?a=b&c=d", "/?a=b&amp;c=d"},
    {"quote", "/\"x", "/&quot;x"},
    {"https", "https://rp.example/x?y", "https://rp.example/x?y"},
    {"http", "http://127.0.0.1:8080/", "http://127.0.0.1:8080/"},
    {"https with a quote", "https://rp.example/\"x&y", "https://rp.example/&quot;x&amp;y"},
    {"another host by two slashes stays here", "//evil.example/x", "/.//evil.example/x"},
    {"another host by a backslash stays here", "/\\evil.example", "/./\\evil.example"},
    {"another host behind a tab stays here", "/\t/evil.example", "/./\t/evil.example"},
    {"another host behind a line end stays here", "/\n/evil.example", "/./\n/evil.example"},
    {"javascript", "javascript:alert(1)", "/"},
    {"javascript, capitals and blank", " JavaScript:alert(1)", "/"},
    {"data", "data:text/html,x", "/"},
    {"relative", "x/y", "/"},
    {"backslashes only", "\\\\evil.example", "/"},
    {"https without slashes", "https:evil.example", "/"},
};

void links_lead_to_this_site_or_a_web_address(void **) {
    Table table;
    for (const Href &href : hrefs) {
        const std::string expected = std::string(" href=\"") + href.expected + "\">";
        table.check(count(signin_page({{"x", href.given}}), expected) == 1, std::string("sign in: ") + href.name);
        table.check(count(signin_needed_page({"x", href.given}, true, false), expected) == 1,
                    std::string("needed: ") + href.name);
        table.check(count(confirm_logout_page({"/", "t", href.given}), expected) == 1,
                    std::string("stay: ") + href.name);
        const std::string action = std::string("<form method=\"post\" action=\"") + href.expected + "\">";
        table.check(count(confirm_logout_page({href.given, "t", "/"}), action) == 1,
                    std::string("action: ") + href.name);
    }
    table.end();
}

struct Target {
    const char *name, *given, *expected;
};
const Target targets[] = {
    {"none", "", "form-action 'self'"},
    {"one", "https://op.example", "form-action 'self' https://op.example"},
    {"two", "https://op.example https://b.example:8443",
     "form-action 'self' https://op.example https://b.example:8443"},
    {"loopback", "http://[::1]:9000", "form-action 'self' http://[::1]:9000"},
    {"another directive", "https://op.example;script-src *", "form-action 'self'"},
    {"another policy", "https://op.example,default-src", "form-action 'self'"},
    {"keyword", "'unsafe-inline' https://op.example", "form-action 'self' https://op.example"},
    {"everything", "* https://*", "form-action 'self'"},
    {"scheme", "data: javascript:", "form-action 'self'"},
    {"line end", "https://op.example\r\nX-Evil: 1", "form-action 'self' https://op.example"},
    {"not ASCII", "https://\xc3\xb6p.example", "form-action 'self'"},
};

void policy_names_origins_only(void **) {
    Table table;
    for (const Target &target : targets) {
        const std::string policy = page_policy(target.given);
        table.check(policy.size() > 20 && policy.substr(policy.rfind("form-action")) == target.expected,
                    std::string(target.name) + ": " + policy);
        table.check(policy.find_first_of("\r\n") == policy.npos, std::string(target.name) + ": one line");
    }
    table.end();
}

struct Framing {
    const char *name;
    bool framed;
    const char *expected;
};
const Framing framings[] = {
    {"starts from nothing", false, "default-src 'none'; "},
    {"no frame", false, "; frame-ancestors 'none'; "},
    {"a frame of this site", true, "; frame-ancestors 'self'; "},
    {"no base", true, "; base-uri 'none'; "},
};

void policy_forbids_the_rest(void **) {
    Table table;
    for (const Framing &framing : framings) {
        const std::string policy = page_policy("https://op.example", framing.framed);
        table.check(count(policy, framing.expected) == 1, framing.name);
        table.check(count(policy, "unsafe") == 0 && count(policy, "script") == 0,
                    std::string(framing.name) + ": no script");
    }
    table.end();
}

struct Says {
    const char *name;
    std::string html;
    const char *text;
    size_t times;
};

std::vector<Says> sign_in_cases() {
    const std::string one = signin_page({{"A & B", "/1"}});
    const std::string two = signin_page({{"A", "/1"}, {"B", "/2"}});
    return {
        {"name escaped", one, ">Sign in with A &amp; B</a>", 1},
        {"one provider stands out", one, R"(<a class="main" href="/1">)", 1},
        {"two are equal", two, R"(class="main")", 0},
        {"first of two", two, R"(<a href="/1">Sign in with A</a>)", 1},
        {"second of two", two, R"(<a href="/2">Sign in with B</a>)", 1},
        {"six", six_providers(), "<li>", 6},
        {"none makes no empty list", signin_page({}), "<ul>", 0},
    };
}

std::vector<Says> error_cases() {
    const std::string full =
        error_page({403, "T & T", "What <it> is.", "Do this.", "7f3a", {{"Main", "/m"}, {"Other", "/o"}}});
    const std::string bare = error_page({500, "", "", "", "", {}});
    return {
        {"title", full, "<h1>T &amp; T</h1>", 1},
        {"what", full, "<p>What &lt;it&gt; is.</p>", 1},
        {"next", full, R"(<p class="soft">Do this.</p>)", 1},
        {"problem", full, "<code>7f3a</code> (status 403)", 1},
        {"first link is the main one", full, R"(<a class="main" href="/m">Main</a>)", 1},
        {"other link", full, R"(<a href="/o">Other</a>)", 1},
        {"heading even without a title", bare, "<h1>Something went wrong</h1>", 1},
        {"no id, no line", bare, "<code>", 0},
        {"no text, no paragraph", bare, "<p>", 0},
        {"no links, no list", bare, "<ul>", 0},
    };
}

std::vector<Says> other_cases() {
    const std::string post = signin_needed_page({"Go", "/l"}, true, false);
    const std::string framed = signin_needed_page({"Go", "/l"}, false, true);
    const std::string confirm = confirm_logout_page({"/logout", "t\"k", "/app"});
    return {
        {"a post says that nothing was done", post, "has not been processed", 1},
        {"a post's link stays in its window", post, "target=", 0},
        {"a post's link", post, R"(<a class="main" href="/l">Go</a>)", 1},
        {"a frame's link opens on top", framed, R"(<a class="main" target="_top" href="/l">Go</a>)", 1},
        {"a frame lost nothing", framed, "has not been processed", 0},
        {"signed out", signed_out_page("/app"), R"(<a class="main" href="/app">Sign in again</a>)", 1},
        {"signed out without a link", signed_out_page(""), "<a ", 0},
        {"confirmation posts", confirm, R"(<form method="post" action="/logout">)", 1},
        {"confirmation's token", confirm, R"(<input type="hidden" name="token" value="t&quot;k">)", 1},
        {"confirmation's button", confirm, R"(<button class="main">Sign out</button>)", 1},
        {"confirmation's way back", confirm, R"(<a href="/app">Stay signed in</a>)", 1},
    };
}

void pages_say_what_they_are_for(void **) {
    Table table;
    for (const auto &cases : {sign_in_cases(), error_cases(), other_cases()}) {
        for (const Says &says : cases) {
            table.check(count(says.html, says.text) == says.times, says.name);
        }
    }
    table.end();
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_page_keeps_the_rules),
        cmocka_unit_test(policy_has_the_hash_of_the_style),
        cmocka_unit_test(small),
        cmocka_unit_test(style_is_for_everybody),
        cmocka_unit_test(links_lead_to_this_site_or_a_web_address),
        cmocka_unit_test(policy_names_origins_only),
        cmocka_unit_test(policy_forbids_the_rest),
        cmocka_unit_test(pages_say_what_they_are_for),
    };
    return cmocka_run_group_tests_name("pages", tests, nullptr, nullptr);
}
