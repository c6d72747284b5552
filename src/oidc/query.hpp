// The parameters of a request that the browser carries to the provider: each name once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text.hpp"

namespace oidc {

class Query {
public:
    // Room for the parameters of an authorization request: a stranger may ask for many of those.
    Query() { parameters_.reserve(12); }
    // Replaces an earlier value of that name. An empty value is left out: nothing changes.
    void set(std::string_view name, std::string_view value);
    void remove(std::string_view name);
    std::string_view get(std::string_view name) const;  // empty when it is not there
    // The endpoint with its own query kept, except for names that stand here too.
    std::string url(std::string_view endpoint) const;

private:
    Parameters parameters_;
};

// What `scope` and `acr_values` are made of: words with one blank between them.
std::string join_words(const std::vector<std::string> &words);

}  // namespace oidc
