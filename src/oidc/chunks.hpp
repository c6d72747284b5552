// A long text cut into the values of several cookies, and found together again. The first value begins with the number
// of chunks; each further one with a mark, random characters of the text, so that chunks of two texts do not mix.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oidc {

constexpr size_t max_chunks = 4;
constexpr size_t max_chunk_line = 3900;  // a whole Set-Cookie line: browsers keep 4,096 bytes of a cookie
constexpr size_t max_chunked_text = max_chunks * max_chunk_line;

// The values for a text in base64url of a sealed record, each of at most `room` bytes; none when it takes more than
// four.
std::vector<std::string> split_chunks(std::string_view text, size_t room);

// What the first value says: views into it.
struct FirstChunk {
    size_t count;
    std::string_view mark, text;
};
std::optional<FirstChunk> read_first_chunk(std::string_view value);
// The text of a further value; nothing when it belongs to another first one.
std::optional<std::string_view> read_further_chunk(std::string_view value, std::string_view mark);

}  // namespace oidc
