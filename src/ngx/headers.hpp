// Headers of the request on their way to an upstream: lines leave the list, and auth_oidc_set_header puts in its own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ngx.hpp"

namespace auth_oidc {

// auth_oidc_set_header.
struct SetHeader {
    ngx_str_t name{}, lower_case{};
    std::string folded;
    ngx_http_complex_value_t value{};
};

// One name for all that an upstream may take for the same: lower case, and '_' and '.' as '-'.
std::string fold_header(std::string_view name);

// The line leaves the list of the request's headers. What headers_in has pointing at it is not touched.
void remove_header_line(ngx_http_request_t *r, const ngx_table_elt_t *header);

// Every alias of the folded names leaves the request, and with it whatever points at it.
void remove_aliases(ngx_http_request_t *r, const std::vector<std::string> &folded);

// A subrequest shares its parent's list: it gets one of its own, without the aliases.
void copy_without_aliases(ngx_http_request_t *r, const std::vector<std::string> &folded);

}  // namespace auth_oidc
