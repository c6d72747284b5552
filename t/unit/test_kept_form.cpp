// Forms that met an ended session, as bytes: what may be kept, and that nothing else is read back.
#include <string>
#include <utility>

#include "oidc/kept_form.hpp"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
}

using namespace oidc;

namespace {

KeptForm example() {
    return {1700000000, "https://app.example.com", "/a%20b//c?d=e", std::string(32, '\x80'), "a=1&b=%C3%A9&a=2&c="};
}

void form_comes_back_as_it_was(void **) {
    for (const auto &user : {std::string(), std::string(32, 'u')}) {
        KeptForm form = example();
        form.user = user;
        auto read = read_kept_form(write_kept_form(form));
        assert_true(read.has_value());
        assert_true(read->created == form.created && read->origin == form.origin && read->target == form.target);
        assert_true(read->user == form.user && read->body == form.body);
    }
}

void fields_keep_their_order(void **) {
    const Parameters expected = {{"a", "1"}, {"b", "\xc3\xa9"}, {"a", "2"}, {"c", ""}};
    assert_true(form_fields(example().body) == expected);
    assert_true(form_fields("") == Parameters());
}

void what_a_page_cannot_send_again_is_not_kept(void **) {
    const std::string large(KeptForm::max_body - 1, 'x');
    std::string many;
    for (size_t i = 0; i <= KeptForm::max_fields; i++) {
        many += "a&";
    }
    for (const std::string &body : {std::string("=b"), std::string("a=%E9"), std::string("%FF=1"), std::string("a=%00"),
                                    std::string("a=%zz"), "a=" + large, many}) {
        KeptForm form = example();
        form.body = body;
        if (write_kept_form(form) != "") {
            fail_msg("kept: %s", body.substr(0, 20).c_str());
        }
    }
    for (const char *target : {"", "x", "//a b", "/a\nb", "https://evil.example/"}) {
        KeptForm form = example();
        form.target = target;
        assert_string_equal(write_kept_form(form).c_str(), "");
    }
}

void no_part_of_a_record_is_one(void **) {
    const std::string record = write_kept_form(example());
    // Only the body has no length of its own, and it is authenticated as a whole.
    for (size_t size = 0; size < record.size() - example().body.size(); size++) {
        assert_false(read_kept_form(record.substr(0, size)).has_value());
    }
    std::string other = record;
    other[0] = 2;
    assert_false(read_kept_form(other).has_value());
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(form_comes_back_as_it_was),
        cmocka_unit_test(fields_keep_their_order),
        cmocka_unit_test(what_a_page_cannot_send_again_is_not_kept),
        cmocka_unit_test(no_part_of_a_record_is_one),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
