// What is said about a session that is too large (session_keep), and what is sealed into its cookie.
#include <string>

#include "oidc/cookie_record.hpp"
#include "oidc/session_size.hpp"

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
    session[Field::access_token] = std::string(900, 'a');
    session[Field::claims_json] = std::string(100, 'j');
    session.claims = {
        {"email", "a@example.com"}, {"groups", std::string(5000, 'g')}, {"\x01groups", "x"}, {"sub", "s"}};
    return session;
}

std::string advice(const Session &session, size_t too_much) {
    const std::string record = write_session(session);
    return size_advice(*SessionView::over(record), too_much);
}

void names_the_biggest_and_the_line_to_write(void **) {
    assert_string_equal(
        advice(example(), 1000).c_str(),
        "the biggest parts are claim \"groups\" (5006 bytes), access_token (900 bytes), claim \"email\" "
        "(18 bytes); to keep less, write \"session_keep access_token claims=email,sub;\"");
    assert_string_equal(
        advice(example(), 5500).c_str(),
        "the biggest parts are claim \"groups\" (5006 bytes), access_token (900 bytes), claim \"email\" "
        "(18 bytes); to keep less, write \"session_keep claims=email,sub;\"");
    assert_string_equal(advice(Session(), 10).c_str(), "to keep less, write \"session_keep claims=sub;\"");
}

void cookie_record_comes_back_as_it_was(void **) {
    CookieHead head;
    head.begun = 1700000000123;
    head.id[0] = 7;
    const std::string plain = write_cookie_record(head, "the session");
    const auto record = read_cookie_record(plain);
    assert_true(record.has_value());
    assert_true(record->session == "the session" && record->head.begun == head.begun && record->head.id[0] == 7);
    for (size_t size = 0; size < plain.size(); size++) {
        assert_false(read_cookie_record(std::string_view(plain).substr(0, size)).has_value());
    }
    assert_false(read_cookie_record(plain + "x").has_value());
    std::string other = plain;
    other[0] = 9;
    assert_false(read_cookie_record(other).has_value());
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(names_the_biggest_and_the_line_to_write),
        cmocka_unit_test(cookie_record_comes_back_as_it_was),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
