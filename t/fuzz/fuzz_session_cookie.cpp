// Session cookies as a browser may send them: chunks, the text put together from them, what is sealed in it, and what
// lies under the seal.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "oidc/chunks.hpp"
#include "oidc/cookie_record.hpp"
#include "oidc/seal.hpp"
#include "oidc/session.hpp"
#include "oidc/session_size.hpp"
#include "oidc/text.hpp"

using namespace oidc;

namespace {

void demand(bool good) {
    if (!good) {
        abort();
    }
}

const SealKey &key() {
    static const SealKey one(hkdf("a secret of the fuzzer", "auth_oidc session"));
    return one;
}

// A line each: the first value, then further ones.
std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty() && lines.size() < 2 * max_chunks) {
        const size_t end = text.find('\n');
        lines.push_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

void read_cookies(std::string_view text) {
    const auto lines = lines_of(text);
    const auto first = lines.empty() ? std::nullopt : read_first_chunk(lines[0]);
    if (!first) {
        return;
    }
    demand(first->count >= 1 && first->count <= max_chunks);
    std::string whole(first->text);
    for (size_t i = 1; i < lines.size(); i++) {
        whole += read_further_chunk(lines[i], first->mark).value_or(std::string_view());
    }
    std::vector<unsigned char> sealed(base64url_decoded_size(whole.size()) + 1), plain(sealed.size() + 1);
    const long size = base64url_decode_into(whole, sealed.data());
    // Nobody here knows the key: nothing opens.
    demand(size < 0 || key().open_into(bytes(sealed.data(), static_cast<size_t>(size)), "cookie", plain.data()) < 0);
}

void read_plain(std::string_view plain) {
    const auto record = read_cookie_record(plain);
    const auto session = record ? SessionView::over(record->session) : std::nullopt;
    if (session) {
        demand(!size_advice(*session, 1000).empty());
    }
}

// Whatever is sealed comes back, in as many chunks as it takes.
void there_and_back(std::string_view session) {
    const std::string text = base64url_encode(key().seal(write_cookie_record(CookieHead(), session), "cookie"));
    const auto values = split_chunks(text, 200);
    if (values.empty()) {
        return;
    }
    const auto first = read_first_chunk(values[0]);
    demand(first && first->count == values.size());
    std::string whole(first->text);
    for (size_t i = 1; i < values.size(); i++) {
        whole += read_further_chunk(values[i], first->mark).value();
    }
    const auto plain = key().open(base64url_decode(whole).value(), "cookie");
    demand(plain && read_cookie_record(*plain)->session == session);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(data), size);
    read_cookies(text);
    read_plain(text);
    CookieHead head;
    read_plain(write_cookie_record(head, text));
    there_and_back(text);
    return 0;
}
