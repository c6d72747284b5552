#include "kept_form.hpp"

#include <algorithm>

namespace oidc {

namespace {

constexpr unsigned char form_format = 1;
constexpr size_t max_origin = 300;
constexpr size_t max_target = 1200;
constexpr size_t user_size = sizeof(Digest);

bool is_target(std::string_view target) {
    const auto is_control = [](unsigned char c) { return c <= 0x20 || c == 0x7f; };
    return !target.empty() && target[0] == '/' && target.size() <= max_target &&
           std::none_of(target.begin(), target.end(), is_control);
}

bool is_sound(const KeptForm &form) {
    return form.created >= 0 && form.origin.size() <= max_origin && is_target(form.target) &&
           (form.user.empty() || form.user.size() == user_size) && form_fields(form.body).has_value();
}

std::string number(uint64_t value, size_t size) {
    std::string text(size, '\0');
    for (size_t i = 0; i < size; i++) {
        text[size - 1 - i] = static_cast<char>(value >> (8 * i));
    }
    return text;
}

// Takes from the front; past the end everything is empty and `good` is false.
struct Reader {
    std::string_view rest;
    bool good = true;

    std::string text(size_t size) {
        good = good && size <= rest.size();
        std::string taken(good ? rest.substr(0, size) : std::string_view());
        rest.remove_prefix(taken.size());
        return taken;
    }
    uint64_t number(size_t size) {
        uint64_t value = 0;
        for (const char c : text(size)) {
            value = value << 8 | static_cast<unsigned char>(c);
        }
        return value;
    }
};

}  // namespace

std::optional<Parameters> form_fields(std::string_view body) {
    if (body.size() > KeptForm::max_body) {
        return std::nullopt;
    }
    auto fields = form_decode(body, KeptForm::max_fields);
    const auto is_lost = [](const auto &field) {
        return field.first.empty() || utf8_safe(field.first) != field.first || utf8_safe(field.second) != field.second;
    };
    if (!fields || std::any_of(fields->begin(), fields->end(), is_lost)) {
        return std::nullopt;
    }
    return fields;
}

std::string write_kept_form(const KeptForm &form) {
    if (!is_sound(form)) {
        return {};
    }
    return number(form_format, 1) + number(static_cast<uint64_t>(form.created), 8) + number(form.user.size(), 1) +
           form.user + number(form.origin.size(), 2) + form.origin + number(form.target.size(), 2) + form.target +
           form.body;
}

std::optional<KeptForm> read_kept_form(std::string_view record) {
    Reader reader{record};
    if (reader.number(1) != form_format) {
        return std::nullopt;
    }
    KeptForm form;
    form.created = static_cast<int64_t>(reader.number(8));
    form.user = reader.text(reader.number(1));
    form.origin = reader.text(reader.number(2));
    form.target = reader.text(reader.number(2));
    form.body = std::string(reader.rest);
    if (!reader.good || !is_sound(form)) {
        return std::nullopt;
    }
    return form;
}

}  // namespace oidc
