// Records of any size in a piece of memory that processes share. Nothing of nginx in here, and no lock: whoever calls
// holds one.
//
// The memory is cut into blocks of 512 bytes; a record is a chain of blocks, its first one begins with a node: id,
// size, end, links. A process may die between any two writes. While links change a mark stands; who finds it set
// rebuilds every list and table from the blocks alone, where only a record counts whose checksum over node and chain is
// right. The checksum is written last and cleared first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "record_id.hpp"

namespace auth_oidc {

using IndexKey = std::array<unsigned char, 16>;
enum class Index { sid, sub };

// A record on its way in; `rest` follows `head`.
struct ArenaRecord {
    RecordId id{};
    std::array<IndexKey, 2> keys{};  // by Index; all zero: in no index
    int64_t ends = 0;                // over when the clock shows this second
    std::string_view head, rest;
    size_t size() const { return head.size() + rest.size(); }
};

// Where a record lies, 0: nowhere. Good only while the lock is held.
using Place = uint32_t;

struct ArenaUse {
    uint64_t records, used, size, evicted;  // sizes in bytes
};

// Records that had to go though their time was not over, since the last warning; and the room that all of them would
// have needed.
struct ArenaLack {
    uint64_t dropped, missing;
};

class Arena {
public:
    static constexpr size_t block_size = 512;
    static constexpr size_t head_room = 376;  // so many of a record's first bytes lie in one piece

    Arena() = default;
    explicit Arena(void *memory);  // formatted before, perhaps by another process
    // An empty arena in memory aligned to 64 bytes; nothing when it is too small for one.
    static std::optional<Arena> format(void *memory, size_t size);

    // To be called first whenever the lock was taken. True when another process died in the middle and all was rebuilt.
    bool repair();

    Place find(const RecordId &id) const;
    size_t size(Place place) const;
    unsigned char *head(Place place) const;           // the record's first min(size, head_room) bytes
    void read(Place place, unsigned char *to) const;  // size() bytes

    // For a walk over all records: places from 1 to end() that are one.
    Place end() const;
    bool is_record(Place place) const;
    const RecordId &id(Place place) const;
    Place find(Index index, const IndexKey &key) const;  // any one of them

    // Marks as just used. Nothing moves when that was done within the last second.
    void use(Place place, int64_t now);

    bool fits(size_t size) const;
    // A full arena drops first what is over, then what was not used for longest. The record must fit.
    Place insert(const ArenaRecord &record, int64_t now);
    // The same id with other contents: whenever this process dies, either the old or the new record is there.
    Place replace(Place old, const ArenaRecord &record, int64_t now);
    void erase(Place place);

    // Drops what is over, a bounded number of records.
    void reap(int64_t now);
    ArenaUse use() const;
    // Once a minute, when something was dropped.
    std::optional<ArenaLack> take_lack(int64_t now);

private:
    struct Header;
    struct Block;
    struct Node;
    struct Link;
    struct Tables;
    class Change;
    class Writer;
    enum Chain { by_use, by_end, by_key };  // by_key + Index

    Header *header_ = nullptr;
    Place *ids_ = nullptr;  // hash tables: the first record of each bucket
    Place *keys_[2] = {};
    Place *slots_ = nullptr;  // the timing wheel: the first record that ends in a second
    Block *blocks_ = nullptr;

    Block &block(Place place) const;
    Node &node(Place place) const;
    Place &id_bucket(const RecordId &id) const;
    Place &key_bucket(size_t index, const IndexKey &key) const;
    Place &slot(int64_t second) const;
    uint32_t free_blocks() const;

    void link(int chain, Place &first, Place place);
    void unlink(int chain, Place &first, Place place);
    void link_used(Place place);
    void unlink_used(Place place);
    void link_tables(Place place);
    void unlink_tables(Place place);
    void unlink_id(Place place);

    Place take(Place owner);
    void release(Place place);
    Place write(const ArenaRecord &record, int64_t now);
    void drop(Place place);
    void evict(Place place, int64_t now);
    void reap(int64_t now, Place keep, uint32_t enough, int64_t budget);
    void make_room(uint32_t blocks, int64_t now, Place keep);

    uint64_t checksum(Place place) const;
    bool is_head(Place place) const;
    bool is_whole(Place place) const;
    void adopt(Place place);
    void rebuild();
    void free_the_rest();
    void order_by_use();
};

}  // namespace auth_oidc
