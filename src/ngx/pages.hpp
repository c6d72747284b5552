// What a person sees: plain, accessible HTML in light and dark, no foreign resource, no inline script. Pure text: no
// request, no socket.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace auth_oidc {

// A button or link of a page. Everything here is escaped by the page. `href` is a path of this site or an http(s) URL;
// "//x" stays a path of this site, and anything else becomes "/".
struct PageLink {
    std::string_view text, href;
};

// One button each, "Sign in with " and the text (the provider's display name). 401 in place, 200 at login_uri.
std::string signin_page(const std::vector<PageLink> &providers);

// What went wrong in one sentence, what to do next, and the id that is also in the error log.
struct ErrorPage {
    unsigned status = 500;
    std::string_view title, what, next;
    std::string_view problem;     // short id; empty: not shown
    std::vector<PageLink> links;  // "Sign in again" and the like, first one is the main one
};
std::string error_page(const ErrorPage &page);

// "You must sign in": for a POST that met an ended session, and for a navigation inside a frame (then the link opens on
// top).
std::string signin_needed_page(const PageLink &link, bool post, bool framed);

std::string signed_out_page(std::string_view sign_in_href);

// A form that POSTs `token` to `action` (RP-initiated logout, asked for by another site).
struct LogoutConfirmation {
    std::string_view action, token, stay_href;
};
std::string confirm_logout_page(const LogoutConfirmation &page);

// A script of ours that a page has, in a file of its own; `own_and_leaves`: it sends a form to the application, whose
// answer may lead anywhere (browsers hold redirects against form-action too).
enum class PageScript { none, own, own_and_leaves };

// The Content-Security-Policy for these pages: default-src 'none', the style by its hash, no script, frame-ancestors
// 'none'. `form_targets`: origins that a form's answer may redirect to, blanks between (form-action 'self' and these).
// What is no http(s) origin is left out. `framed`: for the page that a frame shows, which nobody would see under
// 'none'; it may then be framed by this site only (frame-ancestors 'self').
std::string page_policy(std::string_view form_targets, bool framed = false, PageScript script = PageScript::none);

}  // namespace auth_oidc
