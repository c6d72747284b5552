// Claims of a provider: the first line is a path, the rest is JSON. No control character gets into a text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "oidc/claims.hpp"

using namespace oidc;

namespace {

void demand(bool good) {
    if (!good) {
        abort();
    }
}

void demand_safe(const std::string &text) {
    demand(std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }));
}

void check_table(const Json &claims) {
    const auto table = claim_table(claims, Keep());
    demand(table.size() == json_object_size(claims.get()));
    for (size_t i = 0; i < table.size(); i++) {
        demand(i == 0 || table[i - 1].first < table[i].first);
        demand_safe(table[i].second);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(data), size);
    const size_t line = std::min(text.find('\n'), size);
    const std::string_view path = text.substr(0, line);
    const Result<Json> claims = parse_object(text.substr(std::min(line + 1, size)), "claims");
    if (!claims) {
        return 0;
    }
    check_table(*claims);
    if (const auto found = find_claim(*claims, path)) {
        demand_safe(claim_text(*found));
    }
    demand(json_equal(merge_claims(*claims, *claims).get(), claims->get()));
    demand(json_equal(merge_claims(*claims, Json()).get(), claims->get()));
    return 0;
}
