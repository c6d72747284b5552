// A ticket that was opened: it is refused, or it is the one form of a sound ticket.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "oidc/session.hpp"

using namespace oidc;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view record(reinterpret_cast<const char *>(data), size);
    const auto ticket = read_ticket(record);
    if (ticket && (ticket->target.at(0) != '/' || size > 4096 || write_ticket(*ticket) != record)) {
        abort();
    }
    return 0;
}
