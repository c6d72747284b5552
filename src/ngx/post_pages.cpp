#include "post_pages.hpp"

#include "page.hpp"

namespace auth_oidc {
namespace {

using oidc::html_escape;

// One form at a time: a second one takes the place of the first. Names of fields must not get in the way of the
// script, so it asks nothing of a form that a field could answer.
constexpr std::string_view script = R"js('use strict';
{
  const name = 'auth_oidc post';
  const { step, id, sealed } = document.querySelector('[data-step]').dataset;
  const show = (what) => {
    for (const part of document.querySelectorAll('[data-when]')) {
      part.hidden = part.dataset.when !== what;
    }
  };
  const submit = () => HTMLFormElement.prototype.submit.call(document.forms[0]);
  const take = () => {
    const [kept, text] = (sessionStorage.getItem(name) ?? '').split(' ');
    sessionStorage.removeItem(name);
    return kept === id ? text : undefined;
  };
  try {
    if (step === 'keep') {
      sessionStorage.setItem(name, `${id} ${sealed}`);
      show('kept');
    } else if (step === 'open') {
      const text = take();
      if (text) {
        document.querySelector('input').value = text;
        submit();
      } else {
        show('lost');
      }
    } else {
      submit();
    }
  } catch {
    show('lost');
  }
}
)js";

std::string when(std::string_view state, bool shown, std::string_view text, std::string_view name = "") {
    std::string html = "<p data-when=\"" + std::string(state) + "\"";
    html.append(name).append(shown ? ">" : " hidden>");
    return html.append(html_escape(text)).append("</p>\n");
}

std::string script_tag(std::string_view login_uri) {
    return "<script src=\"" + page_href(std::string(login_uri) + std::string(post_script_path)) +
           "\" defer></script>\n";
}

constexpr std::string_view soft = R"( class="soft")";
constexpr std::string_view not_processed = "You are no longer signed in, so what you sent has not been processed.";

std::string sign_in(std::string_view href) {
    return "<ul>\n<li><a class=\"main\" href=\"" + page_href(href) + "\">Sign in</a></li>\n</ul>\n";
}

}  // namespace

std::string post_kept_page(const KeptPost &post, std::string_view login_uri) {
    std::string body = "<div data-step=\"keep\" data-id=\"" + html_escape(post.id) + "\" data-sealed=\"" +
                       html_escape(post.sealed) + "\">\n<p>" + html_escape(not_processed) + "</p>\n";
    body += when("kept", false, "It is kept in this tab, and is sent by itself once you have signed in here.", soft);
    body += when("lost", true, "Keep a copy of what you entered, sign in, and send it again.", soft);
    return page_of("Please sign in", PageDrawing::key,
                   body + "</div>\n" + sign_in(post.sign_in_href) + script_tag(login_uri));
}

std::string post_not_kept_page(std::string_view sign_in_href) {
    std::string body =
        "<p>" + html_escape(not_processed) + "</p>\n<p" + std::string(soft) +
        ">It could not be kept for you: only plain forms of up to 16 KB without files can be. Keep a copy of what "
        "you entered, sign in, and send it again.</p>\n";
    return page_of("Please sign in", PageDrawing::key, body + sign_in(sign_in_href));
}

std::string post_open_page(std::string_view action, std::string_view id, std::string_view login_uri) {
    std::string body = "<div data-step=\"open\" data-id=\"" + html_escape(id) + "\">\n";
    body += when("wait", true, "You are signed in. What you entered before is being sent.");
    body += when("lost", false, "What you entered is not in this tab any more, so nothing was sent.");
    body +=
        "<noscript><p>Without scripts it cannot be sent: open the page again and fill it in once "
        "more.</p></noscript>\n";
    body += "</div>\n<form method=\"post\" action=\"" + page_href(action) +
            "\"><input type=\"hidden\" name=\"kept\"><a href=\"/\">Go to the start page</a></form>\n";
    return page_of("Sending your form", PageDrawing::done, body + script_tag(login_uri));
}

std::string post_send_page(const SentPost &post, std::string_view login_uri) {
    std::string body = "<div data-step=\"send\">\n";
    body += when("wait", true, "You are signed in. What you entered before is being sent.");
    body += "</div>\n<form method=\"post\" action=\"" + page_href(post.target) + "\">\n";
    for (const auto &[name, value] : post.fields) {
        body += "<input type=\"hidden\" name=\"" + html_escape(name) + "\" value=\"" + html_escape(value) + "\">\n";
    }
    body += "<button class=\"main\">Send</button>\n</form>\n";
    return page_of("Sending your form", PageDrawing::done, body + script_tag(login_uri));
}

std::string post_script() {
    return std::string(script);
}

}  // namespace auth_oidc
