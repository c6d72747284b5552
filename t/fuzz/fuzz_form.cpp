// Form data, and every coding and escape on any text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "oidc/json.hpp"
#include "oidc/text.hpp"

using namespace oidc;

namespace {

void demand(bool good) {
    if (!good) {
        abort();
    }
}

void forms(std::string_view text) {
    const auto parameters = form_decode(text);
    if (!parameters) {
        return;
    }
    demand(parameters->size() <= 64);
    demand(form_decode(form_encode(*parameters)) == parameters);
    const std::string *twice = find_duplicate(*parameters);
    demand(twice == nullptr || find_parameter(*parameters, *twice) != nullptr);
}

void codings(std::string_view text) {
    demand(base64url_decode(base64url_encode(text)) == text);
    const auto decoded = base64url_decode(text);
    demand(!decoded || base64url_encode(*decoded) == text);
    demand(base64_encode(text).size() % 4 == 0);
    const auto form = form_decode(form_encode(text));
    const bool has_nul = text.find('\0') != std::string_view::npos;
    demand(has_nul ? !form : text.empty() || (form && form->size() == 1 && form->front().first == text));
}

void escapes(std::string_view text) {
    const auto json = parse_object("{\"a\":\"" + json_escape(text) + "\"}", "escaped");
    demand(bool(json));
    demand(text.find('\0') != std::string_view::npos || json->string("a") == utf8_safe(text));
    demand(utf8_safe(utf8_safe(text)) == utf8_safe(text));
    for (const std::string &safe : {log_safe(text, 100), header_safe(text)}) {
        demand(std::none_of(safe.begin(), safe.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }));
    }
    demand(log_safe(text, 100).size() <= 100);
    demand(html_escape(text).find_first_of("<>\"'") == std::string::npos);
    for (const auto &word : split_words(text)) {
        demand(!word.empty() && word.find(' ') == std::string::npos);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(data), size);
    forms(text);
    codings(text);
    escapes(text);
    return 0;
}
