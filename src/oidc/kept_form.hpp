// A form that met an ended session, as bytes to be sealed: the browser keeps them until its user has signed in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "text.hpp"

namespace oidc {

struct KeptForm {
    static constexpr size_t max_body = 16 * 1024;
    static constexpr size_t max_fields = 1000;

    int64_t created = 0;
    std::string origin;  // of the site: no other one sends it again
    std::string target;  // the request target, byte for byte
    std::string user;    // who it was, as a digest; empty: not known
    std::string body;    // application/x-www-form-urlencoded
};

// The fields in their order. Nothing where a page could not send them again as they were: too large, broken, a field
// without a name, or text that is no UTF-8.
std::optional<Parameters> form_fields(std::string_view body);

// Nothing (an empty text) for a form that read_kept_form would refuse.
std::string write_kept_form(const KeptForm &form);
std::optional<KeptForm> read_kept_form(std::string_view record);

}  // namespace oidc
