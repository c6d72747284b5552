#include "session.hpp"

#include <algorithm>

#include <cstring>
#include <map>
#include <stdexcept>
#include <type_traits>

namespace oidc {

namespace {

// A row of the claims table: where its two texts lie in the record.
struct Row {
    uint32_t name = 0, name_size = 0;
    uint32_t value = 0, value_size = 0;
};

// Both are copied byte for byte, so there must be no hole between their members.
static_assert(std::is_trivially_copyable_v<SessionHead> && std::has_unique_object_representations_v<SessionHead>);
static_assert(std::is_trivially_copyable_v<Row> && std::has_unique_object_representations_v<Row>);

// The format to be read may be up to two behind the one that is written; there is no older one yet.
constexpr uint32_t oldest_format = 1;
static_assert(session_format - oldest_format <= 2);

// The table begins where the last field ends. 64 bits, so that no head makes the sum wrap.
uint64_t table_offset(const SessionHead &head) {
    const auto &last = head.fields[field_count - 1];
    return uint64_t{last.offset} + last.size;
}

Row row_at(std::string_view record, const SessionHead &head, uint32_t index) {
    Row row;
    memcpy(&row, record.data() + table_offset(head) + uint64_t{index} * sizeof(Row), sizeof(row));
    return row;
}

// Texts are appended one by one; each learns where it lies.
class Layout {
public:
    explicit Layout(size_t start) : record_(start, '\0') {}

    uint32_t add(std::string_view text) {
        const size_t offset = record_.size();
        if (text.size() > UINT32_MAX - offset) {
            throw std::length_error("a session of more than 4 GB");
        }
        record_.append(text);
        return static_cast<uint32_t>(offset);
    }

    void put(size_t offset, const void *data, size_t size) { memcpy(record_.data() + offset, data, size); }
    size_t size() const { return record_.size(); }
    std::string take() { return std::move(record_); }

private:
    std::string record_;
};

using ClaimMap = std::map<std::string_view, std::string_view>;

ClaimMap sorted_claims(const Session &session) {
    ClaimMap claims;
    for (const auto &[name, value] : session.claims) {
        claims.insert_or_assign(name, value);
    }
    return claims;
}

void write_claims(Layout &layout, const ClaimMap &claims) {
    size_t row_offset = layout.add(std::string(claims.size() * sizeof(Row), '\0'));
    for (const auto &[name, value] : claims) {
        Row row;
        row.name = layout.add(name);
        row.name_size = static_cast<uint32_t>(name.size());
        row.value = layout.add(value);
        row.value_size = static_cast<uint32_t>(value.size());
        layout.put(row_offset, &row, sizeof(row));
        row_offset += sizeof(row);
    }
}

}  // namespace

std::string write_session(const Session &session) {
    SessionHead head = session.head;
    Layout layout(sizeof(head));
    for (size_t i = 0; i < field_count; i++) {
        head.fields[i].offset = layout.add(session.fields[i]);
        head.fields[i].size = static_cast<uint32_t>(session.fields[i].size());
    }
    const ClaimMap claims = sorted_claims(session);
    write_claims(layout, claims);

    head.format = session_format;
    head.claim_count = static_cast<uint32_t>(claims.size());
    head.size = static_cast<uint32_t>(layout.size());
    layout.put(0, &head, sizeof(head));
    return layout.take();
}

std::optional<SessionView> SessionView::over(std::string_view record) {
    if (record.size() < sizeof(SessionHead)) {
        return std::nullopt;
    }
    std::optional<SessionView> view(std::in_place);
    SessionHead &head = view->head_;
    memcpy(&head, record.data(), sizeof(head));
    const uint64_t table_size = uint64_t{head.claim_count} * sizeof(Row);
    if (head.format < oldest_format || head.format > session_format || head.size != record.size() ||
        table_offset(head) + table_size > record.size()) {
        return std::nullopt;
    }
    view->record_ = record;
    return view;
}

std::string_view SessionView::part(uint32_t offset, uint32_t size) const {
    if (offset > record_.size() || size > record_.size() - offset) {
        return {};
    }
    return record_.substr(offset, size);
}

std::string_view SessionView::field(Field field) const {
    const auto &place = head_.fields[static_cast<size_t>(field)];
    return part(place.offset, place.size);
}

std::pair<std::string_view, std::string_view> SessionView::claim_at(uint32_t index) const {
    if (index >= head_.claim_count) {
        return {};
    }
    const Row row = row_at(record_, head_, index);
    return {part(row.name, row.name_size), part(row.value, row.value_size)};
}

std::optional<std::string_view> SessionView::claim(std::string_view name) const {
    uint32_t low = 0, high = head_.claim_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const Row row = row_at(record_, head_, middle);
        const int order = part(row.name, row.name_size).compare(name);
        if (order == 0) {
            return part(row.value, row.value_size);
        }
        (order < 0 ? low : high) = order < 0 ? middle + 1 : middle;
    }
    return std::nullopt;
}

Session SessionView::session() const {
    Session copy;
    copy.head = head_;
    for (size_t i = 0; i < field_count; i++) {
        copy.fields[i] = field(static_cast<Field>(i));
    }
    // Texts of a sound record do not overlap: a damaged one must not make a small record a huge copy.
    size_t room = record_.size();
    for (uint32_t i = 0; i < head_.claim_count; i++) {
        const auto [name, value] = claim_at(i);
        if (name.size() + value.size() > room) {
            break;
        }
        room -= name.size() + value.size();
        copy.claims.emplace_back(name, value);
    }
    return copy;
}

int64_t ends_at(const SessionHead &head) {
    return head.ends_at_last != 0 ? std::min(head.ends, head.ends_at_last) : head.ends;
}

bool is_over(const SessionHead &head, int64_t now, int64_t idle_timeout) {
    return now >= ends_at(head) || (idle_timeout > 0 && now - idle_timeout >= head.last_used);
}

}  // namespace oidc
