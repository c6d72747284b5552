// The last so many entries under a digest, in shared memory: a ring with a small hash table over it. Nothing of nginx
// in here, and no lock: whoever calls holds one. A process may die between any two writes: an entry counts once its
// status stands, and who finds the mark of a change set builds the table anew.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace auth_oidc {

struct RingEntry {
    std::array<unsigned char, 16> key;  // the first half of a SHA-256
    uint32_t status;                    // 0: empty
    int32_t pid;
    int64_t time;
    uint16_t next;  // in the bucket, 0: the last. Entries count from 1
};

// Must begin as zeros. Size is below 65,536; `secret` keeps outsiders from choosing keys of one bucket.
template <uint16_t Size>
class Ring {
public:
    // To be called first whenever the lock was taken.
    void repair() {
        if (!busy_) {
            return;
        }
        buckets_ = {};
        for (uint16_t i = 1; i <= Size; i++) {
            if (at(i).status != 0) {
                link(i);
            }
        }
        in_order();
        busy_ = 0;
    }

    // By the digest's first 16 bytes; null when it is not here.
    RingEntry *find(std::string_view digest) {
        for (uint16_t i = buckets_[bucket(digest.data())]; i != 0; i = at(i).next) {
            if (std::memcmp(at(i).key.data(), digest.data(), sizeof(RingEntry::key)) == 0) {
                return &at(i);
            }
        }
        return nullptr;
    }

    // In the place of the oldest. The digest must not be here yet, and the entry's status not be 0.
    void add(std::string_view digest, RingEntry entry) {
        busy_ = 1;
        in_order();
        newest_ = static_cast<uint16_t>(newest_ % Size + 1);
        RingEntry &here = at(newest_);
        if (here.status != 0) {
            unlink(newest_);
        }
        const uint32_t status = entry.status;
        here.status = 0;
        in_order();
        entry.status = 0;
        entry.next = 0;
        std::memcpy(entry.key.data(), digest.data(), entry.key.size());
        here = entry;
        in_order();
        here.status = status;
        link(newest_);
        in_order();
        busy_ = 0;
    }

    // Once, before anything is added.
    void set_secret(uint64_t secret) { secret_ = secret | 1; }

private:
    static constexpr unsigned bucket_bits = 12;

    uint32_t busy_;
    uint16_t newest_;
    uint64_t secret_;
    std::array<uint16_t, 1u << bucket_bits> buckets_;
    std::array<RingEntry, Size> entries_;

    // The compiler keeps the order; what a killed process wrote is then a prefix of the program's writes.
    static void in_order() { std::atomic_signal_fence(std::memory_order_seq_cst); }

    RingEntry &at(uint16_t i) { return entries_[i - 1u]; }

    size_t bucket(const void *key) const {
        uint64_t word;
        std::memcpy(&word, key, sizeof(word));
        return static_cast<size_t>(word * secret_ >> (64 - bucket_bits));
    }
    void link(uint16_t i) {
        uint16_t &first = buckets_[bucket(at(i).key.data())];
        at(i).next = first;
        first = i;
    }
    void unlink(uint16_t i) {
        uint16_t *from = &buckets_[bucket(at(i).key.data())];
        while (*from != i) {
            from = &at(*from).next;
        }
        *from = at(i).next;
    }
};

}  // namespace auth_oidc
