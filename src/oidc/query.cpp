#include "query.hpp"

#include <algorithm>

#include "http.hpp"

namespace oidc {

namespace {

// The decoded name of "name=value"; empty when the escapes are broken.
std::string name_of(std::string_view piece) {
    const auto decoded = form_decode(piece.substr(0, piece.find('=')));
    return decoded && !decoded->empty() ? decoded->front().first : std::string();
}

}  // namespace

void Query::set(std::string_view name, std::string_view value) {
    if (value.empty()) {
        return;
    }
    for (auto &[known, old] : parameters_) {
        if (known == name) {
            old = value;
            return;
        }
    }
    parameters_.emplace_back(name, value);
}

void Query::remove(std::string_view name) {
    const auto is_it = [name](const auto &parameter) { return parameter.first == name; };
    parameters_.erase(std::remove_if(parameters_.begin(), parameters_.end(), is_it), parameters_.end());
}

std::string_view Query::get(std::string_view name) const {
    const std::string *value = find_parameter(parameters_, name);
    return value ? std::string_view(*value) : std::string_view();
}

// Pieces of the endpoint's own query stay byte for byte: nobody knows what its reader makes of them.
std::string Query::url(std::string_view endpoint) const {
    const size_t mark = endpoint.find('?');
    std::string url(endpoint.substr(0, mark));
    char separator = '?';
    std::string_view rest = mark == std::string_view::npos ? std::string_view() : endpoint.substr(mark + 1);
    while (!rest.empty()) {
        const std::string_view piece = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), piece.size() + 1));
        if (!piece.empty() && !find_parameter(parameters_, name_of(piece))) {
            (url += separator) += piece;
            separator = '&';
        }
    }
    return http::with_query(url, form_encode(parameters_));
}

std::string join_words(const std::vector<std::string> &words) {
    std::string text;
    for (const auto &word : words) {
        text += text.empty() ? word : ' ' + word;
    }
    return text;
}

}  // namespace oidc
