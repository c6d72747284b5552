#include "chunks.hpp"

namespace oidc {

namespace {

// A sealed record begins with 5 bytes that are always the same, then comes the nonce: these characters hold 48 bits of
// it.
constexpr size_t mark_offset = 7, mark_size = 8;

}  // namespace

std::vector<std::string> split_chunks(std::string_view text, size_t room) {
    std::vector<std::string> values;
    if (room <= 1 + mark_offset + mark_size || text.size() > max_chunks * room) {
        return values;
    }
    const std::string mark(text.size() > mark_offset ? text.substr(mark_offset, mark_size) : std::string_view());
    size_t taken = 0;
    do {
        std::string value = values.empty() ? "1" : mark;
        const std::string_view part = text.substr(taken, room - value.size());
        value.append(part);
        taken += part.size();
        values.push_back(std::move(value));
    } while (taken < text.size());
    if (values.size() > max_chunks) {
        return {};
    }
    values[0][0] = static_cast<char>('0' + values.size());
    return values;
}

std::optional<FirstChunk> read_first_chunk(std::string_view value) {
    if (value.size() <= 1 + mark_offset + mark_size || value.size() > max_chunk_line || value[0] < '1' ||
        value[0] > static_cast<char>('0' + max_chunks)) {
        return std::nullopt;
    }
    const std::string_view text = value.substr(1);
    return FirstChunk{static_cast<size_t>(value[0] - '0'), text.substr(mark_offset, mark_size), text};
}

std::optional<std::string_view> read_further_chunk(std::string_view value, std::string_view mark) {
    if (value.size() <= mark.size() || value.size() > max_chunk_line || value.substr(0, mark.size()) != mark) {
        return std::nullopt;
    }
    return value.substr(mark.size());
}

}  // namespace oidc
