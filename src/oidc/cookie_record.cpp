#include "cookie_record.hpp"

#include <cstring>
#include <type_traits>

namespace oidc {

// Copied byte for byte, so there must be no hole between its members.
static_assert(std::is_trivially_copyable_v<CookieHead> && std::has_unique_object_representations_v<CookieHead>);

std::string write_cookie_record(CookieHead head, std::string_view session) {
    std::string plain(sizeof(head), '\0');
    plain.append(session);
    head.size = static_cast<uint32_t>(plain.size());
    memcpy(plain.data(), &head, sizeof(head));
    return plain;
}

std::optional<CookieRecord> read_cookie_record(std::string_view plain) {
    if (plain.size() < sizeof(CookieHead)) {
        return std::nullopt;
    }
    CookieRecord record;
    memcpy(&record.head, plain.data(), sizeof(record.head));
    if (record.head.format != CookieHead().format || record.head.size != plain.size()) {
        return std::nullopt;
    }
    record.session = plain.substr(sizeof(record.head));
    return record;
}

}  // namespace oidc
