// A URL, a host and a Cache-Control header.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "oidc/http.hpp"

using namespace oidc::http;

namespace {

void demand(bool good) {
    if (!good) {
        abort();
    }
}

void judge(const Url &url) {
    demand(url.scheme == "http" || url.scheme == "https");
    demand(!url.host.empty() && url.host.find_first_of("@/\\?# ") == std::string::npos);
    demand(url.port.find_first_not_of("0123456789") == std::string::npos && url.port.size() <= 5);
    demand(url.target.front() == '/' && url.path().find('?') == std::string::npos);
    const std::string text = url.origin() + url.target;
    demand(std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f && c != '\\'; }));
    const auto again = parse_url(text);
    demand(again && again->origin() == url.origin() && again->target == url.target);
    const auto longer = parse_url(with_query(text, "a=b"));
    demand(longer && longer->origin() == url.origin() && longer->path() == url.path());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(data), size);
    const auto url = parse_url(text);
    if (url) {
        judge(*url);
    }
    demand(!is_loopback_host(text) || text.find_first_of("/@?#\\") == std::string_view::npos);
    Reply reply;
    reply.headers = {{"cache-control", std::string(text)}};
    const auto fresh = freshness(reply);
    demand(!fresh || (*fresh >= 0 && *fresh <= 2147483648));
    return 0;
}
