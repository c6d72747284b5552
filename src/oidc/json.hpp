// JSON as an owning handle on jansson, parsed strictly.
#pragma once

#include <jansson.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "result.hpp"

namespace oidc {

class Json {
public:
    Json() = default;
    static Json owning(json_t *value) { return Json(value); }
    static Json sharing(json_t *value) { return Json(json_incref(value)); }
    static Json object() { return Json(json_object()); }

    Json(const Json &other) : value_(json_incref(other.value_.get())) {}
    Json &operator=(const Json &other) {
        value_.reset(json_incref(other.value_.get()));
        return *this;
    }
    Json(Json &&) noexcept = default;
    Json &operator=(Json &&) noexcept = default;

    json_t *get() const { return value_.get(); }
    explicit operator bool() const { return value_ != nullptr; }
    bool is_object() const { return json_is_object(value_.get()); }

    // Members of an object; nothing where the member is absent or of another type.
    Json member(const char *name) const;
    bool has(const char *name) const { return json_object_get(value_.get(), name) != nullptr; }
    std::optional<std::string> string(const char *name) const;  // nothing for a string with a NUL inside
    std::optional<bool> boolean(const char *name) const;
    // Integer or real, seconds: nothing when negative, not finite or beyond 2^53; fractions are cut off.
    std::optional<int64_t> time(const char *name) const;
    // A string, or an array of strings: its words. Nothing for anything else (an empty list when absent).
    std::optional<std::vector<std::string>> strings(const char *name) const;
    // The same with a string as one item, blanks and all: for `aud`.
    std::optional<std::vector<std::string>> list(const char *name) const;

    // A handle that holds nothing becomes an object. Copies of a handle share what is set.
    void set(const char *name, std::string_view text);
    void set(const char *name, const char *text) { set(name, std::string_view(text)); }  // else it would become a bool
    void set(const char *name, bool value);
    void set(const char *name, int64_t value);
    void set(const char *name, const Json &value);
    std::string dump() const;  // compact, members in the order they were set

private:
    struct Release {
        void operator()(json_t *value) const { json_decref(value); }
    };
    explicit Json(json_t *value) : value_(value) {}
    std::unique_ptr<json_t, Release> value_;
};

// An object (never another type) without duplicate members, at most `depth` levels deep, valid UTF-8, nothing behind
// it. The error text names `what` ("token response") and jansson's complaint, never the content.
Result<Json> parse_object(std::string_view text, const char *what, size_t depth = 16);

}  // namespace oidc
