// How an Arena lies in memory. Only for the files that implement it.
#pragma once

#include <atomic>
#include <cstring>

#include "zone_arena.hpp"

namespace auth_oidc {

// A process that is killed leaves its writes in the order of the program, if only the compiler keeps that order.
inline void in_order() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

struct alignas(64) Arena::Header {
    uint32_t busy;    // links are being changed
    uint32_t blocks;  // how many there are; places count from 1
    uint32_t fresh;   // from this place on none was ever used, so that a big zone costs no memory before it fills
    uint32_t free, free_count;
    uint32_t bucket_mask, slot_mask;
    Place newest, oldest;  // by use
    int64_t reaped;        // the slots of all seconds up to here were looked through
    uint64_t records, evicted;
    uint64_t dropped, missing;
    int64_t missing_as_of, warned;
};

struct Arena::Link {
    Place next, prev;
};

// `owner` tells what a block is: its own place in the first block of a record, that place in the others, 0 in a free
// one. It lies outside of what a record may write, so nobody's data can pass for a node.
struct Arena::Block {
    static constexpr size_t room = block_size - 2 * sizeof(Place);
    Place next, owner;
    unsigned char data[room];
};

struct Arena::Node {
    Place next, owner;  // as in every block
    uint64_t check;     // 0: no record, whatever else stands here
    RecordId id;
    IndexKey keys[2];
    int64_t ends, used;
    uint32_t size;
    Place id_next;
    Link links[4];  // by Chain
    unsigned char data[head_room];
};

// Marks the time in which the links cannot be relied on.
class Arena::Change {
public:
    explicit Change(Header *header) : header_(header) {
        header_->busy = 1;
        in_order();
    }
    ~Change() {
        in_order();
        header_->busy = 0;
    }
    Change(const Change &) = delete;
    Change &operator=(const Change &) = delete;

private:
    Header *header_;
};

inline Arena::Block &Arena::block(Place place) const {
    return blocks_[place - 1];
}
inline Arena::Node &Arena::node(Place place) const {
    return *reinterpret_cast<Node *>(&blocks_[place - 1]);
}

// Ids and keys are random or hashed: their first bytes are as good as a hash of them.
inline uint64_t first_word(const unsigned char *text) {
    uint64_t word;
    std::memcpy(&word, text, sizeof(word));
    return word;
}
inline Place &Arena::id_bucket(const RecordId &id) const {
    return ids_[first_word(id.data()) & header_->bucket_mask];
}
inline Place &Arena::key_bucket(size_t index, const IndexKey &key) const {
    return keys_[index][first_word(key.data()) & header_->bucket_mask];
}
inline Place &Arena::slot(int64_t second) const {
    return slots_[static_cast<uint64_t>(second) & header_->slot_mask];
}
inline bool Arena::is_head(Place place) const {
    return block(place).owner == place;
}

}  // namespace auth_oidc
