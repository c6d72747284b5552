// The memory of a session zone when a process is killed while it writes there.
#include <functional>
#include <vector>

#include "arena_model.hpp"

namespace {

// Wherever a process dies within an operation: what it leaves is repaired and must hold, for every record, what was
// there before the operation or what is there after it.
class Autopsy {
public:
    Autopsy() : memory(24 * 1024), arena(*Arena::format(memory.data, memory.size)), copy_(memory.size) {}

    void insert(uint64_t number, size_t size, int64_t ends = start + 1000) {
        const Expected expected{text_of(number, 1, size), ends, "sid " + std::to_string(number), "sub"};
        arena.insert(expected.record(id_of(number)), start + static_cast<int64_t>(number));
        before[number] = expected;
    }

    // False where this system lets nobody be traced.
    bool operator()(const std::function<void(Arena &)> &operation) {
        if (!die_everywhere(
                memory, [&] { operation(arena); }, [&](const std::string &bytes) { inspect(bytes); })) {
            return false;
        }
        assert_false(arena.repair());
        assert_same(arena, after);
        return true;
    }

    Memory memory;
    Arena arena;
    Model before, after;
    int deaths = 0;

private:
    Memory copy_;

    void inspect(const std::string &bytes) {
        deaths++;
        std::memcpy(copy_.data, bytes.data(), bytes.size());
        Arena left(copy_.data);
        left.repair();
        Model found;
        Model all = before;
        all.insert(after.begin(), after.end());
        for (const auto &[number, unused] : all) {
            const Model &model = holds(left, number, before) ? before : after;
            assert_true(holds(left, number, model));
            if (model.count(number) != 0) {
                found[number] = model.at(number);
            }
        }
        assert_same(left, found);
        use_all(left, found);
    }

    // Every list is in order again: it can be filled to the brim, emptied by index and filled once more.
    static void use_all(Arena &left, Model &found) {
        for (const auto &[number, expected] : found) {
            assert_int_equal(erase_all(left, Index::sid, key_of(expected.sid), 9), 1);
        }
        assert_int_equal(left.use().used, 0);
        for (uint64_t number = 100; number < 130; number++) {
            const Expected expected{text_of(number, 1, 1800), start + 5000, "", "another sub"};
            left.insert(expected.record(id_of(number)), start + 100);
            assert_true(text_in(left, number) == expected.text);
        }
        const uint64_t records = left.use().records;
        assert_int_equal(erase_all(left, Index::sub, key_of("another sub"), 99), records);
        assert_int_equal(left.use().used, 0);
    }
};

// A record whose continuation in block i is, byte for byte, what a node of its own would be in that block; `blocks` of
// them.
std::string forged_nodes(uint64_t blocks) {
    std::string text(Arena::head_room, 'x');
    for (uint64_t place = 2; place <= blocks; place++) {
        Memory memory(24 * 1024);
        Arena arena = *Arena::format(memory.data, memory.size);
        for (uint64_t i = 1; i <= place; i++) {
            const Expected genuine{text_of(i, 1, Arena::head_room), start + 1000, "", ""};
            assert_int_equal(arena.insert(genuine.record(id_of(1000 + i)), start), i);
        }
        const auto *node = arena.head(static_cast<Place>(place)) - (Arena::block_size - Arena::head_room);
        text.append(reinterpret_cast<const char *>(node) + 8, Arena::block_size - 8);
    }
    return text;
}

struct Death {
    const char *name;
    std::function<void(Autopsy &)> prepare;  // `after` begins as what was prepared
    std::function<void(Autopsy &)> foresee;
    std::function<void(Arena &)> operation;
};

const Expected newcomer{text_of(50, 1, 2000), start + 1000, "sid 50", "sub"};
const Expected successor{text_of(2, 2, 2200), start + 2000, "sid 2 anew", "sub"};

void some_records(Autopsy &autopsy) {
    autopsy.insert(1, 300);
    autopsy.insert(2, 900);
    autopsy.insert(3, 2000);
}
void full_of_records(Autopsy &autopsy) {
    for (uint64_t i = 1; i <= 7; i++) {
        autopsy.insert(i, 2800, i == 4 ? start + 10 : start + 1000);
    }
}
void with_holes(Autopsy &autopsy) {
    some_records(autopsy);
    autopsy.insert(4, 1200);
    for (uint64_t i : {uint64_t{1}, uint64_t{4}}) {
        autopsy.arena.erase(autopsy.arena.find(id_of(i)));
        autopsy.before.erase(i);
    }
}

void forged_nodes_in_freed_blocks(Autopsy &autopsy) {
    const Expected carrier{forged_nodes(6), start + 1000, "", ""};
    autopsy.arena.insert(carrier.record(id_of(8)), start);
    autopsy.arena.erase(autopsy.arena.find(id_of(8)));
}

const Expected small{text_of(50, 1, 300), start + 1000, "sid 50", "sub"};

const Death deaths[] = {
    {"insert of one block", some_records, [](Autopsy &a) { a.after[50] = small; },
     [](Arena &arena) { arena.insert(small.record(id_of(50)), start + 20); }},
    {"insert where nodes were forged", forged_nodes_in_freed_blocks, [](Autopsy &a) { a.after[50] = small; },
     [](Arena &arena) { arena.insert(small.record(id_of(50)), start + 20); }},
    {"insert", some_records, [](Autopsy &a) { a.after[50] = newcomer; },
     [](Arena &arena) { arena.insert(newcomer.record(id_of(50)), start + 20); }},
    {"insert into freed blocks", with_holes, [](Autopsy &a) { a.after[50] = newcomer; },
     [](Arena &arena) { arena.insert(newcomer.record(id_of(50)), start + 20); }},
    {"insert drops what is over", full_of_records,
     [](Autopsy &a) {
         a.after.erase(4);
         a.after[50] = newcomer;
     },
     [](Arena &arena) { arena.insert(newcomer.record(id_of(50)), start + 20); }},
    {"insert drops the least recently used", full_of_records,
     [](Autopsy &a) {
         a.after.erase(1);
         a.after[50] = newcomer;
     },
     [](Arena &arena) { arena.insert(newcomer.record(id_of(50)), start + 9); }},
    {"replace", some_records, [](Autopsy &a) { a.after[2] = successor; },
     [](Arena &arena) { arena.replace(arena.find(id_of(2)), successor.record(id_of(2)), start + 20); }},
    {"replace drops another", full_of_records,
     [](Autopsy &a) {
         a.after.erase(1);
         a.after[2] = successor;
     },
     [](Arena &arena) { arena.replace(arena.find(id_of(2)), successor.record(id_of(2)), start + 9); }},
    {"erase", some_records, [](Autopsy &a) { a.after.erase(2); },
     [](Arena &arena) { arena.erase(arena.find(id_of(2))); }},
    {"erase all of a sub", some_records, [](Autopsy &a) { a.after.clear(); },
     [](Arena &arena) { erase_all(arena, Index::sub, key_of("sub"), 10); }},
    {"use", some_records, [](Autopsy &) {}, [](Arena &arena) { arena.use(arena.find(id_of(1)), start + 20); }},
    {"rebuild",
     [](Autopsy &a) {
         with_holes(a);
         leave_busy(a.memory);
     },
     [](Autopsy &) {}, [](Arena &arena) { arena.repair(); }},
};

void process_may_die_after_any_write(void **) {
    for (const Death &death : deaths) {
        Autopsy autopsy;
        death.prepare(autopsy);
        autopsy.after = autopsy.before;
        death.foresee(autopsy);
        if (!autopsy(death.operation)) {
            skip();
        }
        print_message("# %s: died %d times\n", death.name, autopsy.deaths);
        assert_true(autopsy.deaths > 5);
    }
}

// The blocks of a rebuild are told apart by what no record can write: a record full of forged nodes gives no record.
void contents_do_not_pass_for_records(void **) {
    Memory memory(24 * 1024);
    Arena arena = *Arena::format(memory.data, memory.size);
    const Model model{{8, {forged_nodes(20), start + 1000, "", ""}}};
    arena.insert(model.at(8).record(id_of(8)), start);
    leave_busy(memory);
    assert_true(arena.repair());
    assert_same(arena, model);
    arena.erase(arena.find(id_of(8)));
    leave_busy(memory);
    assert_true(arena.repair());
    assert_same(arena, {});
}

void damaged_record_is_absent_and_the_others_stay(void **) {
    for (size_t at : {size_t{8}, size_t{20}, size_t{50}, size_t{80}, size_t{96}}) {  // check, id, key, end, size
        Memory memory(64 * 1024);
        Arena arena = *Arena::format(memory.data, memory.size);
        Model model{{1, {text_of(1, 1, 1500), start + 9, "a", "b"}}, {2, {text_of(2, 1, 1500), start + 9, "a", "b"}}};
        for (const auto &[number, expected] : model) {
            arena.insert(expected.record(id_of(number)), start);
        }
        arena.head(arena.find(id_of(1)))[at - (Arena::block_size - Arena::head_room)] ^= 4;
        leave_busy(memory);
        arena.repair();
        model.erase(1);
        assert_same(arena, model);
        assert_int_equal(erase_all(arena, Index::sid, key_of("a"), 9), 1);
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(process_may_die_after_any_write),
        cmocka_unit_test(contents_do_not_pass_for_records),
        cmocka_unit_test(damaged_record_is_absent_and_the_others_stay),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
