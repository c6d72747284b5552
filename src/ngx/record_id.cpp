#include "record_id.hpp"

#include <cstdint>

namespace auth_oidc {

namespace {

constexpr uint8_t not_a_digit = 0xff;

constexpr std::array<uint8_t, 256> base64url_values() {
    std::array<uint8_t, 256> values{};
    for (auto &value : values) {
        value = not_a_digit;
    }
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < digits.size(); i++) {
        values[static_cast<unsigned char>(digits[i])] = static_cast<uint8_t>(i);
    }
    return values;
}
constexpr std::array<uint8_t, 256> digit_values = base64url_values();

}  // namespace

std::optional<RecordId> record_id(std::string_view cookie) {
    if (cookie.size() != 43) {
        return std::nullopt;
    }
    const auto *in = reinterpret_cast<const unsigned char *>(cookie.data());
    std::optional<RecordId> id(std::in_place);
    unsigned char *out = id->data();
    uint32_t seen = 0;  // every digit is below 64: a higher bit in here came from something else
    for (int i = 0; i < 10; i++, in += 4, out += 3) {
        const uint32_t a = digit_values[in[0]], b = digit_values[in[1]], c = digit_values[in[2]],
                       d = digit_values[in[3]];
        seen |= a | b | c | d;
        const uint32_t word = a << 18 | b << 12 | c << 6 | d;
        out[0] = static_cast<unsigned char>(word >> 16);
        out[1] = static_cast<unsigned char>(word >> 8);
        out[2] = static_cast<unsigned char>(word);
    }
    const uint32_t a = digit_values[in[0]], b = digit_values[in[1]], c = digit_values[in[2]];
    seen |= a | b | c | (c & 3) << 6;
    out[0] = static_cast<unsigned char>(a << 2 | b >> 4);
    out[1] = static_cast<unsigned char>(b << 4 | c >> 2);
    return seen < 64 ? id : std::nullopt;
}

}  // namespace auth_oidc
