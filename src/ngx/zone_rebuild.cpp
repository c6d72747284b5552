// What the arena does after a process died while it changed links: everything but the blocks themselves is made anew.
// This may be interrupted in the same way; it then begins again.
#include <algorithm>

#include "zone_layout.hpp"

namespace auth_oidc {

namespace {

void fold(uint64_t &sum, uint64_t word) {
    sum = (sum ^ word) * 0x9e3779b97f4a7c15;
    sum ^= sum >> 29;
}

void fold(uint64_t &sum, const unsigned char *text, size_t size) {
    for (size_t i = 0; i < size; i += 8) {
        fold(sum, first_word(text + i));
    }
}

}  // namespace

// Over all that never changes in a node, and the places of its chain. Never 0. The record itself may change in place.
uint64_t Arena::checksum(Place place) const {
    const Node &here = node(place);
    uint64_t sum = place;
    fold(sum, here.id.data(), here.id.size());
    fold(sum, here.keys[0].data(), sizeof(here.keys));
    fold(sum, static_cast<uint64_t>(here.ends));
    fold(sum, here.size);
    for (Place next = here.next; next != 0; next = block(next).next) {
        fold(sum, next);
    }
    return sum | 1;
}

bool Arena::is_whole(Place place) const {
    const Node &here = node(place);
    if (here.check == 0) {
        return false;
    }
    uint64_t room = head_room;
    for (Place next = here.next; next != 0; next = block(next).next) {
        if (next >= header_->fresh || next == place || block(next).owner != place || room >= here.size) {
            return false;
        }
        room += Block::room;
    }
    return room >= here.size && here.check == checksum(place);
}

// Two records of one id, old and new, are left when a process died within replace(): it did not answer, so either will
// do.
void Arena::adopt(Place place) {
    if (find(node(place).id) != 0) {
        node(place).check = 0;
    } else {
        link_tables(place);
    }
}

void Arena::rebuild() {
    Header &header = *header_;
    std::fill(ids_, reinterpret_cast<Place *>(blocks_), Place{0});
    header.newest = header.oldest = 0;
    header.records = 0;
    header.reaped = 0;
    for (Place place = 1; place < header.fresh; place++) {
        if (is_head(place)) {
            if (is_whole(place)) {
                adopt(place);
            } else {
                node(place).check = 0;
            }
        }
    }
    free_the_rest();
    order_by_use();
    in_order();
    header.busy = 0;
}

void Arena::free_the_rest() {
    header_->free = 0;
    header_->free_count = 0;
    for (Place place = 1; place < header_->fresh; place++) {
        Block &here = block(place);
        const Place owner = here.owner;
        if (owner == 0 || owner >= header_->fresh || !is_head(owner) || node(owner).check == 0) {
            here.owner = 0;
            here.next = header_->free;
            header_->free = place;
            header_->free_count++;
        }
    }
}

// Sorting a million records would take seconds under the lock. Two passes do it to a thousandth of the time between
// first and last.
void Arena::order_by_use() {
    constexpr int64_t bins = 1024;
    int64_t first = INT64_MAX, last = INT64_MIN;
    const auto each = [this](auto visit) {
        for (Place place = 1; place < header_->fresh; place++) {
            if (is_head(place)) {
                visit(place);
            }
        }
    };
    if (header_->records == 0) {
        return;
    }
    each([&](Place place) {
        first = std::min(first, node(place).used);
        last = std::max(last, node(place).used);
    });
    std::array<Place, bins> waiting{};
    const int64_t width = (last - first) / bins + 1;
    each([&](Place place) {
        Place &bin = waiting[static_cast<size_t>((node(place).used - first) / width)];
        node(place).links[by_use].next = bin;
        bin = place;
    });
    for (Place place : waiting) {
        while (place != 0) {
            const Place next = node(place).links[by_use].next;
            link_used(place);
            place = next;
        }
    }
}

}  // namespace auth_oidc
