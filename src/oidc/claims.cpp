#include "claims.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <new>

#include "text.hpp"

namespace oidc {

namespace {

// What a UserInfo answer has no say in: who signed in, where, for whom and when (C 2, C 5.3.2).
constexpr const char *id_token_only[] = {"sub", "iss", "aud", "exp", "iat", "nbf", "auth_time"};

bool is_id_token_only(std::string_view name) {
    return std::find(std::begin(id_token_only), std::end(id_token_only), name) != std::end(id_token_only);
}

bool is_scalar(const json_t *value) {
    return !json_is_object(value) && !json_is_array(value);
}

// The shortest text that reads back as the same number.
template <class Number>
std::string number_text(Number number) {
    char text[32];
    return std::string(text, std::to_chars(text, text + sizeof(text), number).ptr);
}

std::string scalar_text(const json_t *value) {
    switch (json_typeof(value)) {
        case JSON_STRING:
            return {json_string_value(value), json_string_length(value)};
        case JSON_INTEGER:
            return number_text(json_integer_value(value));
        case JSON_REAL:
            return number_text(json_real_value(value));
        case JSON_TRUE:
            return "true";
        case JSON_FALSE:
            return "false";
        default:
            return {};
    }
}

// The elements joined by commas; nothing when one of them is no scalar.
std::optional<std::string> joined(const json_t *array) {
    std::string text;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *element = json_array_get(array, i);
        if (!is_scalar(element)) {
            return std::nullopt;
        }
        text.append(i == 0 ? "" : ",").append(scalar_text(element));
    }
    return text;
}

std::string raw_text(const Json &value) {
    if (is_scalar(value.get())) {
        return scalar_text(value.get());
    }
    std::optional<std::string> list;
    if (json_is_array(value.get())) {
        list = joined(value.get());
    }
    return list ? *list : value.dump();
}

Json shallow_copy(const Json &claims) {
    Json copy = claims.is_object() ? Json::owning(json_copy(claims.get())) : Json::object();
    if (!copy) {
        throw std::bad_alloc();
    }
    return copy;
}

// A scalar, or the scalars of an array, each with a NUL behind it. null is no value, nor is what holds a NUL itself.
std::string packed_values(const Json &value) {
    std::string packed;
    const auto add = [&](const json_t *item) {
        const std::string text = is_scalar(item) ? scalar_text(item) : std::string();
        if (is_scalar(item) && !json_is_null(item) && text.find('\0') == std::string::npos) {
            packed.append(text).push_back('\0');
        }
    };
    for (size_t i = 0; i < json_array_size(value.get()); i++) {
        add(json_array_get(value.get(), i));
    }
    if (!json_is_array(value.get())) {
        add(value.get());
    }
    return packed;
}

// Cuts the first name off `path`, with '\.' read as a dot; any other backslash is itself.
std::string next_name(std::string_view &path, bool &last) {
    std::string name;
    size_t i = 0;
    for (; i < path.size() && path[i] != '.'; i++) {
        if (path[i] == '\\' && i + 1 < path.size() && path[i + 1] == '.') {
            i++;
        }
        name.push_back(path[i]);
    }
    last = i == path.size();
    path.remove_prefix(last ? i : i + 1);
    return name;
}

}  // namespace

std::string claim_text(const Json &value) {
    return value ? header_safe(raw_text(value)) : std::string();
}

std::vector<std::pair<std::string, std::string>> claim_table(const Json &claims, const Keep &keep) {
    std::map<std::string, std::string> table;
    if (keep.all_claims) {
        const char *name;
        json_t *value;
        json_object_foreach(claims.get(), name, value) {
            table[name] = claim_text(Json::sharing(value));
        }
    } else {
        for (const std::string &name : keep.claims) {
            if (const Json value = claims.member(name.c_str())) {
                table[name] = claim_text(value);
            }
        }
    }
    for (const std::string &path : keep.rules) {
        const auto value = find_claim(claims, path);
        table[values_key(path)] = value ? packed_values(*value) : std::string();
    }
    for (const std::string &path : keep.nested) {
        if (const auto value = find_claim(claims, path)) {
            table[nested_key(path)] = claim_text(*value);
        }
    }
    // Whether an address was verified goes wherever a rule looks at the address.
    if (contains(keep.rules, "email")) {
        if (const Json verified = claims.member("email_verified")) {
            table["email_verified"] = claim_text(verified);
        }
    }
    return {table.begin(), table.end()};
}

std::string values_key(std::string_view path) {
    return "\x01" + std::string(path);
}

std::string nested_key(std::string_view path) {
    return "\x02" + std::string(path);
}

Json merge_claims(const Json &id_token, const Json &userinfo) {
    Json merged = shallow_copy(id_token);
    const char *name;
    json_t *value;
    json_object_foreach(userinfo.get(), name, value) {
        if (!is_id_token_only(name) && json_object_set(merged.get(), name, value) != 0) {
            throw std::bad_alloc();
        }
    }
    return merged;
}

std::optional<Json> find_claim(const Json &claims, std::string_view path) {
    if (path.find('\0') != std::string_view::npos) {
        return std::nullopt;  // no member name has one, and a C string would end there
    }
    Json value = claims;
    for (bool last = false; !last;) {
        value = value.member(next_name(path, last).c_str());
        if (!value) {
            return std::nullopt;
        }
    }
    return value;
}

}  // namespace oidc
