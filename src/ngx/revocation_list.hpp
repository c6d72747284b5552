// Who was signed out, in shared memory: the last so many entries under a key, a ring with a hash table over it. Nothing
// of nginx in here, and no lock: whoever changes it holds one. What does not fit any more is folded into one time: what
// began before it counts as signed out too, so that a full list is never a way back in. A process may die between any
// two writes: who finds the mark of a change set builds the table anew.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>

namespace auth_oidc {

using RevokedKey = std::array<unsigned char, 16>;

class RevocationList {
public:
    struct Entry {
        RevokedKey key;
        int64_t at;     // milliseconds since 1970: what began later is somebody else's
        int64_t until;  // seconds since 1970: nothing that it is about lives longer
        uint32_t next;  // in the bucket, 0: the last. Entries count from 1
        uint32_t unused;
    };

    // In memory of zeros, aligned to 8 bytes; null when that is too small. `secret` keeps outsiders from choosing keys
    // of one bucket.
    static RevocationList *format(void *memory, size_t size, uint64_t secret) {
        constexpr size_t per_entry = sizeof(Entry) + 2 * sizeof(uint32_t);
        const size_t capacity = size < sizeof(RevocationList) ? 0 : (size - sizeof(RevocationList)) / per_entry;
        if (capacity < 64) {
            return nullptr;
        }
        auto *list = new (memory) RevocationList();
        list->secret_ = secret | 1;
        list->capacity_ = static_cast<uint32_t>(std::min<size_t>(capacity, UINT32_MAX / 2));
        while ((size_t{2} << list->bucket_bits_) <= 2 * size_t{list->capacity_}) {
            list->bucket_bits_++;
        }
        return list;
    }

    // To be called first whenever the lock was taken.
    void repair() {
        if (!busy_) {
            return;
        }
        std::fill(buckets(), buckets() + (size_t{1} << bucket_bits_), 0);
        for (uint64_t i = oldest_; i < next_; i++) {
            link(place(i));
        }
        in_order();
        busy_ = 0;
    }

    // Good without the lock, for the request that asks when nobody was ever signed out.
    bool is_empty() const { return next_ == oldest_ && not_before_ == 0; }
    // Whether something of that key (or of any, in the time before) that began then was signed out.
    bool has(const RevokedKey &key, int64_t begun) const {
        const Entry *entry = find(key);
        return entry != nullptr && begun <= entry->at;
    }
    bool is_folded(int64_t begun) const { return begun <= not_before_; }
    uint64_t size() const { return next_ - oldest_; }
    uint32_t capacity() const { return capacity_; }
    int64_t not_before() const { return not_before_; }
    void set_not_before(int64_t time) {
        if (time > not_before_) {
            not_before_ = time;
        }
    }

    // `now` in seconds. False when an entry that still counts had to be folded.
    bool add(const RevokedKey &key, int64_t at, int64_t until, int64_t now) {
        if (Entry *entry = find(key)) {
            entry->until = std::max(entry->until, until);
            entry->at = std::max(entry->at, at);
            return true;
        }
        busy_ = 1;
        in_order();
        while (size() != 0 && (this->at(place(oldest_)).until <= now)) {
            drop_oldest();
        }
        const bool fits = size() < capacity_;
        if (!fits) {
            set_not_before(this->at(place(oldest_)).at);
            in_order();
            drop_oldest();
        }
        const uint32_t here = place(next_);
        this->at(here) = {key, at, until, 0, 0};
        in_order();
        next_ = next_ + 1;
        link(here);
        in_order();
        busy_ = 0;
        return fits;
    }

    int32_t writer = 0;  // the process that writes the list down, one at a time

    // From the oldest to the newest.
    template <class Visit>
    void each(Visit visit) const {
        for (uint64_t i = oldest_; i < next_; i++) {
            visit(at(place(i)));
        }
    }

private:
    uint32_t busy_ = 0, capacity_ = 0, bucket_bits_ = 0;
    uint64_t secret_ = 0;
    volatile uint64_t oldest_ = 0, next_ = 0;  // they only grow
    volatile int64_t not_before_ = 0;          // milliseconds

    // The compiler keeps the order; what a killed process wrote is then a prefix of the program's writes.
    static void in_order() { std::atomic_signal_fence(std::memory_order_seq_cst); }

    Entry *entries() const { return reinterpret_cast<Entry *>(const_cast<RevocationList *>(this) + 1); }
    uint32_t *buckets() const { return reinterpret_cast<uint32_t *>(entries() + capacity_); }
    Entry &at(uint32_t place) const { return entries()[place - 1]; }
    uint32_t place(uint64_t number) const { return static_cast<uint32_t>(number % capacity_) + 1; }

    uint32_t &bucket(const RevokedKey &key) const {
        uint64_t word;
        std::memcpy(&word, key.data(), sizeof(word));
        return buckets()[static_cast<size_t>(word * secret_ >> (64 - bucket_bits_))];
    }
    Entry *find(const RevokedKey &key) const {
        for (uint32_t i = bucket(key); i != 0; i = at(i).next) {
            if (at(i).key == key) {
                return &at(i);
            }
        }
        return nullptr;
    }
    void link(uint32_t i) {
        uint32_t &first = bucket(at(i).key);
        at(i).next = first;
        first = i;
    }
    void drop_oldest() {
        const uint32_t i = place(oldest_);
        uint32_t *from = &bucket(at(i).key);
        while (*from != 0 && *from != i) {
            from = &at(*from).next;
        }
        if (*from == i) {
            *from = at(i).next;
        }
        in_order();
        oldest_ = oldest_ + 1;
    }
};

}  // namespace auth_oidc
