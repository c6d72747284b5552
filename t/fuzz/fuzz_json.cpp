// JSON from outside: what is accepted can be written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "oidc/json.hpp"

using namespace oidc;

namespace {

void demand(bool good) {
    if (!good) {
        abort();
    }
}

void read_members(const Json &object) {
    const char *name;
    json_t *value;
    json_object_foreach(object.get(), name, value) {
        const auto text = object.string(name);
        demand(!text || text->find('\0') == std::string::npos);
        const auto time = object.time(name);
        demand(!time || (*time >= 0 && *time <= int64_t{1} << 53));
        const auto words = object.strings(name), list = object.list(name);
        demand(words.has_value() == list.has_value());
        demand(!object.boolean(name) || !(text || time || list));
        read_members(object.member(name));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const auto json = parse_object({reinterpret_cast<const char *>(data), size}, "input");
    if (!json) {
        demand(json.error().text.find('\n') == std::string::npos && json.error().text.size() < 300);
        return 0;
    }
    demand(json->is_object());
    read_members(*json);
    const std::string text = json->dump();
    const auto again = parse_object(text, "input");
    // Fifteen digits may round the largest doubles up beyond the end.
    demand(again ? again->dump() == text : again.error().text.find("real number overflow") != std::string::npos);
    return 0;
}
