// A session record from a store: whatever its bytes, nothing is read outside of it, and a copy of what was read is
// sound.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "oidc/session.hpp"

using namespace oidc;

namespace {

void demand(bool good) {
    if (!good) {
        abort();
    }
}

void inside(std::string_view record, std::string_view part) {
    demand(part.empty() ||
           (part.data() >= record.data() && part.data() + part.size() <= record.data() + record.size()));
}

void read_all(std::string_view record, const SessionView &view) {
    for (size_t i = 0; i < field_count; i++) {
        inside(record, view.field(static_cast<Field>(i)));
    }
    for (uint32_t i = 0; i < view.head().claim_count; i++) {
        const auto [name, value] = view.claim_at(i);
        inside(record, name);
        inside(record, value);
        inside(record, view.claim(name).value_or(std::string_view()));
    }
    view.claim("email");
}

// What a damaged record gives may be nonsense; written again it is a record in which every claim is found.
void write_again(const SessionView &view) {
    const Session session = view.session();
    const std::string record = write_session(session);
    const auto again = SessionView::over(record);
    demand(again.has_value() && again->head().claim_count <= session.claims.size());
    for (const auto &[name, value] : session.claims) {
        demand(again->claim(name).has_value());
    }
    demand(write_session(again->session()) == record);
}

void look_at(std::string_view record) {
    if (const auto view = SessionView::over(record)) {
        read_all(record, *view);
        write_again(*view);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const std::string_view record(reinterpret_cast<const char *>(data), size);
    look_at(record);
    if (size >= sizeof(SessionHead)) {  // past the two checks that random bytes hardly pass
        std::string mended(record);
        SessionHead head;
        memcpy(&head, data, sizeof(head));
        head.format = session_format;
        head.size = static_cast<uint32_t>(size);
        memcpy(mended.data(), &head, sizeof(head));
        look_at(mended);
    }
    return 0;
}
