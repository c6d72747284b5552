// Pages about a form that met an ended session, and the script that they share.
#pragma once

#include <string>
#include <string_view>

#include "../oidc/text.hpp"

namespace auth_oidc {

// Beside each login_uri of a server where some location has auth_oidc_preserve_post.
constexpr std::string_view post_path = "/post";
constexpr std::string_view post_script_path = "/post.js";

struct KeptPost {
    std::string_view sign_in_href, id, sealed;
};
std::string post_kept_page(const KeptPost &post, std::string_view login_uri);
std::string post_not_kept_page(std::string_view sign_in_href);

// Brings what is kept under `id` back to `action`.
std::string post_open_page(std::string_view action, std::string_view id, std::string_view login_uri);

struct SentPost {
    std::string_view target;
    oidc::Parameters fields;
};
std::string post_send_page(const SentPost &post, std::string_view login_uri);

std::string post_script();

}  // namespace auth_oidc
