// The memory of a session zone: against a model, and what it does when it is full.
#include <algorithm>
#include <functional>
#include <list>
#include <set>
#include <vector>

#include "arena_model.hpp"

namespace {

// ---- ids ----

void cookie_is_43_strict_base64url_characters(void **) {
    for (uint64_t i = 0; i < 1000; i++) {
        const RecordId id = id_of(i);
        const std::optional<RecordId> read = record_id(oidc::base64url_encode(oidc::bytes(id.data(), id.size())));
        assert_true(read && *read == id);
    }
    const std::string good(43, 'A');
    assert_true(record_id(good).has_value());
    for (const std::string &bad : {std::string(), good.substr(1), good + 'A', good.substr(1) + '=', good + '='}) {
        assert_false(record_id(bad).has_value());
    }
    for (size_t at = 0; at < 43; at++) {
        for (int c = 0; c < 256; c++) {
            std::string text = good;
            text[at] = static_cast<char>(c);
            // oidc's own decoder is the measure: alphabet, padding, bits that must be zero in the last character.
            assert_true(record_id(text).has_value() == oidc::base64url_decode(text).has_value());
        }
    }
}

// ---- against a model ----

// A model of an arena that also knows who was used when, and lets the arena choose which records go.
class Walk {
public:
    explicit Walk(size_t size, uint32_t seed)
        : memory_(size), arena_(*Arena::format(memory_.data, size)), dice_(seed) {}

    void step() {
        now_ += roll(20) == 0 ? static_cast<int64_t>(roll(600)) : static_cast<int64_t>(roll(2));
        switch (roll(10)) {
            case 0:
            case 1:
            case 2:
                insert();
                break;
            case 3:
            case 4:
                replace();
                break;
            case 5:
            case 6:
                use();
                break;
            case 7:
                erase();
                break;
            case 8:
                erase_index();
                break;
            default:
                die();
        }
    }

    void compare() {
        assert_same(arena_, model_);
        for (uint64_t i = 0; i < 20; i++) {
            assert_true(arena_.find(id_of(next_ + i)) == 0);
        }
    }

private:
    Memory memory_;
    Arena arena_;
    std::mt19937 dice_;
    Model model_;
    std::list<uint64_t> by_use_;  // the newest first
    std::map<uint64_t, int64_t> moved_;
    uint64_t next_ = 1;
    int64_t now_ = start;

    uint64_t roll(uint64_t sides) { return dice_() % sides; }
    std::optional<uint64_t> any() {
        if (model_.empty()) {
            return std::nullopt;
        }
        auto at = model_.lower_bound(roll(next_));
        return (at == model_.end() ? model_.begin() : at)->first;
    }
    Expected fresh(uint64_t number) {
        Expected expected;
        expected.text = text_of(number, dice_(), 168 + roll(roll(4) == 0 ? 6000 : 900));
        expected.ends =
            now_ + (roll(3) == 0 ? static_cast<int64_t>(roll(100)) - 5 : static_cast<int64_t>(roll(50'000)));
        expected.sid = roll(4) == 0 ? "" : "sid " + std::to_string(roll(2000));
        expected.sub = "sub " + std::to_string(roll(50));
        return expected;
    }
    void forget(uint64_t number) {
        model_.erase(number);
        by_use_.remove(number);
        moved_.erase(number);
    }
    void moved(uint64_t number) {
        by_use_.remove(number);
        by_use_.push_front(number);
        moved_[number] = now_;
    }

    // Whatever left the arena had to: over, or nothing over is left and nothing was used longer ago.
    void settle(uint64_t but) {
        bool live_went = false;
        while (true) {
            auto gone = std::find_if(by_use_.rbegin(), by_use_.rend(),
                                     [&](uint64_t n) { return n != but && arena_.find(id_of(n)) == 0; });
            if (gone == by_use_.rend()) {
                break;
            }
            if (model_[*gone].ends > now_) {
                live_went = true;
                assert_true(*gone == by_use_.back());
            }
            forget(*gone);
        }
        for (const auto &[number, expected] : model_) {
            assert_true(!live_went || number == but || expected.ends > now_);
        }
    }

    void insert() {
        const uint64_t number = next_++;
        const Expected expected = fresh(number);
        assert_true(arena_.insert(expected.record(id_of(number)), now_) == arena_.find(id_of(number)));
        settle(number);
        model_[number] = expected;
        moved(number);
    }
    void replace() {
        if (const auto number = any()) {
            const Expected expected = fresh(*number);
            const Place old = arena_.find(id_of(*number));
            assert_true(arena_.replace(old, expected.record(id_of(*number)), now_) == arena_.find(id_of(*number)));
            moved(*number);
            settle(*number);
            model_[*number] = expected;
        }
    }
    void use() {
        if (const auto number = any()) {
            arena_.use(arena_.find(id_of(*number)), now_);
            if (now_ - moved_[*number] > 1) {
                moved(*number);
            }
        }
    }
    void erase() {
        if (const auto number = any()) {
            arena_.erase(arena_.find(id_of(*number)));
            forget(*number);
        }
    }
    void erase_index() {
        const bool by_sid = roll(2) == 0;
        const std::string name = by_sid ? "sid " + std::to_string(roll(2000)) : "sub " + std::to_string(roll(50));
        const uint64_t max = 1 + roll(4);
        std::set<uint64_t> all;
        for (const auto &[number, expected] : model_) {
            if ((by_sid ? expected.sid : expected.sub) == name) {
                all.insert(number);
            }
        }
        const uint64_t count = erase_all(arena_, by_sid ? Index::sid : Index::sub, key_of(name), max);
        assert_int_equal(count, std::min<uint64_t>(max, all.size()));
        for (uint64_t number : all) {
            if (arena_.find(id_of(number)) == 0) {
                forget(number);
            }
        }
        assert_int_equal(arena_.use().records, model_.size());
    }
    // A rebuild keeps every record, and their order of use to a thousandth: the model takes over what is left of it.
    void die() {
        if (roll(50) != 0) {
            return;
        }
        leave_busy(memory_);
        assert_true(arena_.repair());
        by_use_.sort([&](uint64_t a, uint64_t b) { return moved_[a] > moved_[b]; });
        compare();
        for (auto number = by_use_.rbegin(); number != by_use_.rend(); ++number) {
            now_ += 2;
            arena_.use(arena_.find(id_of(*number)), now_);
            moved_[*number] = now_;
        }
    }
};

void random_operations_agree_with_a_model(void **) {
    for (size_t size : {size_t{60'000}, size_t{250'000}}) {
        Walk walk(size, static_cast<uint32_t>(size));
        for (int i = 0; i < 50'000; i++) {
            walk.step();
            if (i % 100 == 0) {
                walk.compare();
            }
        }
    }
}

// ---- a full arena ----

void fill(Arena &arena, uint64_t count, size_t size, const std::function<int64_t(uint64_t)> &ends) {
    for (uint64_t i = 1; i <= count; i++) {
        const Expected expected{text_of(i, 1, size), ends(i), "sid " + std::to_string(i), "sub"};
        arena.insert(expected.record(id_of(i)), start);
    }
}

void what_is_over_goes_first_then_the_least_recently_used(void **) {
    Memory memory(256 * 1024);
    Arena arena = *Arena::format(memory.data, memory.size);
    // As many as fit; every third one lives shorter, in between the others. Then each is used, from the first to the
    // last.
    const uint64_t count = arena.use().size / (2 * Arena::block_size);
    fill(arena, count, 800, [](uint64_t i) { return start + (i % 3 == 0 ? 500 : 50'000); });
    assert_int_equal(arena.use().evicted, 0);
    for (uint64_t i = 1; i <= count; i++) {
        arena.use(arena.find(id_of(i)), start + 10);
    }
    arena.use(arena.find(id_of(1)), start + 20);

    uint64_t next = 1000;
    const auto insert = [&](int64_t now) {
        const Expected expected{text_of(next, 1, 800), start + 100'000, "", ""};
        arena.insert(expected.record(id_of(next++)), now);
    };
    insert(start + 499);  // nothing is over yet: the least recently used goes, which 1 is no longer
    assert_true(arena.find(id_of(2)) == 0 && arena.find(id_of(1)) != 0 && arena.find(id_of(3)) != 0);
    for (uint64_t i = 0; i < count / 3; i++) {
        insert(start + 500);
    }
    assert_int_equal(arena.use().evicted, 1);  // those that were over made room for all
    for (uint64_t i = 1; i <= count; i++) {
        assert_true((arena.find(id_of(i)) != 0) == (i % 3 != 0 && i != 2));
    }
    insert(start + 500);
    assert_int_equal(arena.use().evicted, 2);
    assert_true(arena.find(id_of(4)) == 0 && arena.find(id_of(5)) != 0);
}

void long_lives_do_not_hide_what_is_over(void **) {
    // Ends far beyond one turn of the wheel, and the clock jumps: the short-lived one in the middle is found all the
    // same.
    Memory memory(64 * 1024);
    Arena arena = *Arena::format(memory.data, memory.size);
    const uint64_t count = arena.use().size / Arena::block_size;
    fill(arena, count, 300, [](uint64_t i) { return i == 40 ? start + 7 * 86400 - 1 : start + 30 * 86400; });
    const Expected expected{text_of(900, 1, 300), start + 30 * 86400, "", ""};
    arena.insert(expected.record(id_of(900)), start + 7 * 86400);
    assert_true(arena.find(id_of(40)) == 0);
    assert_int_equal(arena.use().evicted, 0);
    // Over already when it comes, behind the seconds that were looked through.
    arena.erase(arena.find(id_of(900)));
    arena.insert(Expected{text_of(901, 1, 300), start, "", ""}.record(id_of(901)), start + 7 * 86400 + 1);
    arena.insert(expected.record(id_of(902)), start + 7 * 86400 + 1);
    assert_true(arena.find(id_of(901)) == 0);
    assert_int_equal(arena.use().evicted, 0);
}

void replaced_record_is_not_dropped_for_itself(void **) {
    Memory memory(64 * 1024);
    Arena arena = *Arena::format(memory.data, memory.size);
    size_t size = 1000;
    while (arena.fits(size + 1)) {
        size++;
    }
    fill(arena, 1, size, [](uint64_t) { return start + 5; });
    const Expected expected{text_of(1, 2, size), start + 1000, "", ""};
    arena.replace(arena.find(id_of(1)), expected.record(id_of(1)), start + 10);  // over, yet it is the one
    assert_true(text_in(arena, 1) == expected.text);
    assert_int_equal(arena.use().evicted, 0);
    assert_false(arena.fits(size + 1));
}

void lack_is_told_once_a_minute(void **) {
    Memory memory(256 * 1024);
    Arena arena = *Arena::format(memory.data, memory.size);
    const uint64_t count = arena.use().size / (2 * Arena::block_size);
    fill(arena, count, 800, [](uint64_t) { return start + 10'000; });
    assert_false(arena.take_lack(start).has_value());
    uint64_t next = 1000;
    const auto insert = [&](int64_t now) {
        arena.insert(Expected{text_of(next, 1, 800), now + 10'000, "", ""}.record(id_of(next)), now);
        next++;
    };
    insert(start);
    const std::optional<ArenaLack> first = arena.take_lack(start);
    assert_true(first && first->dropped == 1 && first->missing == 2 * Arena::block_size);
    for (int64_t second = 1; second < 60; second++) {
        insert(start + second);
        assert_false(arena.take_lack(start + second).has_value());
    }
    const std::optional<ArenaLack> later = arena.take_lack(start + 60);
    assert_true(later && later->dropped == 59);
    assert_true(later->missing > 59 * 2 * Arena::block_size && later->missing <= 60 * 2 * Arena::block_size);
    // One a second that would live 10,000 seconds: 10,000 records are missing less those that have their place, however
    // long it goes on.
    for (int64_t second = 61; second < 60'000; second++) {
        insert(start + second);
    }
    const uint64_t missing = arena.take_lack(start + 60'000)->missing / (2 * Arena::block_size);
    assert_in_range(missing, 9'000, 10'100);
}

// At most 1.15 x record + 512 bytes over a mix of sizes; here of the whole memory, tables included.
void session_costs_little_more_than_its_record(void **) {
    Memory memory(8 * 1024 * 1024);
    Arena arena = *Arena::format(memory.data, memory.size);
    const size_t sizes[] = {614, 2150, 5120};
    double allowed = 0;
    uint64_t count = 0;
    while (arena.use().evicted == 0) {
        const size_t size = sizes[count % 3];
        count++;
        const Expected expected{text_of(count, 1, size), start + 1000, "sid " + std::to_string(count), "sub"};
        arena.insert(expected.record(id_of(count)), start);
        allowed += 1.15 * static_cast<double>(size) + 512;
    }
    print_message("# %zu bytes for %.0f allowed\n", memory.size, allowed);
    assert_true(static_cast<double>(memory.size) <= allowed);
    for (size_t size : sizes) {
        assert_true(static_cast<double>(bytes_of(std::string(size, 'x'))) <= 1.15 * static_cast<double>(size) + 512);
    }
}

void small_memory_is_refused_or_works(void **) {
    Memory memory(64 * 1024);
    for (size_t size = 0; size <= memory.size; size += 61) {
        std::optional<Arena> arena = Arena::format(memory.data, size);
        assert_true(arena.has_value() || size < 8 * 1024);
        if (arena) {
            assert_true(arena->use().size <= size);
            for (uint64_t i = 0; i < 40; i++) {
                arena->insert(Expected{text_of(i, 1, 1100), start + 5, "", ""}.record(id_of(i)), start);
                assert_true(text_in(*arena, i) == text_of(i, 1, 1100));
            }
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(cookie_is_43_strict_base64url_characters),
        cmocka_unit_test(random_operations_agree_with_a_model),
        cmocka_unit_test(what_is_over_goes_first_then_the_least_recently_used),
        cmocka_unit_test(long_lives_do_not_hide_what_is_over),
        cmocka_unit_test(replaced_record_is_not_dropped_for_itself),
        cmocka_unit_test(lack_is_told_once_a_minute),
        cmocka_unit_test(session_costs_little_more_than_its_record),
        cmocka_unit_test(small_memory_is_refused_or_works),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
