// A cookie that may be sealed by us. The first byte says what the rest is: a cookie, or a text to be sealed, damaged
// and opened.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "oidc/seal.hpp"

using namespace oidc;

namespace {

constexpr int64_t now = 1700000000;

void demand(bool good) {
    if (!good) {
        abort();
    }
}

Sealer &sealer() {
    static Sealer sealer({std::string(32, 's'), std::string(32, 't')}, "fuzz");
    return sealer;
}

DailySealer &daily() {
    static DailySealer daily({std::string(32, 's')}, "fuzz");
    return daily;
}

// Nobody can make a sealed text without the key, so none of these opens.
void open_foreign(std::string_view text) {
    demand(!sealer().open(text, "name") && !daily().open(text, "name", now));
    demand(!sealer().first().open(text, "name"));
}

void damage(std::string_view plain, size_t at, uint8_t change) {
    const SealKey &key = sealer().first();
    std::string sealed = key.seal(plain, "name");
    demand(key.open(sealed, "name") == plain && !key.open(sealed, "other"));
    sealed[at % sealed.size()] = static_cast<char>(sealed[at % sealed.size()] ^ change);
    demand(key.open(sealed, "name").has_value() == (change == 0));
    demand(!key.open(std::string_view(sealed).substr(0, at % sealed.size()), "name"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3 || data[0] == 'o') {
        open_foreign({reinterpret_cast<const char *>(data) + (size > 0), size - (size > 0)});
    } else {
        damage({reinterpret_cast<const char *>(data) + 3, size - 3}, data[0] * size_t{7} + data[1], data[2]);
    }
    return 0;
}
