#include "pages.hpp"

#include "../oidc/text.hpp"
#include "page.hpp"

namespace auth_oidc {

namespace {

using oidc::html_escape;

// The one stylesheet. The policy allows it by its hash, so it reaches the page unchanged. Text has a contrast of 7:1 or
// more in both schemes; the transparent borders become visible when the system forces its own colours.
constexpr std::string_view style = R"css(
:root{color-scheme:light dark;--bg:#f3f5f8;--card:#fff;--line:#d5dbe3;--edge:#7c8899;--text:#17202c;--soft:#465262;
--main:#1f4aa8;--over:#173a87;--on:#fff;--tint:#e8eefb}
@media (prefers-color-scheme:dark){:root{--bg:#10141a;--card:#181e26;--line:#2b3440;--edge:#6d7b8d;--text:#e8ecf1;
--soft:#b3bdc9;--main:#a9c4ff;--over:#c5d7ff;--on:#0d1a33;--tint:#222d41}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem 1rem;background:var(--bg);
color:var(--text);font:1rem/1.55 system-ui,sans-serif;overflow-wrap:anywhere}
main{width:100%;max-width:26rem;padding:2.25rem 2rem;background:var(--card);border:1px solid var(--line);
border-radius:1rem;box-shadow:0 1px 2px #0000000a,0 12px 32px #00000012}
svg{display:block;width:3rem;height:3rem;padding:.75rem;border-radius:50%;background:var(--tint);fill:none;
stroke:var(--main);stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
h1{margin:1.25rem 0 .5rem;font-size:1.5rem;line-height:1.25;letter-spacing:-.01em;text-wrap:balance}
p{margin:0 0 .75rem}
.soft{color:var(--soft)}
ul,form{list-style:none;margin:1.5rem 0 0;padding:0}
li+li,form a{margin-top:.75rem}
a,button{display:block;width:100%;min-height:3rem;padding:.7rem 1rem;border:1px solid var(--edge);
border-radius:.6rem;background:none;color:inherit;font:inherit;font-weight:600;line-height:1.5;text-align:center;
text-decoration:none;cursor:pointer}
a:hover{background:var(--tint)}
.main{border-color:transparent;background:var(--main);color:var(--on)}
.main:hover{background:var(--over)}
:focus-visible{outline:3px solid var(--main);outline-offset:3px}
.id{margin:1.5rem 0 0;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.875rem}
code{color:var(--text);font:600 1em ui-monospace,monospace;user-select:all}
@media (max-width:26rem){main{padding:1.75rem 1.25rem}}
)css";

// Drawings of 24 by 24, by PageDrawing: they only repeat what the heading says.
constexpr std::string_view drawings[] = {
    R"(<circle cx="8" cy="15" r="5"/><path d="m11.5 11.5 9-9M16 7l4 4"/>)",
    R"(<circle cx="12" cy="12" r="9"/><path d="M12 7v6M12 16.5v.1"/>)",
    R"(<circle cx="12" cy="12" r="9"/><path d="m8 12.5 3 3 5-6.5"/>)",
    R"(<path d="M10 3H5v18h5M10 12h10m-4-4 4 4-4 4"/>)",
};

bool is_url(std::string_view text) {
    return oidc::starts_with(text, "https://") || oidc::starts_with(text, "http://");
}

constexpr std::string_view soft = R"( class="soft")";

std::string paragraph(std::string_view text, std::string_view attributes = "") {
    if (text.empty()) {
        return "";
    }
    return std::string("<p").append(attributes).append(">").append(html_escape(text)).append("</p>\n");
}

std::string anchor(const PageLink &link, std::string_view attributes) {
    return std::string("<a")
        .append(attributes)
        .append(" href=\"")
        .append(page_href(link.href))
        .append("\">")
        .append(html_escape(link.text))
        .append("</a>");
}

// Buttons below each other. One of them may stand out: the first.
enum class First { main, equal };
std::string buttons(const std::vector<PageLink> &links, First first = First::main) {
    std::string list, attributes = first == First::main ? R"( class="main")" : "";
    for (const PageLink &link : links) {
        list.append("<li>").append(anchor(link, attributes)).append("</li>\n");
        attributes.clear();
    }
    return list.empty() ? "" : "<ul>\n" + list + "</ul>\n";
}

// What may stand in the policy: nothing that ends the directive, begins another one, or is a keyword.
bool is_origin(std::string_view word) {
    constexpr std::string_view extra = ":/.-_[]";
    for (const char c : word) {
        const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alphanumeric && extra.find(c) == extra.npos) {
            return false;
        }
    }
    return is_url(word);
}

constexpr PageDrawing key = PageDrawing::key, warning = PageDrawing::warning, done = PageDrawing::done,
                      leave = PageDrawing::leave;

}  // namespace

std::string page_of(std::string_view title, PageDrawing drawing, std::string_view body) {
    std::string html = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>)";
    const std::string heading = html_escape(title);
    html.append(heading).append("</title>\n<style>").append(style).append("</style>\n</head>\n<body>\n<main>\n");
    html.append(R"(<svg viewBox="0 0 24 24" aria-hidden="true">)")
        .append(drawings[static_cast<size_t>(drawing)])
        .append("</svg>\n");
    html.append("<h1>").append(heading).append("</h1>\n").append(body).append("</main>\n</body>\n</html>\n");
    return html;
}

// No javascript:, no data:. Browsers read "//x" and "/\x" as another host; behind "/." both are a path of this one.
std::string page_href(std::string_view target) {
    if (is_url(target)) {
        return html_escape(target);
    }
    if (!oidc::starts_with(target, "/")) {
        return "/";
    }
    const bool path = target.size() == 1 || (target[1] != '/' && target[1] != '\\' && target[1] > ' ');
    return (path ? "" : "/.") + html_escape(target);
}

std::string signin_page(const std::vector<PageLink> &providers) {
    std::vector<std::string> texts;
    texts.reserve(providers.size());
    for (const PageLink &provider : providers) {
        texts.push_back(std::string("Sign in with ").append(provider.text));
    }
    std::vector<PageLink> links;
    for (size_t i = 0; i < providers.size(); ++i) {
        links.push_back({texts[i], providers[i].href});
    }
    const bool choice = providers.size() > 1;
    const std::string what =
        paragraph(choice ? "Choose how you would like to continue." : "To continue, please sign in.", soft);
    return page_of("Sign in", key, what + buttons(links, choice ? First::equal : First::main));
}

std::string error_page(const ErrorPage &error) {
    std::string body = paragraph(error.what) + paragraph(error.next, soft) + buttons(error.links);
    if (!error.problem.empty()) {
        body.append(R"(<p class="id">If you ask for help, mention problem <code>)").append(html_escape(error.problem));
        body.append("</code> (status ").append(std::to_string(error.status)).append(").</p>\n");
    }
    return page_of(error.title.empty() ? "Something went wrong" : error.title, warning, body);
}

std::string signin_needed_page(const PageLink &link, bool post, bool framed) {
    std::string body = paragraph(post ? "You are no longer signed in, so what you sent has not been processed."
                                      : "You are not signed in, or your session has ended.");
    if (post) {
        body += paragraph("Keep a copy of what you entered, sign in, and send it again.", soft);
    }
    if (framed) {
        body += paragraph("Signing in takes the whole window, because it cannot be done inside this frame.", soft);
    }
    const std::string_view attributes = framed ? R"( class="main" target="_top")" : R"( class="main")";
    return page_of("Please sign in", key, body + "<ul>\n<li>" + anchor(link, attributes) + "</li>\n</ul>\n");
}

std::string signed_out_page(std::string_view sign_in_href) {
    std::vector<PageLink> links;
    if (!sign_in_href.empty()) {
        links.push_back({"Sign in again", sign_in_href});
    }
    return page_of(
        "You are signed out", done,
        paragraph("Your session on this site has ended. On a shared computer, close the browser as well.", soft) +
            buttons(links));
}

std::string confirm_logout_page(const LogoutConfirmation &confirmation) {
    std::string form = R"(<form method="post" action=")" + page_href(confirmation.action) + "\">\n";
    form.append(R"(<input type="hidden" name="token" value=")").append(html_escape(confirmation.token)).append("\">\n");
    form.append("<button class=\"main\">Sign out</button>\n");
    form.append(anchor({"Stay signed in", confirmation.stay_href}, "")).append("\n</form>\n");
    return page_of("Sign out?", leave, paragraph("Another page asked to sign you out here. Do you want that?") + form);
}

std::string page_policy(std::string_view form_targets, bool framed, PageScript script) {
    static const std::string fixed = "default-src 'none'; style-src 'sha256-" +
                                     oidc::base64_encode(oidc::bytes(oidc::sha256(style))) + "'; base-uri 'none'; ";
    std::string policy =
        fixed + (framed ? "frame-ancestors 'self'" : "frame-ancestors 'none'") + "; form-action 'self'";
    if (script == PageScript::own_and_leaves) {
        policy += " https: http:";
    }
    for (const std::string &target : oidc::split_words(form_targets)) {
        if (is_origin(target)) {
            policy.append(" ").append(target);
        }
    }
    if (script != PageScript::none) {
        policy += "; script-src 'self'";
    }
    return policy;
}

}  // namespace auth_oidc
