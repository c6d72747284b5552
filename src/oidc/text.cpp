#include "text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace oidc {

namespace {

constexpr char base64url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char hex_digits[] = "0123456789ABCDEF";
constexpr std::string_view blanks = " \t\r\n";

// The value of each base64url character; 0x80 marks all others, so that one OR over a text tells whether it is clean.
constexpr std::array<uint8_t, 256> make_base64url_values() {
    std::array<uint8_t, 256> values{};
    for (auto &value : values) {
        value = 0x80;
    }
    for (uint8_t i = 0; i < 64; ++i) {
        values[static_cast<unsigned char>(base64url_alphabet[i])] = i;
    }
    return values;
}
constexpr std::array<uint8_t, 256> base64url_values = make_base64url_values();

std::string encode(std::string_view data, const char *alphabet) {
    std::string out((data.size() * 4 + 2) / 3, '\0');
    char *to = out.data();
    const unsigned char *in = octets(data);
    size_t left = data.size();
    for (; left >= 3; in += 3, left -= 3) {
        const uint32_t bits = static_cast<uint32_t>(in[0]) << 16 | static_cast<uint32_t>(in[1]) << 8 | in[2];
        *to++ = alphabet[bits >> 18];
        *to++ = alphabet[bits >> 12 & 63];
        *to++ = alphabet[bits >> 6 & 63];
        *to++ = alphabet[bits & 63];
    }
    if (left > 0) {
        const uint32_t bits = static_cast<uint32_t>(in[0]) << 16 | (left == 2 ? static_cast<uint32_t>(in[1]) << 8 : 0);
        *to++ = alphabet[bits >> 18];
        *to++ = alphabet[bits >> 12 & 63];
        if (left == 2) {
            *to++ = alphabet[bits >> 6 & 63];
        }
    }
    return out;
}

// The one to three bytes that do not fill a group of four characters. False where unused bits are set.
bool decode_tail(const unsigned char *in, size_t left, unsigned char *out) {
    if (left == 0) {
        return true;
    }
    if (left == 1) {
        return false;
    }
    const unsigned a = base64url_values[in[0]], b = base64url_values[in[1]];
    const unsigned c = left == 3 ? base64url_values[in[2]] : 0;
    out[0] = static_cast<unsigned char>(a << 2 | b >> 4);
    if (left == 3) {
        out[1] = static_cast<unsigned char>(b << 4 | c >> 2);
    }
    const unsigned unused = left == 3 ? c & 3 : b & 15;
    return ((a | b | c) & 0x80) == 0 && unused == 0;
}

constexpr std::array<bool, 256> make_unreserved() {
    std::array<bool, 256> unreserved{};
    for (const char c : std::string_view(base64url_alphabet)) {
        unreserved[static_cast<unsigned char>(c)] = true;
    }
    unreserved['.'] = unreserved['~'] = true;
    return unreserved;
}
constexpr std::array<bool, 256> is_unreserved = make_unreserved();

// Into place: an authorization request is some five hundred characters, and a stranger may ask for many.
void append_escaped(std::string &out, std::string_view text, bool blank_is_plus) {
    const size_t start = out.size();
    out.resize(start + 3 * text.size());
    char *to = out.data() + start;
    for (const unsigned char c : text) {
        if (is_unreserved[c]) {
            *to++ = static_cast<char>(c);
        } else if (c == ' ' && blank_is_plus) {
            *to++ = '+';
        } else {
            *to++ = '%';
            *to++ = hex_digits[c >> 4];
            *to++ = hex_digits[c & 15];
        }
    }
    out.resize(static_cast<size_t>(to - out.data()));
}

std::string escape_with(std::string_view text, bool blank_is_plus) {
    std::string out;
    append_escaped(out, text, blank_is_plus);
    return out;
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::optional<std::string> form_decode_part(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        char c = text[i] == '+' ? ' ' : text[i];
        if (c == '%') {
            const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
            const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
            if (low < 0) {
                return std::nullopt;
            }
            c = static_cast<char>(high << 4 | low);
            i += 2;
        }
        if (c == '\0') {
            return std::nullopt;
        }
        out += c;
    }
    return out;
}

// What each of four characters adds to three bytes, as they lie in memory; in the fourth byte, that it is no digit.
constexpr int byte_at(int i) {
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 8 * i : 24 - 8 * i;
}
constexpr uint32_t no_digit = uint32_t{0xff} << byte_at(3);

struct Base64Words {
    uint32_t of[4][256] = {};
};
constexpr Base64Words make_base64url_words() {
    Base64Words words;
    for (size_t c = 0; c < 256; c++) {
        const uint32_t value = base64url_values[c];
        const bool good = value < 64;
        words.of[0][c] = good ? value << 2 << byte_at(0) : no_digit;
        words.of[1][c] = good ? value >> 4 << byte_at(0) | (value << 4 & 0xff) << byte_at(1) : no_digit;
        words.of[2][c] = good ? value >> 2 << byte_at(1) | (value << 6 & 0xff) << byte_at(2) : no_digit;
        words.of[3][c] = good ? value << byte_at(2) : no_digit;
    }
    return words;
}
constexpr Base64Words base64url_words = make_base64url_words();

bool is_control(unsigned char c) {
    return c < 0x20 || c == 0x7f;
}

// Length of the UTF-8 sequence at the beginning (RFC 3629: no overlong form, no surrogate, at most U+10FFFF), or 0.
size_t utf8_sequence(std::string_view text) {
    const unsigned char *in = octets(text);
    if (in[0] < 0x80) {
        return 1;
    }
    size_t length = 0;
    if (in[0] >= 0xc2 && in[0] <= 0xdf) {
        length = 2;
    } else if ((in[0] & 0xf0) == 0xe0) {
        length = 3;
    } else if (in[0] >= 0xf0 && in[0] <= 0xf4) {
        length = 4;
    }
    if (length == 0 || text.size() < length) {
        return 0;
    }
    for (size_t i = 1; i < length; ++i) {
        if ((in[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    const bool bad = (in[0] == 0xe0 && in[1] < 0xa0) || (in[0] == 0xed && in[1] > 0x9f) ||
                     (in[0] == 0xf0 && in[1] < 0x90) || (in[0] == 0xf4 && in[1] > 0x8f);
    return bad ? 0 : length;
}

}  // namespace

std::string base64url_encode(std::string_view data) {
    return encode(data, base64url_alphabet);
}

std::string base64_encode(std::string_view data) {
    std::string out = encode(data, base64_alphabet);
    out.append((4 - out.size() % 4) % 4, '=');
    return out;
}

long base64url_decode_into(std::string_view text, unsigned char *out) {
    const unsigned char *in = octets(text);
    const size_t groups = text.size() / 4;
    uint32_t seen = 0;
    unsigned char *to = out;
    for (size_t i = 0; i < groups; i++, in += 4, to += 3) {
        const uint32_t word = base64url_words.of[0][in[0]] | base64url_words.of[1][in[1]] |
                              base64url_words.of[2][in[2]] | base64url_words.of[3][in[3]];
        seen |= word;
        // All four bytes at once where the next group writes over the fourth.
        if (i + 1 < groups) {
            std::memcpy(to, &word, 4);
        } else {
            std::memcpy(to, &word, 3);
        }
    }
    if ((seen & no_digit) != 0 || !decode_tail(in, text.size() % 4, to)) {
        return -1;
    }
    return static_cast<long>(base64url_decoded_size(text.size()));
}

std::optional<std::string> base64url_decode(std::string_view text) {
    std::string out(base64url_decoded_size(text.size()), '\0');
    if (base64url_decode_into(text, reinterpret_cast<unsigned char *>(out.data())) < 0) {
        return std::nullopt;
    }
    return out;
}

std::string percent_encode(std::string_view text) {
    return escape_with(text, false);
}
std::string form_encode(std::string_view text) {
    return escape_with(text, true);
}

std::string form_encode(const Parameters &parameters) {
    std::string out;
    out.reserve(1024);
    for (const auto &[name, value] : parameters) {
        if (!out.empty()) {
            out += '&';
        }
        append_escaped(out, name, true);
        out += '=';
        append_escaped(out, value, true);
    }
    return out;
}

std::optional<Parameters> form_decode(std::string_view text, size_t max_parameters) {
    Parameters out;
    while (!text.empty()) {
        const std::string_view pair = text.substr(0, text.find('&'));
        text.remove_prefix(std::min(text.size(), pair.size() + 1));
        if (pair.empty()) {
            continue;
        }
        const size_t equals = std::min(pair.find('='), pair.size());
        auto name = form_decode_part(pair.substr(0, equals));
        auto value = form_decode_part(pair.substr(std::min(equals + 1, pair.size())));
        if (!name || !value || out.size() == max_parameters) {
            return std::nullopt;
        }
        out.emplace_back(std::move(*name), std::move(*value));
    }
    return out;
}

const std::string *find_parameter(const Parameters &parameters, std::string_view name) {
    for (const auto &parameter : parameters) {
        if (parameter.first == name) {
            return &parameter.second;
        }
    }
    return nullptr;
}

const std::string *find_duplicate(const Parameters &parameters) {
    for (size_t i = 0; i < parameters.size(); ++i) {
        for (size_t j = 0; j < i; ++j) {
            if (parameters[i].first == parameters[j].first) {
                return &parameters[i].first;
            }
        }
    }
    return nullptr;
}

std::string html_escape(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 16);
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string utf8_safe(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    const auto is_ascii = [](char c) { return (c & 0x80) == 0; };
    while (!text.empty()) {
        const auto plain = static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is_ascii) - text.begin());
        const size_t length = plain > 0 ? plain : utf8_sequence(text);
        out += length > 0 ? text.substr(0, length) : std::string_view("\xef\xbf\xbd");
        text.remove_prefix(std::max<size_t>(length, 1));
    }
    return out;
}

std::string json_escape(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 16);
    for (const char c : utf8_safe(text)) {
        const auto value = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (is_control(value)) {
            out += "\\u00";
            out += hex_digits[value >> 4];
            out += hex_digits[value & 15];
        } else {
            out += c;
        }
    }
    return out;
}

std::string log_safe(std::string_view text, size_t max) {
    std::string out;
    for (const unsigned char c : text) {
        const bool plain = !is_control(c) && c < 0x80;
        if (out.size() + (plain ? 1 : 4) > max) {
            break;
        }
        if (plain) {
            out += static_cast<char>(c);
        } else {
            out += {'\\', 'x', hex_digits[c >> 4], hex_digits[c & 15]};
        }
    }
    return out;
}

std::string header_safe(std::string_view text) {
    std::string out(text);
    for (char &c : out) {
        if (is_control(static_cast<unsigned char>(c))) {
            c = ' ';
        }
    }
    return out;
}

std::vector<std::string> split_words(std::string_view text) {
    std::vector<std::string> out;
    for (size_t begin = text.find_first_not_of(blanks); begin != std::string_view::npos;) {
        const size_t end = std::min(text.find_first_of(blanks, begin), text.size());
        out.emplace_back(text.substr(begin, end - begin));
        begin = text.find_first_not_of(blanks, end);
    }
    return out;
}

bool starts_with(std::string_view text, std::string_view prefix) {
    return text.substr(0, prefix.size()) == prefix;
}

bool ends_with(std::string_view text, std::string_view suffix) {
    return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

bool contains(const std::vector<std::string> &list, std::string_view item) {
    return std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace oidc
