// The session zone by itself: what a session takes in it, and what a look-up costs among so many.
//   zone memory SIZE,...   bytes that a session of each size takes in turn, when a zone of 8 MB is filled to the brim
//   zone find COUNT        10,000 look-ups among COUNT sessions, of which alone callgrind counts the instructions
//   zone end COUNT         1,000 sign-outs by sid among COUNT sessions, counted alike
#include "../src/ngx/zone_arena.hpp"

#include <valgrind/callgrind.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

using namespace auth_oidc;

namespace {

constexpr int64_t now = 1700000000;
constexpr int64_t life = 28800;

// The same ids in every run, spread as random ones are.
uint64_t scattered(uint64_t number) {
    number += 0x9e3779b97f4a7c15;
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
    number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
    return number ^ (number >> 31);
}

RecordId id_of(uint64_t number) {
    const uint64_t words[] = {scattered(number), scattered(~number), number, 1};
    RecordId id;
    std::memcpy(id.data(), words, id.size());
    return id;
}

struct Memory {
    explicit Memory(size_t bytes) : size(bytes), block(std::aligned_alloc(64, bytes), std::free) {}
    size_t size;
    std::unique_ptr<void, decltype(&std::free)> block;
};

Arena format(Memory &memory) {
    return Arena::format(memory.block.get(), memory.size).value();
}

void insert(Arena &arena, uint64_t number, const std::string &text) {
    ArenaRecord record;
    record.id = id_of(number);
    const uint64_t user = scattered(number);
    std::memcpy(record.keys[0].data(), &user, sizeof(user));
    std::memcpy(record.keys[1].data(), &user, sizeof(user));
    record.ends = now + life;
    record.head = std::string_view(text).substr(0, 256);
    record.rest = std::string_view(text).substr(256);
    arena.insert(record, now);
}

// Tables and all else included: the whole zone over the number of sessions that live in it.
void measure_memory(const std::vector<size_t> &sizes) {
    Memory memory(size_t{8} << 20);
    Arena arena = format(memory);
    uint64_t count = 0;
    for (; arena.use().evicted == 0; ++count) {
        insert(arena, count, std::string(sizes[count % sizes.size()], 'x'));
    }
    std::printf("%" PRIu64 "\n", memory.size / std::max<uint64_t>(count - 1, 1));
}

// As the store does it, each time as a session's first use within a second: so it is moved to the front.
bool look_up(Arena &arena, const RecordId &id, int64_t time) {
    unsigned char head[256];
    arena.repair();
    const Place place = arena.find(id);
    if (place == 0) {
        return false;
    }
    std::memcpy(head, arena.head(place), sizeof(head));
    arena.use(place, time);
    return head[0] == 'x';
}

// As a logout token does it: by the index, until nothing bears the key any more.
bool sign_out(Arena &arena, uint64_t number) {
    IndexKey key{};
    const uint64_t user = scattered(number);
    std::memcpy(key.data(), &user, sizeof(user));
    arena.repair();
    uint64_t ended = 0;
    for (Place place; (place = arena.find(Index::sid, key)) != 0; ++ended) {
        arena.erase(place);
    }
    return ended == 1;
}

int measure_end(uint64_t count) {
    constexpr uint64_t sign_outs = 1000;
    Memory memory((count + 64) * 640 / 64 * 64 + 65536);
    Arena arena = format(memory);
    const std::string text(360, 'x');
    for (uint64_t number = 0; number < count; ++number) {
        insert(arena, number, text);
    }
    uint64_t ended = 0;
    CALLGRIND_START_INSTRUMENTATION;
    for (uint64_t i = 0; i < sign_outs; ++i) {
        ended += sign_out(arena, i * (count / sign_outs));
    }
    CALLGRIND_STOP_INSTRUMENTATION;
    return ended == sign_outs ? 0 : 1;
}

int measure_find(uint64_t count) {
    constexpr uint64_t look_ups = 10000;
    Memory memory((count + 64) * 640 / 64 * 64 + 65536);
    Arena arena = format(memory);
    const std::string text(360, 'x');
    for (uint64_t number = 0; number < count; ++number) {
        insert(arena, number, text);
    }
    std::vector<RecordId> ids;
    for (uint64_t i = 0; i < look_ups; ++i) {
        ids.push_back(id_of(scattered(i) % count));
    }
    uint64_t found = 0;
    CALLGRIND_START_INSTRUMENTATION;
    for (uint64_t i = 0; i < look_ups; ++i) {
        found += look_up(arena, ids[i], now + 2 * static_cast<int64_t>(i));
    }
    CALLGRIND_STOP_INSTRUMENTATION;
    return found == look_ups ? 0 : 1;
}

std::vector<size_t> numbers(const char *text) {
    std::vector<size_t> list;
    for (char *end = nullptr; *text != '\0'; text = *end == ',' ? end + 1 : end) {
        list.push_back(std::strtoul(text, &end, 10));
    }
    return list;
}

}  // namespace

int main(int count, char **arguments) {
    if (count == 3 && std::string(arguments[1]) == "memory") {
        measure_memory(numbers(arguments[2]));
        return 0;
    }
    if (count == 3 && std::string(arguments[1]) == "find") {
        return measure_find(numbers(arguments[2]).at(0));
    }
    if (count == 3 && std::string(arguments[1]) == "end") {
        return measure_end(numbers(arguments[2]).at(0));
    }
    std::fprintf(stderr, "zone memory SIZE,... | zone find COUNT | zone end COUNT\n");
    return 2;
}
