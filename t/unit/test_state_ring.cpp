// The ring of used states and of replayed ids (src/ngx/state_ring.hpp).
#include "ngx/state_ring.hpp"

#include <deque>
#include <map>
#include <new>
#include <random>
#include <string>

#include "dying.hpp"
#include "oidc/text.hpp"

using namespace auth_oidc;

namespace {

using SmallRing = Ring<20>;

std::string digest_of(uint64_t number) {
    return std::string(oidc::bytes(oidc::sha256("entry " + std::to_string(number))));
}

RingEntry entry_of(uint64_t number) {
    RingEntry entry{};
    entry.status = static_cast<uint32_t>(number % 4 + 1);
    entry.pid = static_cast<int32_t>(number);
    entry.time = static_cast<int64_t>(number) * 10;
    return entry;
}

// As it begins in a zone: zeros.
template <class R>
R &ring_in(Memory &memory) {
    assert_true(sizeof(R) <= memory.size);
    auto *ring = static_cast<R *>(memory.data);
    ring->set_secret(0x9876543210abcdef);
    return *ring;
}

bool holds(SmallRing &ring, uint64_t number) {
    const RingEntry *found = ring.find(digest_of(number));
    const RingEntry entry = entry_of(number);
    return found != nullptr && found->status == entry.status && found->pid == entry.pid && found->time == entry.time;
}

void last_entries_are_found_and_older_ones_are_not(void **) {
    Memory memory(64 * 1024);
    SmallRing &ring = ring_in<SmallRing>(memory);
    for (uint64_t i = 1; i <= 200; i++) {
        assert_null(ring.find(digest_of(i)));
        ring.add(digest_of(i), entry_of(i));
        for (uint64_t j = 1; j <= i; j++) {
            assert_true(holds(ring, j) == (j + 20 > i));
        }
        ring.repair();  // nothing to do
    }
}

// All keys begin alike, so all are in one bucket: the rest of the key decides, and any of them can be taken out of the
// chain.
void entries_of_one_bucket_are_told_apart(void **) {
    Memory memory(64 * 1024);
    SmallRing &ring = ring_in<SmallRing>(memory);
    const auto key = [](uint64_t number) { return "the same" + digest_of(number); };
    for (uint64_t i = 1; i <= 100; i++) {
        ring.add(key(i), entry_of(i));
        for (uint64_t j = 1; j <= i; j++) {
            assert_true((ring.find(key(j)) != nullptr) == (j + 20 > i));
        }
    }
}

void largest_ring_works(void **) {
    using Large = Ring<2048>;
    Memory memory(sizeof(Large));
    Large &ring = ring_in<Large>(memory);
    for (uint64_t i = 1; i <= 5000; i++) {
        ring.add(digest_of(i), entry_of(i));
    }
    for (uint64_t i = 1; i <= 5000; i++) {
        assert_true((ring.find(digest_of(i)) != nullptr) == (i + 2048 > 5000));
    }
}

void process_may_die_after_any_write(void **) {
    Memory memory(sizeof(SmallRing)), copy(sizeof(SmallRing));
    SmallRing &ring = ring_in<SmallRing>(memory);
    for (uint64_t i = 1; i <= 25; i++) {
        ring.add(digest_of(i), entry_of(i));
    }
    int deaths = 0;
    const auto inspect = [&](const std::string &bytes) {
        std::memcpy(copy.data, bytes.data(), bytes.size());
        auto &left = *static_cast<SmallRing *>(copy.data);
        left.repair();
        assert_true(left.find(digest_of(26)) == nullptr || holds(left, 26));
        assert_true(left.find(digest_of(6)) == nullptr || holds(left, 6));
        for (uint64_t i = 7; i <= 25; i++) {
            assert_true(holds(left, i));
        }
        for (uint64_t i = 100; i < 160; i++) {
            left.add(digest_of(i), entry_of(i));
            assert_true(holds(left, i));
            assert_true(i < 120 || left.find(digest_of(i - 20)) == nullptr);
        }
        deaths++;
    };
    if (!die_everywhere(
            memory, [&] { ring.add(digest_of(26), entry_of(26)); }, inspect)) {
        skip();
    }
    assert_true(holds(ring, 26) && ring.find(digest_of(6)) == nullptr);
    assert_true(deaths > 5);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(last_entries_are_found_and_older_ones_are_not),
        cmocka_unit_test(entries_of_one_bucket_are_told_apart),
        cmocka_unit_test(largest_ring_works),
        cmocka_unit_test(process_may_die_after_any_write),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
