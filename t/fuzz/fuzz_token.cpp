// The token endpoint's answer. The first byte chooses the status, the rest is the body.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "oidc/protocol.hpp"

using namespace oidc;

namespace {

void demand(bool promise) {
    if (!promise) {
        std::abort();
    }
}

bool is_within(const std::string &text, unsigned char first) {
    for (const unsigned char c : text) {
        if (c < first || c >= 0x7f) {
            return false;
        }
    }
    return true;
}

void check(const http::Reply &reply, Grant grant) {
    const auto answer = read_token(reply, grant, {"secret"});
    if (!answer) {
        demand(answer.error().fault == Fault::provider);
        demand(answer.error().text.find_first_of("\r\n") == std::string::npos);
        return;
    }
    demand(reply.status / 100 == 2 && !answer->access_token.empty());
    demand(grant == Grant::refresh || !answer->id_token.empty());
    demand(is_within(answer->access_token + answer->id_token, 0x21));
    demand(is_within(answer->refresh_token, 0x20));  // RFC 6749 A.17: spaces too
    demand(answer->expires_in >= -1 && answer->expires_in <= int64_t{1} << 53);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    constexpr int statuses[] = {200, 400, 401, 429, 500, 0, 302};
    if (size == 0) {
        return 0;
    }
    http::Reply reply;
    reply.status = statuses[data[0] % (sizeof statuses / sizeof *statuses)];
    reply.body.assign(reinterpret_cast<const char *>(data) + 1, size - 1);
    check(reply, Grant::code);
    check(reply, Grant::refresh);
    return 0;
}
