// What is sealed into a session cookie: a head by which it can be signed out, then the session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace oidc {

struct CookieHead {
    uint32_t format = 1;
    uint32_t size = 0;  // of head and session
    int64_t begun = 0;  // the login, in milliseconds since 1970: what was signed out before is not this one
    // Stays the same when the cookie is written anew; and what the provider's logout names. All zero: nothing.
    unsigned char id[16] = {}, sid[16] = {}, sub[16] = {};
};

std::string write_cookie_record(CookieHead head, std::string_view session);

struct CookieRecord {
    CookieHead head;
    std::string_view session;  // lies in what was read
};
std::optional<CookieRecord> read_cookie_record(std::string_view plain);

}  // namespace oidc
