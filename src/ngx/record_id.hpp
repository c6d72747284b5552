// The id of a stored session, and how a cookie writes it.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace auth_oidc {

using RecordId = std::array<unsigned char, 32>;

// Exactly 43 characters of base64url (RFC 4648 section 5), no unused bit set; anything else names no session. No
// allocation.
std::optional<RecordId> record_id(std::string_view cookie);

}  // namespace auth_oidc
