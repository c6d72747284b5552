// Texts cut into several cookies (at most four of at most 3,900 bytes).
#include <string>
#include <vector>

#include "oidc/chunks.hpp"
#include "oidc/text.hpp"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
}

using namespace oidc;

namespace {

std::string random_text(size_t size) {
    return base64url_encode(random_bytes(size)).substr(0, size);
}

// As a reader does it: empty when a part is missing or of another text.
std::string joined(const std::vector<std::string> &values) {
    const auto first = values.empty() ? std::nullopt : read_first_chunk(values[0]);
    if (!first || first->count > values.size()) {
        return {};
    }
    std::string text(first->text);
    for (size_t i = 1; i < first->count; i++) {
        const auto part = read_further_chunk(values[i], first->mark);
        if (!part) {
            return {};
        }
        text += *part;
    }
    return text;
}

void text_comes_back_as_it_was(void **) {
    for (const size_t room : {size_t{40}, size_t{3800}}) {
        for (size_t size = 20; size <= max_chunks * room; size += room > 100 ? 97 : 1) {
            const std::string text = random_text(size);
            const auto values = split_chunks(text, room);
            const bool fits = size <= max_chunks * room - 1 - 8 * (max_chunks - 1);
            assert_int_equal(values.empty(), !fits);
            for (const std::string &value : values) {
                assert_true(value.size() <= room);
            }
            if (fits) {
                assert_string_equal(joined(values).c_str(), text.c_str());
            }
        }
    }
}

void no_room_gives_no_chunks(void **) {
    for (size_t room = 0; room < 17; room++) {
        assert_true(split_chunks(random_text(100), room).empty());
    }
    assert_true(split_chunks(random_text(5000), 100).empty());
}

void parts_of_two_texts_do_not_mix(void **) {
    auto one = split_chunks(random_text(3000), 1000), other = split_chunks(random_text(3000), 1000);
    assert_int_equal(one.size(), 4);
    for (size_t i = 1; i < one.size(); i++) {
        auto mixed = one;
        mixed[i] = other[i];
        assert_string_equal(joined(mixed).c_str(), "");
    }
    auto mixed = other;
    mixed[0] = one[0];
    assert_string_equal(joined(mixed).c_str(), "");
}

void first_values_that_are_none(void **) {
    const std::string text = random_text(100);
    for (const std::string &value : {std::string(), std::string("1"), "0" + text, "5" + text, "9" + text, "a" + text,
                                     "1" + random_text(15), "1" + random_text(4000)}) {
        assert_false(read_first_chunk(value).has_value());
    }
    assert_true(read_first_chunk("4" + text).has_value());
    assert_false(read_further_chunk("12345678", "12345678").has_value());
    assert_false(read_further_chunk("1234567", "12345678").has_value());
    assert_false(read_further_chunk("", "12345678").has_value());
    assert_false(read_further_chunk("12345678" + random_text(4000), "12345678").has_value());
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(text_comes_back_as_it_was),
        cmocka_unit_test(no_room_gives_no_chunks),
        cmocka_unit_test(parts_of_two_texts_do_not_mix),
        cmocka_unit_test(first_values_that_are_none),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
