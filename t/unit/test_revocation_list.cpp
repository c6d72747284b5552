// The list of signed-out sessions (src/ngx/revocation_list.hpp): it is never a way back in.
#include "ngx/revocation_list.hpp"

#include <string>

#include "dying.hpp"
#include "oidc/text.hpp"

extern "C" {
#include <setjmp.h>
}

using namespace auth_oidc;

namespace {

constexpr size_t memory_size = 4096;
constexpr int64_t now = 1700000000;

RevokedKey key_of(uint64_t number) {
    const oidc::Digest digest = oidc::sha256("session " + std::to_string(number));
    RevokedKey key;
    std::copy_n(digest.begin(), key.size(), key.begin());
    return key;
}

int64_t at(uint64_t number) {
    return now * 1000 + static_cast<int64_t>(number);
}

// Whether a session of that number, begun at that time, is out.
bool is_out(const RevocationList &list, uint64_t number, int64_t begun) {
    return list.is_folded(begun) || list.has(key_of(number), begun);
}

RevocationList &list_in(const Memory &memory) {
    RevocationList *list = RevocationList::format(memory.data, memory.size, 0x9876543210abcdef);
    assert_non_null(list);
    return *list;
}

void what_began_before_is_out_and_what_began_later_is_not(void **) {
    const Memory memory(memory_size);
    RevocationList &list = list_in(memory);
    assert_true(list.is_empty());
    assert_false(is_out(list, 1, at(1)));
    assert_true(list.add(key_of(1), at(1), now + 60, now));
    assert_false(list.is_empty());
    assert_true(is_out(list, 1, at(0)) && is_out(list, 1, at(1)));
    assert_false(is_out(list, 1, at(2)));
    assert_false(is_out(list, 2, at(0)));
    assert_true(list.add(key_of(1), at(5), now + 60, now));
    assert_int_equal(list.size(), 1);
    assert_true(is_out(list, 1, at(5)));
}

void full_list_folds_its_oldest(void **) {
    const Memory memory(memory_size);
    RevocationList &list = list_in(memory);
    const uint64_t capacity = list.capacity();
    for (uint64_t i = 1; i <= 3 * capacity; i++) {
        assert_int_equal(list.add(key_of(i), at(i), now + 60, now), i <= capacity);
        for (uint64_t j = 1; j <= i; j++) {
            assert_true(is_out(list, j, at(j)));
        }
        assert_false(is_out(list, 5 * capacity, at(i)));
    }
    assert_int_equal(list.not_before(), at(2 * capacity));
    assert_true(is_out(list, 5 * capacity, at(2 * capacity)));
}

void what_nothing_lives_of_any_more_goes_without_a_trace(void **) {
    const Memory memory(memory_size);
    RevocationList &list = list_in(memory);
    for (uint64_t i = 1; i <= 2 * list.capacity(); i++) {
        assert_true(list.add(key_of(i), at(i), now + static_cast<int64_t>(i), now + static_cast<int64_t>(i) - 1));
    }
    assert_int_equal(list.not_before(), 0);
    assert_int_equal(list.size(), 1);
}

void too_little_memory_is_no_list(void **) {
    const Memory memory(memory_size);
    for (size_t size = 0; size < 3000; size += 8) {
        assert_null(RevocationList::format(memory.data, size, 1));
    }
}

void process_may_die_after_any_write(void **) {
    const Memory memory(memory_size), copy(memory_size);
    RevocationList &list = list_in(memory);
    const uint64_t capacity = list.capacity();
    for (uint64_t i = 1; i <= capacity; i++) {
        list.add(key_of(i), at(i), now + 60, now);
    }
    int deaths = 0;
    const auto inspect = [&](const std::string &bytes) {
        std::memcpy(copy.data, bytes.data(), bytes.size());
        auto &left = *static_cast<RevocationList *>(copy.data);
        left.repair();
        for (uint64_t i = 1; i <= capacity; i++) {
            assert_true(is_out(left, i, at(i)));
        }
        for (uint64_t i = 1000; i < 1000 + 2 * capacity; i++) {
            left.add(key_of(i), at(i), now + 60, now);
            assert_true(is_out(left, i, at(i)));
        }
        deaths++;
    };
    if (!die_everywhere(
            memory, [&] { list.add(key_of(999), at(999), now + 60, now); }, inspect)) {
        skip();
    }
    assert_true(is_out(list, 999, at(999)) && list.not_before() == at(1));
    assert_true(deaths > 4);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(what_began_before_is_out_and_what_began_later_is_not),
        cmocka_unit_test(full_list_folds_its_oldest),
        cmocka_unit_test(what_nothing_lives_of_any_more_goes_without_a_trace),
        cmocka_unit_test(too_little_memory_is_no_list),
        cmocka_unit_test(process_may_die_after_any_write),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
