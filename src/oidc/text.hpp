// Codings of the wire: base64, percent and form coding, hashes, random values, comparison, escapes.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oidc {

using Digest = std::array<unsigned char, 32>;
using Parameters = std::vector<std::pair<std::string, std::string>>;

inline std::string_view bytes(const unsigned char *data, size_t size) {
    return {reinterpret_cast<const char *>(data), size};
}
inline std::string_view bytes(const Digest &digest) {
    return bytes(digest.data(), digest.size());
}
inline const unsigned char *octets(std::string_view text) {
    // cppcheck-suppress returnDanglingLifetime ; a view does not own its text
    return reinterpret_cast<const unsigned char *>(text.data());
}

// RFC 4648 section 5 without padding. Decoding is strict: no padding, no blanks, no unused bits set.
std::string base64url_encode(std::string_view data);
std::optional<std::string> base64url_decode(std::string_view text);
// The same into `out`, which holds base64url_decoded_size bytes: the size, or -1. No allocation.
constexpr size_t base64url_decoded_size(size_t characters) {
    return characters / 4 * 3 + characters % 4 * 3 / 4;
}
long base64url_decode_into(std::string_view text, unsigned char *out);
// RFC 4648 section 4 with padding (HTTP Basic).
std::string base64_encode(std::string_view data);

// Everything but RFC 3986's unreserved characters becomes %XX.
std::string percent_encode(std::string_view text);
// application/x-www-form-urlencoded: as above, with a blank as '+'. What RFC 6749 2.3.1 wants before Basic.
std::string form_encode(std::string_view text);
std::string form_encode(const Parameters &parameters);
// Both '+' and %XX are decoded; nothing on a broken escape, a NUL, or more than max_parameters.
std::optional<Parameters> form_decode(std::string_view text, size_t max_parameters = 64);
// The value of the first parameter of that name, or null.
const std::string *find_parameter(const Parameters &parameters, std::string_view name);
// The name of a parameter that stands there twice, or null.
const std::string *find_duplicate(const Parameters &parameters);

Digest sha256(std::string_view data);
Digest hmac_sha256(std::string_view key, std::string_view data);
// Takes the same time whatever the contents are; lengths are not secret.
bool equal_constant_time(std::string_view a, std::string_view b);

// count bytes from OpenSSL's generator (fork-safe). Throws std::runtime_error when it has none.
std::string random_bytes(size_t count);
// 32 random bytes in base64url, 43 characters: state, nonce, verifier, session id.
std::string random_token();

// Text for HTML content and quoted attributes.
std::string html_escape(std::string_view text);
// Valid UTF-8 in any case: each byte that does not belong there becomes U+FFFD.
std::string utf8_safe(std::string_view text);
// Text as the inside of a JSON string, without the quotes; made valid UTF-8.
std::string json_escape(std::string_view text);
// Text for a log line: control characters and anything outside ASCII as \xXX, cut to max bytes.
std::string log_safe(std::string_view text, size_t max = 200);
// Text for a header value: CR, LF, NUL and other control characters become blanks; UTF-8 stays.
std::string header_safe(std::string_view text);

std::vector<std::string> split_words(std::string_view text);  // at blanks
bool starts_with(std::string_view text, std::string_view prefix);
bool ends_with(std::string_view text, std::string_view suffix);
bool contains(const std::vector<std::string> &list, std::string_view item);

}  // namespace oidc
