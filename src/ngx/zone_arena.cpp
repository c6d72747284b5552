#include "zone_arena.hpp"

#include <algorithm>
#include <new>

#include "zone_layout.hpp"

namespace auth_oidc {

namespace {

constexpr uint64_t power_of_two_from(uint64_t count) {
    uint64_t power = 1;
    while (power < count) {
        power *= 2;
    }
    return power;
}

constexpr uint64_t blocks_for(size_t size, size_t in_first, size_t in_others) {
    return size <= in_first ? 1 : 1 + (size - in_first + in_others - 1) / in_others;
}

}  // namespace

// How many entries the tables have for so many blocks. A session takes two blocks or more.
struct Arena::Tables {
    uint64_t buckets, slots;
    explicit Tables(uint64_t blocks)
        : buckets(power_of_two_from(std::max<uint64_t>(blocks / 2, 16))),
          slots(std::clamp<uint64_t>(power_of_two_from(blocks / 16), 64, 65536)) {}
    uint64_t bytes() const { return (3 * buckets + slots) * sizeof(Place); }
};

Arena::Arena(void *memory) : header_(static_cast<Header *>(memory)) {
    const Tables tables(header_->blocks);
    ids_ = reinterpret_cast<Place *>(header_ + 1);
    keys_[0] = ids_ + tables.buckets;
    keys_[1] = keys_[0] + tables.buckets;
    slots_ = keys_[1] + tables.buckets;
    blocks_ = reinterpret_cast<Block *>(slots_ + tables.slots);
}

std::optional<Arena> Arena::format(void *memory, size_t size) {
    static_assert(sizeof(Node) == block_size && sizeof(Block) == block_size);
    uint64_t blocks = std::min<uint64_t>(size / block_size, UINT32_MAX - 1);
    while (blocks > 0 && sizeof(Header) + Tables(blocks).bytes() + blocks * block_size > size) {
        blocks--;
    }
    if (blocks < 8) {
        return std::nullopt;
    }
    const Tables tables(blocks);
    Header header{};
    header.blocks = static_cast<uint32_t>(blocks);
    header.fresh = 1;
    header.bucket_mask = static_cast<uint32_t>(tables.buckets - 1);
    header.slot_mask = static_cast<uint32_t>(tables.slots - 1);
    new (memory) Header(header);
    Arena arena(memory);
    std::fill_n(arena.ids_, tables.bytes() / sizeof(Place), Place{0});
    return arena;
}

bool Arena::repair() {
    if (!header_->busy) {
        return false;
    }
    rebuild();
    return true;
}

Place Arena::find(const RecordId &id) const {
    const uint64_t first = first_word(id.data());
    for (Place place = ids_[first & header_->bucket_mask]; place != 0;) {
        const Node &here = node(place);
        if (first_word(here.id.data()) == first) {
            // The bucket tells of the first word anyway; the rest takes the same time whatever it is.
            uint64_t difference = 0;
            for (size_t i = 8; i < id.size(); i += 8) {
                difference |= first_word(here.id.data() + i) ^ first_word(id.data() + i);
            }
            if (difference == 0) {
                return place;
            }
        }
        place = here.id_next;
    }
    return 0;
}

size_t Arena::size(Place place) const {
    return node(place).size;
}
unsigned char *Arena::head(Place place) const {
    return node(place).data;
}

void Arena::read(Place place, unsigned char *to) const {
    size_t left = node(place).size;
    size_t count = std::min(left, head_room);
    std::memcpy(to, node(place).data, count);
    while ((left -= count) > 0) {
        to += count;
        place = block(place).next;
        count = std::min(left, Block::room);
        std::memcpy(to, block(place).data, count);
    }
}

void Arena::use(Place place, int64_t now) {
    Node &here = node(place);
    if (now - here.used <= 1 && now >= here.used) {
        return;
    }
    here.used = now;
    if (header_->newest != place) {
        Change change(header_);
        unlink_used(place);
        link_used(place);
    }
}

ArenaUse Arena::use() const {
    const uint64_t size = uint64_t{header_->blocks} * block_size;
    return {header_->records, size - uint64_t{free_blocks()} * block_size, size, header_->evicted};
}

std::optional<ArenaLack> Arena::take_lack(int64_t now) {
    if (header_->dropped == 0 || (now - header_->warned < 60 && now >= header_->warned)) {
        return std::nullopt;
    }
    const ArenaLack lack{header_->dropped, header_->missing};
    header_->warned = now;
    header_->dropped = 0;
    return lack;
}

uint32_t Arena::free_blocks() const {
    return header_->free_count + header_->blocks - (header_->fresh - 1);
}

// Lists

void Arena::link(int chain, Place &first, Place place) {
    node(place).links[chain] = {first, 0};
    if (first != 0) {
        node(first).links[chain].prev = place;
    }
    first = place;
}

void Arena::unlink(int chain, Place &first, Place place) {
    const Link link = node(place).links[chain];
    (link.prev != 0 ? node(link.prev).links[chain].next : first) = link.next;
    if (link.next != 0) {
        node(link.next).links[chain].prev = link.prev;
    }
}

void Arena::link_used(Place place) {
    if (header_->newest == 0) {
        header_->oldest = place;
    }
    link(by_use, header_->newest, place);
}

void Arena::unlink_used(Place place) {
    if (header_->oldest == place) {
        header_->oldest = node(place).links[by_use].prev;
    }
    unlink(by_use, header_->newest, place);
}

void Arena::link_tables(Place place) {
    Node &here = node(place);
    link(by_end, slot(here.ends), place);
    // Reaping has passed this slot already when the record came with its end behind it: look there again.
    header_->reaped = std::min(header_->reaped, here.ends - 1);
    for (size_t i = 0; i < 2; i++) {
        if (here.keys[i] != IndexKey{}) {
            link(by_key + static_cast<int>(i), key_bucket(i, here.keys[i]), place);
        }
    }
    Place &bucket = id_bucket(here.id);
    here.id_next = bucket;
    bucket = place;
    header_->records++;
}

void Arena::unlink_tables(Place place) {
    const Node &here = node(place);
    unlink_id(place);
    for (size_t i = 0; i < 2; i++) {
        if (here.keys[i] != IndexKey{}) {
            unlink(by_key + static_cast<int>(i), key_bucket(i, here.keys[i]), place);
        }
    }
    unlink(by_end, slot(here.ends), place);
    header_->records--;
}

void Arena::unlink_id(Place place) {
    Place *at = &id_bucket(node(place).id);
    while (*at != place) {
        at = &node(*at).id_next;
    }
    *at = node(place).id_next;
}

// Records in and out

// Appends to a chain, taking blocks as it goes.
class Arena::Writer {
public:
    Writer(Arena &arena, Place head)
        : arena_(arena), head_(head), place_(head), to_(arena.node(head).data), room_(head_room) {}

    void put(std::string_view text) {
        while (!text.empty()) {
            if (room_ == 0) {
                extend();
            }
            const size_t count = std::min(room_, text.size());
            std::memcpy(to_, text.data(), count);
            to_ += count;
            room_ -= count;
            text.remove_prefix(count);
        }
    }

private:
    Arena &arena_;
    Place head_, place_;
    unsigned char *to_;
    size_t room_;

    void extend() {
        const Place next = arena_.take(head_);
        arena_.block(place_).next = next;
        place_ = next;
        to_ = arena_.block(next).data;
        room_ = Block::room;
    }
};

// Half of the arena: the record that takes the place of another stands beside it for a moment.
bool Arena::fits(size_t size) const {
    return size <= UINT32_MAX && blocks_for(size, head_room, Block::room) <= header_->blocks / 2;
}

Place Arena::take(Place owner) {
    Place place = header_->free;
    if (place != 0) {
        header_->free = block(place).next;
        header_->free_count--;
    } else {
        place = header_->fresh++;
    }
    block(place).next = 0;
    node(place).check = 0;  // what stands there may be the inside of an old record: before it may be taken for a node
    in_order();
    block(place).owner = owner != 0 ? owner : place;
    return place;
}

void Arena::release(Place place) {
    while (place != 0) {
        Block &here = block(place);
        const Place next = here.next;
        here.owner = 0;
        here.next = header_->free;
        header_->free = place;
        header_->free_count++;
        place = next;
    }
}

// The record is there from the moment its checksum stands, for a rebuild too.
Place Arena::write(const ArenaRecord &record, int64_t now) {
    const Place place = take(0);
    Node &here = node(place);
    here.id = record.id;
    here.keys[0] = record.keys[0];
    here.keys[1] = record.keys[1];
    here.ends = std::max<int64_t>(record.ends, 1);
    here.used = now;
    here.size = static_cast<uint32_t>(record.size());
    Writer writer(*this, place);
    writer.put(record.head);
    writer.put(record.rest);
    const uint64_t check = checksum(place);
    in_order();
    here.check = check;
    in_order();
    return place;
}

Place Arena::insert(const ArenaRecord &record, int64_t now) {
    Change change(header_);
    make_room(static_cast<uint32_t>(blocks_for(record.size(), head_room, Block::room)), now, 0);
    const Place place = write(record, now);
    link_used(place);
    link_tables(place);
    return place;
}

Place Arena::replace(Place old, const ArenaRecord &record, int64_t now) {
    Change change(header_);
    unlink_used(old);
    link_used(old);  // the last to be dropped
    make_room(static_cast<uint32_t>(blocks_for(record.size(), head_room, Block::room)), now, old);
    const Place place = write(record, now);
    drop(old);
    link_used(place);
    link_tables(place);
    return place;
}

void Arena::erase(Place place) {
    Change change(header_);
    drop(place);
}

void Arena::drop(Place place) {
    node(place).check = 0;
    in_order();
    unlink_tables(place);
    unlink_used(place);
    release(place);
}

// By what size the arena is too small: the dropped records whose time would not be over yet. The sum of what was
// dropped fades over the life of a record, so that it comes to rest at what is really missing.
void Arena::evict(Place place, int64_t now) {
    const auto life = static_cast<uint64_t>(std::max<int64_t>(node(place).ends - now, 1));
    const auto passed = static_cast<uint64_t>(std::max<int64_t>(now - header_->missing_as_of, 0));
    header_->missing -= passed < life ? header_->missing / life * passed : header_->missing;
    header_->missing += blocks_for(node(place).size, head_room, Block::room) * block_size;
    header_->missing_as_of = now;
    header_->dropped++;
    header_->evicted++;
    drop(place);
}

// A timing wheel: records hang at the second of their end, modulo the number of slots, so records of different lives
// stay exactly sorted at no cost. Each slot is passed once a turn. The budget counts records, between slots or when one
// was dropped, so that a slot full of later turns' records is got over at last.
void Arena::reap(int64_t now, Place keep, uint32_t enough, int64_t budget) {
    header_->reaped = std::max<int64_t>(header_->reaped, now - header_->slot_mask - 1);
    while (header_->reaped < now && budget > 0 && free_blocks() < enough) {
        for (Place place = slot(header_->reaped + 1); place != 0; budget--) {
            const Place next = node(place).links[by_end].next;
            if (node(place).ends <= now && place != keep) {
                drop(place);
                if (budget <= 1 || free_blocks() >= enough) {
                    return;
                }
            }
            place = next;
        }
        header_->reaped++;
    }
}

void Arena::reap(int64_t now) {
    Change change(header_);
    reap(now, 0, UINT32_MAX, 1000);
}

// A few that are over go with every new record, so that there are never many of them; all that are needed go when room
// is short.
void Arena::make_room(uint32_t blocks, int64_t now, Place keep) {
    reap(now, keep, UINT32_MAX, 16);
    if (free_blocks() < blocks) {
        reap(now, keep, blocks, 20000);
    }
    while (free_blocks() < blocks && header_->oldest != 0 && header_->oldest != keep) {
        evict(header_->oldest, now);
    }
}

}  // namespace auth_oidc
