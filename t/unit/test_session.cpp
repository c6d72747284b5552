// Sessions as bytes: lives, formats.
#include <cstring>
#include <string>
#include <vector>

#include "exact.hpp"
#include "oidc/session.hpp"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
}

using namespace oidc;

namespace {

Session example() {
    Session session;
    session.head.revision = 7;
    session.head.signed_in = 1700000000;
    session.head.ends = 1700028800;
    session.head.ends_at_last = 5000000000;
    session.head.last_used = 1700000100;
    session.head.access_token_ends = 1700000300;
    session.head.id_token_ends = 1700000400;
    session.head.claims_as_of = 1700000000;
    session.head.auth_time = 1699999999;
    memcpy(session.head.binding, "0123456789abcdef", 16);
    session.head.flags = 5;
    session[Field::access_token] = "access";
    session[Field::sub] = "248289761001";
    session[Field::sid] = std::string("s\0d", 3);
    session[Field::userinfo] = "{}";
    session.claims = {{"name", "Jane Doe"}, {"email", "jane@example.com"}, {"", "empty name"}, {"groups", ""}};
    return session;
}

void session_comes_back_as_it_was(void **) {
    const Session session = example();
    const Exact record(write_session(session));
    const auto view = SessionView::over(record.view());
    assert_true(view.has_value());

    SessionHead expected = session.head;
    expected.format = session_format;
    expected.size = static_cast<uint32_t>(record.view().size());
    expected.claim_count = 4;
    memcpy(expected.fields, view->head().fields, sizeof(expected.fields));
    assert_memory_equal(&expected, &view->head(), sizeof(expected));
    for (size_t i = 0; i < field_count; i++) {
        assert_true(view->field(static_cast<Field>(i)) == session.fields[i]);
    }
    for (const auto &[name, value] : session.claims) {
        assert_true(view->claim(name) == value);
    }
    assert_true(write_session(view->session()) == record.view());
}

void empty_session_is_a_session(void **) {
    const std::string record = write_session(Session());
    assert_int_equal(record.size(), sizeof(SessionHead));
    const auto view = SessionView::over(record);
    assert_true(view.has_value());
    assert_int_equal(view->head().claim_count, 0);
    assert_false(view->claim("").has_value());
    assert_false(view->claim("sub").has_value());
    assert_true(view->claim_at(0).first.empty() && view->field(Field::sub).empty());
}

void record_may_lie_at_any_address(void **) {
    const std::string record = write_session(example());
    for (size_t shift = 0; shift < 8; shift++) {
        const std::string moved = std::string(shift, 'x') + record;
        const auto view = SessionView::over(std::string_view(moved).substr(shift));
        assert_true(view && view->claim("email") == "jane@example.com");
    }
}

void claims_are_sorted_by_bytes_and_the_last_of_a_name_wins(void **) {
    Session session;
    session.claims = {{"b", "1"}, {"\xc3\xa9", "2"}, {"a", "3"}, {"B", "4"}, {"b", "5"}, {"aa", "6"}, {"a", "7"}};
    const std::string record = write_session(session);
    const auto view = SessionView::over(record);
    const std::pair<const char *, const char *> expected[] = {
        {"B", "4"}, {"a", "7"}, {"aa", "6"}, {"b", "5"}, {"\xc3\xa9", "2"}};
    assert_int_equal(view->head().claim_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(view->claim_at(i).first == expected[i].first && view->claim_at(i).second == expected[i].second);
    }
    assert_true(view->claim_at(5).first.empty() && view->claim_at(UINT32_MAX).second.empty());
}

void every_claim_is_found_among_any_number(void **) {
    for (size_t count = 0; count < 70; count++) {
        Session session;
        for (size_t i = 0; i < count; i++) {
            session.claims.emplace_back("claim" + std::to_string(i * 7919 % 1000), std::to_string(i));
        }
        const std::string record = write_session(session);
        const auto view = SessionView::over(record);
        for (const auto &[name, value] : session.claims) {
            assert_true(view->claim(name) == value);
            assert_false(view->claim(name + "x").has_value());
            assert_false(view->claim(name.substr(0, 5)).has_value());
        }
        assert_false(view->claim("").has_value());
        assert_false(view->claim("zzz").has_value());
    }
}

// Reads all there is; whatever the bytes are, nothing may lie outside of them.
void read_all(const Exact &record) {
    const auto view = SessionView::over(record.view());
    if (!view) {
        return;
    }
    for (size_t i = 0; i < field_count; i++) {
        assert_true(record.holds(view->field(static_cast<Field>(i))));
    }
    for (uint32_t i = 0; i < view->head().claim_count; i++) {
        assert_true(record.holds(view->claim_at(i).first) && record.holds(view->claim_at(i).second));
    }
    for (const char *name : {"", "email", "groups", "name", "zoneinfo"}) {
        assert_true(record.holds(view->claim(name).value_or(std::string_view())));
    }
    const Session copy = view->session();
    size_t size = 0;
    for (const auto &[name, value] : copy.claims) {
        size += name.size() + value.size();
    }
    assert_true(size <= record.view().size());
}

void truncated_and_longer_records_are_refused(void **) {
    const std::string record = write_session(example());
    for (size_t size = 0; size < record.size(); size++) {
        assert_false(SessionView::over(Exact(record.substr(0, size)).view()).has_value());
    }
    assert_false(SessionView::over(record + '\0').has_value());
    assert_false(SessionView::over({}).has_value());
}

void truncated_records_that_say_so_stay_in_bounds(void **) {
    const std::string record = write_session(example());
    for (uint32_t size = sizeof(SessionHead); size < record.size(); size++) {
        std::string cut = record.substr(0, size);
        memcpy(&cut[offsetof(SessionHead, size)], &size, sizeof(size));
        read_all(Exact(cut));
    }
}

void damaged_bytes_never_lead_outside(void **) {
    const std::string record = write_session(example());
    for (size_t i = 0; i < record.size(); i++) {
        for (int value = 0; value < 256; value++) {
            std::string bad = record;
            bad[i] = static_cast<char>(value);
            read_all(Exact(bad));
        }
    }
}

void damaged_numbers_never_lead_outside(void **) {
    const std::string record = write_session(example());
    const auto size = static_cast<uint32_t>(record.size());
    for (size_t i = 0; i + 4 <= record.size(); i += 4) {
        for (const uint32_t value :
             {0u, 1u, size - 1, size, size + 1, 0x10000000u, 0x7fffffffu, 0x80000000u, ~15u, ~0u}) {
            std::string bad = record;
            memcpy(&bad[i], &value, sizeof(value));
            read_all(Exact(bad));
        }
    }
}

void head_must_fit(void **) {
    const std::string record = write_session(example());
    const auto size = static_cast<uint32_t>(record.size());
    const struct {
        const char *name;
        size_t offset;
        uint32_t value;
    } cases[] = {
        {"no format", offsetof(SessionHead, format), 0},
        {"a later format", offsetof(SessionHead, format), session_format + 1},
        {"a format far off", offsetof(SessionHead, format), UINT32_MAX},
        {"smaller", offsetof(SessionHead, size), size - 1},
        {"larger", offsetof(SessionHead, size), size + 1},
        {"more claims than bytes", offsetof(SessionHead, claim_count), size / 16},
        {"claims whose table wraps 32 bits", offsetof(SessionHead, claim_count), 0x10000000},
        {"claims without end", offsetof(SessionHead, claim_count), UINT32_MAX},
        {"table behind the record", offsetof(SessionHead, fields) + 8 * (field_count - 1), size},
        {"table far behind the record", offsetof(SessionHead, fields) + 8 * (field_count - 1), UINT32_MAX},
    };
    for (const auto &c : cases) {
        std::string bad = record;
        memcpy(&bad[c.offset], &c.value, sizeof(c.value));
        if (SessionView::over(bad)) {
            fail_msg("%s", c.name);
        }
    }
}

void texts_that_do_not_fit_are_empty(void **) {
    const std::string record = write_session(example());
    const auto size = static_cast<uint32_t>(record.size());
    const struct {
        const char *name;
        uint32_t offset, size, expected;
    } cases[] = {
        {"to the end", size - 3, 3, 3},    {"one byte too many", size - 3, 4, 0},
        {"begins at the end", size, 0, 0}, {"begins behind the end", size + 1, 0, 0},
        {"sum wraps", size - 3, ~0u, 0},   {"both as large as can be", ~0u, ~0u, 0},
    };
    for (const auto &c : cases) {
        std::string bad = record;
        const size_t sub = offsetof(SessionHead, fields) + 8 * static_cast<size_t>(Field::sub);
        memcpy(&bad[sub], &c.offset, sizeof(c.offset));
        memcpy(&bad[sub + 4], &c.size, sizeof(c.size));
        if (SessionView::over(bad)->field(Field::sub).size() != c.expected) {
            fail_msg("%s", c.name);
        }
    }
}

// All rows of a damaged table may name the whole record: the copy must not become their sum.
void copy_of_a_damaged_record_is_bounded(void **) {
    Session session;
    for (int i = 0; i < 200; i++) {
        session.claims.emplace_back(std::to_string(i), "v");
    }
    std::string record = write_session(session);
    const auto size = static_cast<uint32_t>(record.size());
    for (size_t i = 0; i < 200; i++) {
        const uint32_t row[4] = {0, size, 0, size};
        memcpy(&record[sizeof(SessionHead) + i * sizeof(row)], row, sizeof(row));
    }
    read_all(Exact(record));
}

void session_is_over_by_each_of_its_lives(void **) {
    constexpr int64_t far = INT64_MAX;
    const struct {
        const char *name;
        int64_t ends, ends_at_last, last_used, now, idle;
        bool over;
    } cases[] = {
        {"fresh", 2000, 0, 1000, 1000, 0, false},
        {"last second", 2000, 0, 1000, 1999, 0, false},
        {"session_timeout reached", 2000, 0, 1000, 2000, 0, true},
        {"session_timeout long ago", 2000, 0, 1000, far, 0, true},
        {"never set", 0, 0, 0, 1000, 0, true},
        {"last second of session_max_age", 9000, 3000, 1000, 2999, 0, false},
        {"session_max_age reached", 9000, 3000, 1000, 3000, 0, true},
        {"session_max_age off", far, 0, 1000, 8000, 0, false},
        {"a refresh does not outlive session_max_age", far, 3000, 2999, 3001, 0, true},
        {"idle off", 9000, 0, 0, 8999, 0, false},
        {"last second of idle", 9000, 0, 1000, 1599, 600, false},
        {"idle reached", 9000, 0, 1000, 1600, 600, true},
        {"idle within, session_timeout reached", 1500, 0, 1499, 1500, 600, true},
        {"used by a host whose clock is ahead", 9000, 0, 1700, 1600, 600, false},
        {"hostile last_used, earliest", 9000, 0, INT64_MIN, 1600, 600, true},
        {"hostile last_used, latest", 9000, 0, far, 1600, 600, false},
        {"idle without end", 9000, 0, 1000, 8000, far, false},
        {"after 2038", 5000028800, 0, 5000000000, 5000000300, 600, false},
        {"negative end", -1, 0, 1000, 1000, 0, true},
        {"negative last end", 9000, -1, 1000, 1000, 0, true},
    };
    for (const auto &c : cases) {
        SessionHead head;
        head.ends = c.ends;
        head.ends_at_last = c.ends_at_last;
        head.last_used = c.last_used;
        if (is_over(head, c.now, c.idle) != c.over) {
            fail_msg("%s", c.name);
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(session_comes_back_as_it_was),
        cmocka_unit_test(empty_session_is_a_session),
        cmocka_unit_test(record_may_lie_at_any_address),
        cmocka_unit_test(claims_are_sorted_by_bytes_and_the_last_of_a_name_wins),
        cmocka_unit_test(every_claim_is_found_among_any_number),
        cmocka_unit_test(truncated_and_longer_records_are_refused),
        cmocka_unit_test(truncated_records_that_say_so_stay_in_bounds),
        cmocka_unit_test(damaged_bytes_never_lead_outside),
        cmocka_unit_test(damaged_numbers_never_lead_outside),
        cmocka_unit_test(head_must_fit),
        cmocka_unit_test(texts_that_do_not_fit_are_empty),
        cmocka_unit_test(copy_of_a_damaged_record_is_bounded),
        cmocka_unit_test(session_is_over_by_each_of_its_lives),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
