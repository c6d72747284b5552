#include "store_redis_url.hpp"

#include <optional>

#include "../oidc/text.hpp"

namespace auth_oidc {
namespace {

oidc::Error wrong(const std::string &what) {
    return oidc::our_error("session_store", what);
}

std::optional<int> number(std::string_view text, int least, int most) {
    if (text.empty() || text.size() > 5 || text.find_first_not_of("0123456789") != std::string_view::npos) {
        return std::nullopt;
    }
    int value = std::stoi(std::string(text));
    return value >= least && value <= most ? std::optional<int>(value) : std::nullopt;
}

// %XX only: a plus sign in a password is a plus sign.
std::optional<std::string> decode(std::string_view text) {
    std::string plus;
    for (char c : text) {
        plus += c == '+' ? std::string("%2B") : std::string(1, c);
    }
    auto pairs = oidc::form_decode("v=" + plus);
    return pairs && pairs->size() == 1 ? std::optional<std::string>((*pairs)[0].second) : std::nullopt;
}

// "user:password", ":password" (the default user).
bool read_account(std::string_view text, RedisUrl &url) {
    size_t colon = text.find(':');
    if (colon == std::string_view::npos) {
        return false;
    }
    auto user = decode(text.substr(0, colon));
    auto password = decode(text.substr(colon + 1));
    if (!user || !password || password->empty()) {
        return false;
    }
    url.user = *user;
    url.password = *password;
    return true;
}

bool read_host(std::string_view text, RedisUrl &url) {
    size_t colon = text.rfind(':');
    size_t bracket = text.find(']');
    if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
        auto port = number(text.substr(colon + 1), 1, 65535);
        if (!port) {
            return false;
        }
        url.port = *port;
        text = text.substr(0, colon);
    }
    url.host = std::string(text);
    bool bracketed = !text.empty() && text[0] == '[' && text.back() == ']';
    return !text.empty() && (bracketed || text.find_first_of("[]:@ ") == std::string_view::npos);
}

std::optional<oidc::Error> read_option(const std::string &name, const std::string &value, RedisUrl &url) {
    if (name == "prefix") {
        if (value.size() > 64 || value.find_first_of(" \r\n") != std::string::npos) {
            return wrong("\"prefix\" has at most 64 characters and no blank");
        }
        url.prefix = value;
    } else if (name == "ca" && url.tls) {
        url.ca = value;
    } else if (name == "db" && url.socket) {
        auto database = number(value, 0, 65535);
        if (!database) {
            return wrong("\"db\" is a number");
        }
        url.database = *database;
    } else if (name == "user" && url.socket) {
        url.user = value;
    } else if (name == "password" && url.socket) {
        url.password = value;
    } else {
        return wrong("unknown parameter \"" + oidc::log_safe(name) + "\", there are prefix, ca (with rediss://), and " +
                     "db, user and password (with unix:)");
    }
    return std::nullopt;
}

std::optional<oidc::Error> read_options(std::string_view text, RedisUrl &url) {
    auto options = oidc::form_decode(text);
    if (!options) {
        return wrong("what follows \"?\" is malformed");
    }
    if (const std::string *twice = oidc::find_duplicate(*options)) {
        return wrong("parameter \"" + oidc::log_safe(*twice) + "\" is there twice");
    }
    for (const auto &[name, value] : *options) {
        if (auto error = read_option(name, value, url)) {
            return error;
        }
    }
    return std::nullopt;
}

// What lies between "://" and "?".
std::optional<oidc::Error> read_authority(std::string_view rest, RedisUrl &url) {
    size_t at = rest.rfind('@');
    if (at != std::string_view::npos) {
        if (!read_account(rest.substr(0, at), url)) {
            return wrong("before \"@\" stands user:password, or :password for the default user");
        }
        rest = rest.substr(at + 1);
    }
    size_t slash = rest.find('/');
    if (slash != std::string_view::npos && slash + 1 < rest.size()) {
        auto database = number(rest.substr(slash + 1), 0, 65535);
        if (!database) {
            return wrong("the database behind \"/\" is a number");
        }
        url.database = *database;
    }
    if (!read_host(rest.substr(0, slash), url)) {
        return wrong("host or port is missing or malformed");
    }
    return std::nullopt;
}

}  // namespace

bool is_redis_url(std::string_view text) {
    return text.find("://") != std::string_view::npos || oidc::starts_with(text, "unix:");
}

oidc::Result<RedisUrl> parse_redis_url(std::string_view text) {
    RedisUrl url;
    size_t question = text.find('?');
    std::string_view options = question == std::string_view::npos ? "" : text.substr(question + 1);
    std::string_view place = text.substr(0, question);
    url.socket = oidc::starts_with(place, "unix:");
    url.tls = oidc::starts_with(place, "rediss://");
    std::optional<oidc::Error> error;
    if (url.socket) {
        url.host = std::string(place.substr(5));
        if (url.host.size() < 2 || url.host[0] != '/') {
            error = wrong("behind \"unix:\" stands an absolute path");
        }
    } else if (url.tls || oidc::starts_with(place, "redis://")) {
        error = read_authority(place.substr(place.find("://") + 3), url);
    } else {
        error = wrong("the URL begins with redis://, rediss:// or unix:");
    }
    if (!error && !options.empty()) {
        error = read_options(options, url);
    }
    if (!error && !url.user.empty() && url.password.empty()) {
        error = wrong("a user needs a password");
    }
    if (error) {
        return *error;
    }
    return url;
}

}  // namespace auth_oidc
