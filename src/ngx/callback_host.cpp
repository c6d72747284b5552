#include "callback_host.hpp"

#include "../oidc/http.hpp"
#include "endpoints.hpp"

namespace auth_oidc {
namespace {

constexpr std::string_view purpose = "begun elsewhere";

bool is_covered(const Provider &provider, std::string_view host) {
    std::string_view domain = view(provider.cookie_domain);
    if (oidc::starts_with(domain, ".")) {
        domain.remove_prefix(1);
    }
    return !domain.empty() && (host == domain || oidc::ends_with(host, "." + std::string(domain)));
}

}  // namespace

bool has_callback_elsewhere(const Provider &provider, const std::string &origin) {
    if (provider.cookie_domain.len == 0) {
        return false;
    }
    auto here = oidc::http::parse_url(origin);
    auto there = oidc::http::parse_url(provider.client.redirect_uri);
    return here && there && here->host != there->host && is_covered(provider, here->host) &&
           is_covered(provider, there->host);
}

std::string callback_host_url(const Provider &provider, const std::string &origin, const LoginWish &wish) {
    oidc::Parameters text{{"time", std::to_string(static_cast<int64_t>(ngx_time()))},
                          {"origin", origin},
                          {"target", wish.target},
                          {"max_age", std::to_string(wish.max_age)},
                          {"retried", wish.retried ? "1" : "0"}};
    for (const std::string &value : wish.acr_values) {
        text.emplace_back("acr", value);
    }
    for (const auto &[name, value] : wish.extra) {
        text.emplace_back("." + name, value);
    }
    std::string sealed = provider.sealers->guard.seal(provider.binding + oidc::form_encode(text), purpose, ngx_time());
    std::string there = oidc::http::parse_url(provider.client.redirect_uri)->origin();
    return there + login_url(provider, {}) + "&" + std::string(elsewhere_parameter) + "=" + sealed;
}

std::optional<LoginWish> wish_from_elsewhere(const Provider &provider, std::string_view sealed) {
    auto text = provider.sealers->guard.open(sealed, purpose, ngx_time());
    if (!text || !oidc::starts_with(*text, provider.binding)) {
        return std::nullopt;
    }
    auto values = oidc::form_decode(std::string_view(*text).substr(provider.binding.size()));
    if (!values || values->size() < 5) {
        return std::nullopt;
    }
    auto number = [&](size_t i) { return std::strtoll((*values)[i].second.c_str(), nullptr, 10); };
    if (ngx_time() - number(0) > provider.login_timeout) {
        return std::nullopt;
    }
    LoginWish wish;
    wish.origin = (*values)[1].second;
    wish.target = (*values)[2].second;
    wish.max_age = number(3);
    wish.retried = number(4) == 1;
    for (size_t i = 5; i < values->size(); i++) {
        const auto &[name, value] = (*values)[i];
        if (name == "acr") {
            wish.acr_values.push_back(value);
        } else {
            wish.extra.emplace_back(name.substr(1), value);
        }
    }
    return wish;
}

std::string kept_target(const std::string &target) {
    constexpr size_t most = 200;
    if (target.size() <= most) {
        return target;
    }
    std::string path = target.substr(0, target.find('?'));
    return path.size() <= most ? path : "/";
}

std::string way_back(const Provider &provider, const std::string &origin, std::string_view target) {
    auto url = oidc::http::parse_url(target);
    return url && is_covered(provider, url->host) ? std::string(target) : origin + safe_target(target, "/");
}

}  // namespace auth_oidc
