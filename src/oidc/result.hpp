// Expected failures are values: a Result holds either the thing asked for or an Error that says whose fault it is.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace oidc {

// Whose fault an error is decides the log level and the HTTP status: browser 400, provider 502, us 500.
enum class Fault { browser, provider, us };

struct Error {
    Fault fault;
    std::string rule;  // a stable code in snake_case ("id_token_nonce"): the value of $oidc_error
    std::string text;  // what was expected and what was found; one line, never a secret
    int status = 0;    // an HTTP status where the fault's own does not fit
};

template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return held_.index() == 0; }
    T &operator*() { return std::get<0>(held_); }
    const T &operator*() const { return std::get<0>(held_); }
    T *operator->() { return &std::get<0>(held_); }
    const T *operator->() const { return &std::get<0>(held_); }
    Error &error() { return std::get<1>(held_); }
    const Error &error() const { return std::get<1>(held_); }

private:
    std::variant<T, Error> held_;
};

inline Error browser_error(std::string rule, std::string text, int status = 0) {
    return {Fault::browser, std::move(rule), std::move(text), status};
}
inline Error provider_error(std::string rule, std::string text, int status = 0) {
    return {Fault::provider, std::move(rule), std::move(text), status};
}
inline Error our_error(std::string rule, std::string text, int status = 0) {
    return {Fault::us, std::move(rule), std::move(text), status};
}

}  // namespace oidc
