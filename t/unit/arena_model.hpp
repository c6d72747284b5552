// What should be in an arena (src/ngx/zone_arena.cpp), and what is. The arena knows nothing of nginx; its sources are
// included because the unit tests are linked with src/oidc only.
#pragma once

#include "ngx/record_id.cpp"
#include "ngx/zone_arena.cpp"
#include "ngx/zone_rebuild.cpp"
#include "ngx/zone_walk.cpp"

#include <map>
#include <optional>
#include <random>
#include <string>

#include "dying.hpp"
#include "oidc/text.hpp"

using namespace auth_oidc;

namespace {

constexpr int64_t start = 1'700'000'000;

// What a process leaves that dies while it changes links: the mark is the first word.
void leave_busy(Memory &memory) {
    *static_cast<uint32_t *>(memory.data) = 1;
}

RecordId id_of(uint64_t number) {
    const oidc::Digest digest = oidc::sha256("id " + std::to_string(number));
    RecordId id;
    std::copy(digest.begin(), digest.end(), id.begin());
    return id;
}

// At most `max` of one index, as the store ends all sessions of a user.
inline uint64_t erase_all(Arena &arena, Index index, const IndexKey &key, uint64_t max) {
    uint64_t count = 0;
    for (Place place; count < max && (place = arena.find(index, key)) != 0; count++) {
        arena.erase(place);
    }
    return count;
}

IndexKey key_of(const std::string &name) {
    const oidc::Digest digest = oidc::sha256(name);
    IndexKey key;
    std::copy_n(digest.begin(), key.size(), key.begin());
    return key;
}

// Every byte tells where it belongs, so a block of another record or at another place would show.
std::string text_of(uint64_t number, uint64_t version, size_t size) {
    std::mt19937 bytes(static_cast<uint32_t>(number * 1000003 + version));
    std::string text(size, '\0');
    for (char &c : text) {
        c = static_cast<char>(bytes());
    }
    return text;
}

// What should be in an arena.
struct Expected {
    std::string text;
    int64_t ends = 0;
    std::string sid, sub;

    ArenaRecord record(const RecordId &id) const {
        const size_t cut = std::min<size_t>(text.size(), 168);
        ArenaRecord out;
        out.id = id;
        out.ends = ends;
        out.keys = {sid.empty() ? IndexKey{} : key_of(sid), sub.empty() ? IndexKey{} : key_of(sub)};
        out.head = std::string_view(text).substr(0, cut);
        out.rest = std::string_view(text).substr(cut);
        return out;
    }
};
using Model = std::map<uint64_t, Expected>;

std::optional<std::string> text_in(const Arena &arena, uint64_t number) {
    const Place place = arena.find(id_of(number));
    if (place == 0) {
        return std::nullopt;
    }
    std::string text(arena.size(place), '\0');
    arena.read(place, reinterpret_cast<unsigned char *>(text.data()));
    return text;
}

bool holds(const Arena &arena, uint64_t number, const Model &model) {
    const auto expected = model.find(number);
    const std::optional<std::string> text = text_in(arena, number);
    return expected == model.end() ? !text : text == expected->second.text;
}

uint64_t bytes_of(const std::string &text) {
    const size_t room = Arena::block_size - 8;
    return Arena::block_size *
           (text.size() <= Arena::head_room ? 1 : 1 + (text.size() - Arena::head_room + room - 1) / room);
}

void assert_same(const Arena &arena, const Model &model) {
    uint64_t used = 0;
    for (const auto &[number, expected] : model) {
        assert_true(holds(arena, number, model));
        used += bytes_of(expected.text);
    }
    assert_int_equal(arena.use().records, model.size());
    assert_int_equal(arena.use().used, used);
}

}  // namespace
