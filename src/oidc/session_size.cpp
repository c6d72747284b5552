#include "session_size.hpp"

#include <algorithm>
#include <vector>

#include "text.hpp"

namespace oidc {

namespace {

constexpr size_t shown_parts = 3;

struct Part {
    std::string name;
    bool is_claim;
    size_t size;
    bool goes = false;
};

std::vector<Part> parts_of(const SessionView &session) {
    std::vector<Part> parts;
    for (const auto &[field, name] :
         {std::pair(Field::id_token, "id_token"), std::pair(Field::access_token, "access_token"),
          std::pair(Field::refresh_token, "refresh_token")}) {
        if (!session.field(field).empty()) {
            parts.push_back({name, false, session.field(field).size()});
        }
    }
    for (uint32_t i = 0; i < session.head().claim_count; i++) {
        const auto [name, value] = session.claim_at(i);
        // What rules and nested variables keep for themselves is needed wherever it is.
        if (!name.empty() && static_cast<unsigned char>(name[0]) >= 0x20) {
            parts.push_back({log_safe(name, 60), true, name.size() + value.size()});
        }
    }
    std::sort(parts.begin(), parts.end(), [](const Part &a, const Part &b) { return a.size > b.size; });
    return parts;
}

std::string shown(const Part &part) {
    return (part.is_claim ? "claim \"" + part.name + "\"" : part.name) + " (" + std::to_string(part.size) + " bytes)";
}

std::string keep_line(const std::vector<Part> &parts) {
    std::string tokens, claims;
    for (const Part &part : parts) {
        if (!part.goes && part.is_claim) {
            claims += (claims.empty() ? "" : ",") + part.name;
        } else if (!part.goes) {
            tokens += " " + part.name;
        }
    }
    return "session_keep" + tokens + " claims=" + (claims.empty() ? "sub" : claims) + ";";
}

}  // namespace

std::string size_advice(const SessionView &session, size_t too_much) {
    std::vector<Part> parts = parts_of(session);
    size_t gone = session.field(Field::claims_json).size();  // goes with any word about claims
    for (Part &part : parts) {
        part.goes = gone < too_much;
        gone += part.goes ? part.size : 0;
    }
    std::string biggest;
    for (size_t i = 0; i < std::min(parts.size(), shown_parts); i++) {
        biggest += (i == 0 ? "" : ", ") + shown(parts[i]);
    }
    return (biggest.empty() ? "" : "the biggest parts are " + biggest + "; ") + "to keep less, write \"" +
           keep_line(parts) + "\"";
}

}  // namespace oidc
