// What every page is made of.
#pragma once

#include <string>
#include <string_view>

namespace auth_oidc {

enum class PageDrawing { key, warning, done, leave };

// A whole page; `title` is escaped, `body` is HTML.
std::string page_of(std::string_view title, PageDrawing drawing, std::string_view body);

// A link leads to a path of this site or to an http(s) URL, whatever was handed in. Escaped.
std::string page_href(std::string_view target);

}  // namespace auth_oidc
