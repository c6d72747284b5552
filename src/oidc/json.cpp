#include "json.hpp"

#include "text.hpp"

namespace oidc {

namespace {

// Beyond this a double cannot tell neighbouring seconds apart.
constexpr int64_t max_time = int64_t{1} << 53;

std::optional<std::string> text_of(const json_t *value) {
    if (!json_is_string(value)) {
        return std::nullopt;
    }
    const std::string_view text(json_string_value(value), json_string_length(value));
    if (text.find('\0') != std::string_view::npos) {
        return std::nullopt;
    }
    return std::string(text);
}

// jansson recurses up to 2,048 levels, each with its own stack frame: brackets are counted before it begins.
bool is_deeper_than(std::string_view text, size_t depth) {
    size_t level = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            i += c == '\\' ? 1 : 0;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++level > depth) {
                return true;
            }
        } else if ((c == '}' || c == ']') && level > 0) {
            --level;
        }
    }
    return false;
}

// jansson quotes the place ("... near '"secret"'"): only what stands before that may be shown.
std::string complaint(const json_error_t &error) {
    std::string_view text = error.text;
    text = text.substr(0, text.find(" near "));
    return log_safe(text) + " at byte " + std::to_string(error.position);
}

}  // namespace

Json Json::member(const char *name) const {
    return sharing(json_object_get(value_.get(), name));
}

std::optional<std::string> Json::string(const char *name) const {
    return text_of(json_object_get(value_.get(), name));
}

std::optional<bool> Json::boolean(const char *name) const {
    const json_t *value = json_object_get(value_.get(), name);
    if (!json_is_boolean(value)) {
        return std::nullopt;
    }
    return json_is_true(value);
}

std::optional<int64_t> Json::time(const char *name) const {
    const json_t *value = json_object_get(value_.get(), name);
    if (json_is_integer(value)) {
        const json_int_t number = json_integer_value(value);
        return number >= 0 && number <= max_time ? std::optional<int64_t>(number) : std::nullopt;
    }
    if (json_is_real(value)) {
        // The comparisons are false for NaN; only then is the conversion to an integer defined.
        const double number = json_real_value(value);
        return number >= 0 && number <= static_cast<double>(max_time) ? std::optional<int64_t>(number) : std::nullopt;
    }
    return std::nullopt;
}

std::optional<std::vector<std::string>> Json::strings(const char *name) const {
    if (const auto text = string(name)) {
        return split_words(*text);
    }
    return list(name);
}

std::optional<std::vector<std::string>> Json::list(const char *name) const {
    const json_t *value = json_object_get(value_.get(), name);
    if (value == nullptr) {
        return std::vector<std::string>();
    }
    if (auto text = text_of(value)) {
        return std::vector<std::string>{std::move(*text)};
    }
    if (!json_is_array(value)) {
        return std::nullopt;
    }
    std::vector<std::string> out;
    for (size_t i = 0; i < json_array_size(value); ++i) {
        auto item = text_of(json_array_get(value, i));
        if (!item) {
            return std::nullopt;
        }
        out.push_back(std::move(*item));
    }
    return out;
}

void Json::set(const char *name, std::string_view text) {
    const std::string safe = utf8_safe(text);
    set(name, owning(json_stringn(safe.data(), safe.size())));
}
void Json::set(const char *name, bool value) {
    set(name, owning(json_boolean(value)));
}
void Json::set(const char *name, int64_t value) {
    set(name, owning(json_integer(value)));
}

void Json::set(const char *name, const Json &value) {
    if (!value_) {
        value_.reset(json_object());
    }
    json_object_set(value_.get(), name, value.get());
}

std::string Json::dump() const {
    // 15 digits bring back every decimal that came with as many: 1.1 stays 1.1.
    constexpr size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);
    std::string out(json_dumpb(value_.get(), nullptr, 0, flags), '\0');
    json_dumpb(value_.get(), out.data(), out.size(), flags);
    return out;
}

Result<Json> parse_object(std::string_view text, const char *what, size_t depth) {
    const auto refuse = [what](const std::string &why) {
        return provider_error("json", std::string(what) + " is not a proper JSON object: " + why);
    };
    if (is_deeper_than(text, depth)) {
        return refuse("nested deeper than " + std::to_string(depth) + " levels");
    }
    json_error_t error;
    // A NUL inside a string is let in here and hides that one member in the getters above.
    Json value = Json::owning(json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error));
    if (!value) {
        return refuse(complaint(error));
    }
    if (!value.is_object()) {
        return refuse("it is an array");
    }
    return value;
}

}  // namespace oidc
