// One callback host for several subdomains: a login that begins elsewhere first goes to that host's
// login_uri, so that its ticket is host-only where the callback arrives. The session cookie has the common domain.
#pragma once

#include "signin.hpp"

namespace auth_oidc {

// Whether the provider answers on another host than this one, and cookie_domain covers both.
bool has_callback_elsewhere(const Provider &provider, const std::string &origin);
// The callback host's login_uri, with origin and wish sealed.
std::string callback_host_url(const Provider &provider, const std::string &origin, const LoginWish &wish);
// At the callback host: what was sealed there, while a login may take that long.
std::optional<LoginWish> wish_from_elsewhere(const Provider &provider, std::string_view sealed);

// What of a target a session keeps for later clicks on the same callback: it is short, and never part of a path, which
// would be another page.
std::string kept_target(const std::string &target);
// The address to go to after a callback: a path of this site, or a URL of another host of the domain.
std::string way_back(const Provider &provider, const std::string &origin, std::string_view target);

constexpr std::string_view elsewhere_parameter = "begun_at";

}  // namespace auth_oidc
