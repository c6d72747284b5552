// The codings of the wire: RFC 4648, RFC 3986, form coding, hashes, escapes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "exact.hpp"
#include "oidc/text.hpp"

extern "C" {
#include <cmocka.h>
}

using namespace oidc;
using namespace std::string_literals;

namespace {

void expect(const std::string &name, const std::string &found, const std::string &expected) {
    if (found != expected) {
        fail_msg("%s: expected \"%s\", found \"%s\"", name.c_str(), expected.c_str(), found.c_str());
    }
}

void expect(const std::string &name, bool found, bool expected) {
    if (found != expected) {
        fail_msg("%s: expected %d, found %d", name.c_str(), expected, found);
    }
}

std::string hex(std::string_view data) {
    std::string out;
    for (const unsigned char c : data) {
        out += "0123456789abcdef"[c >> 4];
        out += "0123456789abcdef"[c & 15];
    }
    return out;
}

struct Coding {
    const char *name;
    std::string plain, coded;
};

// RFC 4648 section 10, without padding, and the two characters that make the alphabet one for URLs.
const Coding base64url_cases[] = {
    {"empty", "", ""},
    {"one", "f", "Zg"},
    {"two", "fo", "Zm8"},
    {"three", "foo", "Zm9v"},
    {"four", "foob", "Zm9vYg"},
    {"five", "fooba", "Zm9vYmE"},
    {"six", "foobar", "Zm9vYmFy"},
    {"alphabet's end", "\xfb\xff\xbf", "-_-_"},
    {"zeros", "\0\0\0"s, "AAAA"},
    {"ones", "\xff\xff\xff\xff", "_____w"},
    {"RFC 7515 C", "\x03\xec\xff\xe0\xc1", "A-z_4ME"},
};

void base64url(void **) {
    for (const auto &c : base64url_cases) {
        expect(c.name, base64url_encode(c.plain), c.coded);
        const Exact coded(c.coded);
        expect(c.name, base64url_decode(coded.view()).value_or("(refused)"), c.plain);
    }
}

void base64url_every_byte_and_length(void **) {
    std::string all;
    for (int i = 0; i < 256; ++i) {
        const std::string coded = base64url_encode(all);
        expect("length " + std::to_string(i), base64url_decode(coded).value_or("(refused)"), all);
        assert_int_equal(base64url_decoded_size(coded.size()), all.size());
        all += static_cast<char>(i * 7);
    }
}

void base64url_decodes_strictly(void **) {
    const Coding cases[] = {
        {"padding", "", "Zg=="},
        {"padding of three", "", "Zm8="},
        {"blank before", "", " Zm9v"},
        {"blank behind", "", "Zm9v "},
        {"line end", "", "Zm9v\n"},
        {"line end within", "", "Zm\n9v"},
        {"plus", "", "-+-_"},
        {"slash", "", "-/-_"},
        {"lone character", "", "Z"},
        {"five characters", "", "Zm9vY"},
        {"unused bits of one", "", "Zh"},
        {"unused bits of two", "", "Zm9"},
        {"highest unused bit", "", "Zo"},
        {"NUL", "", "Zm9\0"s},
        {"beyond ASCII", "", "Zm9\xff"},
        {"dot", "", "Zm9v.Zm9v"},
        {"bad in tail of two", "", "Z*"},
        {"bad in tail of three", "", "Zm*"},
        {"bad in first group", "", "*m9vZm9v"},
    };
    for (const auto &c : cases) {
        expect(c.name, base64url_decode(c.coded).has_value(), false);
    }
}

void base64url_accepts_64_characters_only(void **) {
    int accepted = 0;
    for (int c = 0; c < 256; ++c) {
        accepted += base64url_decode(std::string("AA") + static_cast<char>(c) + "A").has_value() ? 1 : 0;
    }
    assert_int_equal(accepted, 64);
}

void base64_with_padding(void **) {
    const Coding cases[] = {{"empty", "", ""},
                            {"one", "f", "Zg=="},
                            {"two", "fo", "Zm8="},
                            {"three", "foo", "Zm9v"},
                            {"four", "foob", "Zm9vYg=="},
                            {"end", "\xfb\xff\xbf", "+/+/"},
                            {"RFC 7617 2", "Aladdin:open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}};
    for (const auto &c : cases) {
        expect(c.name, base64_encode(c.plain), c.coded);
    }
}

void percent_and_form(void **) {
    const struct {
        const char *name;
        std::string plain, percent, form;
    } cases[] = {
        {"unreserved (RFC 3986 2.3)", "AZaz09-._~", "AZaz09-._~", "AZaz09-._~"},
        {"blank", "a b", "a%20b", "a+b"},
        {"reserved", ":/?#[]@!$&'()*+,;=%", "%3A%2F%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D%25",
         "%3A%2F%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D%25"},
        {"UTF-8 (RFC 6749 B)", " %&+\xc2\xa3\xe2\x82\xac", "%20%25%26%2B%C2%A3%E2%82%AC", "+%25%26%2B%C2%A3%E2%82%AC"},
        {"controls", "\0\r\n\x7f"s, "%00%0D%0A%7F", "%00%0D%0A%7F"},
    };
    for (const auto &c : cases) {
        expect(c.name, percent_encode(c.plain), c.percent);
        expect(c.name, form_encode(c.plain), c.form);
    }
    expect("parameters", form_encode(Parameters{{"a b", "1&2"}, {"c", ""}}), "a+b=1%262&c=");
    expect("no parameter", form_encode(Parameters{}), "");
}

std::string shown(const std::optional<Parameters> &parameters) {
    std::string out = parameters ? "" : "(refused)";
    for (const auto &[name, value] : parameters.value_or(Parameters())) {
        out += "[" + name + "|" + value + "]";
    }
    return out;
}

void forms_are_decoded(void **) {
    const Coding cases[] = {
        {"two", "[a|1][b|2]", "a=1&b=2"},
        {"empty", "", ""},
        {"only separators", "", "&&"},
        {"no equals sign", "[a|]", "a"},
        {"equals in the value", "[a|b=c]", "a=b=c"},
        {"no name", "[|x]", "=x"},
        {"twice", "[a|1][a|2]", "a=1&a=2"},
        {"plus and escapes", "[a b|c d/\xc3\xa9]", "a+b=c%20d%2f%C3%A9"},
        {"escaped separators", "[a&b|c=d]", "a%26b=c%3Dd"},
        {"escaped only once", "[a|%41]", "a=%2541"},
        {"separator at the end", "[a|1]", "a=1&"},
        {"broken escape", "(refused)", "a=%4"},
        {"lone percent sign", "(refused)", "a=%"},
        {"escape of no digits", "(refused)", "a=%zz"},
        {"half an escape of no digits", "(refused)", "a=%4g"},
        {"broken escape in a name", "(refused)", "%=1"},
        {"escape over the edge", "(refused)", "a=%4&b=1"},
        {"NUL", "(refused)", "a=\0"s},
        {"escaped NUL", "(refused)", "a=b%00c"},
    };
    for (const auto &c : cases) {
        const Exact coded(c.coded);
        expect(c.name, shown(form_decode(coded.view())), c.plain);
    }
}

void forms_are_bounded(void **) {
    assert_int_equal(form_decode("a&b&c", 3)->size(), 3);
    assert_false(form_decode("a&b&c&d", 3).has_value());
    std::string many = "a=1";
    for (int i = 1; i < 64; ++i) {
        many += "&a=1";
    }
    assert_int_equal(form_decode(many)->size(), 64);
    assert_false(form_decode(many + "&a=1").has_value());
}

void parameters_are_found(void **) {
    const Parameters parameters = {{"a", "1"}, {"b", "2"}, {"a", "3"}, {"b", "4"}};
    expect("first", *find_parameter(parameters, "a"), "1");
    assert_null(find_parameter(parameters, "A"));
    assert_null(find_parameter({}, ""));
    expect("duplicate", *find_duplicate(parameters), "a");
    assert_null(find_duplicate({{"a", "1"}, {"b", "1"}, {"A", "1"}}));
}

void hashes(void **) {
    // FIPS 180-4's examples.
    expect("SHA-256 of nothing", hex(bytes(sha256(""))),
           "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect("SHA-256 of abc", hex(bytes(sha256("abc"))),
           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    // RFC 4231 4.3 and 4.7 (a key longer than a block).
    expect("HMAC, case 2", hex(bytes(hmac_sha256("Jefe", "what do ya want for nothing?"))),
           "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    expect("HMAC, case 6",
           hex(bytes(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"))),
           "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    expect("HMAC of nothing", hex(bytes(hmac_sha256({}, {}))),
           "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    // RFC 7636 B: an S256 challenge.
    expect("PKCE", base64url_encode(bytes(sha256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))),
           "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

void comparison(void **) {
    assert_true(equal_constant_time("", ""));
    assert_true(equal_constant_time("same\0a"s, "same\0a"s));
    assert_false(equal_constant_time("same\0a"s, "same\0b"s));
    assert_false(equal_constant_time("short", "shorter"));
    assert_false(equal_constant_time("xame", "same"));
}

void random_values(void **) {
    assert_int_equal(random_bytes(0).size(), 0);
    assert_int_equal(random_bytes(100).size(), 100);
    const std::string token = random_token();
    assert_int_equal(token.size(), 43);
    assert_int_equal(base64url_decode(token).value_or("").size(), 32);
    assert_true(token != random_token());
}

void escapes(void **) {
    const struct {
        const char *name;
        std::string plain, html, json, log, header;
    } cases[] = {
        {"plain", "plain text", "plain text", "plain text", "plain text", "plain text"},
        {"HTML", "<a href=\"x\" id='y'>&amp;", "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;",
         "<a href=\\\"x\\\" id='y'>&amp;", "<a href=\"x\" id='y'>&amp;", "<a href=\"x\" id='y'>&amp;"},
        {"backslash", "a\\b", "a\\b", "a\\\\b", "a\\b", "a\\b"},
        {"line ends", "a\r\nb", "a\r\nb", "a\\u000D\\u000Ab", "a\\x0D\\x0Ab", "a  b"},
        {"NUL, escape, delete", "\0\x1b\x7f"s, "\0\x1b\x7f"s, "\\u0000\\u001B\\u007F", "\\x00\\x1B\\x7F", "   "},
        {"UTF-8", "\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80",
         "\\xC3\\xA9\\xF0\\x9F\\x98\\x80", "\xc3\xa9\xf0\x9f\x98\x80"},
    };
    for (const auto &c : cases) {
        expect(c.name + " as HTML"s, html_escape(c.plain), c.html);
        expect(c.name + " as JSON"s, json_escape(c.plain), c.json);
        expect(c.name + " in the log"s, log_safe(c.plain), c.log);
        expect(c.name + " in a header"s, header_safe(c.plain), c.header);
    }
}

void log_lines_are_cut(void **) {
    expect("default", log_safe(std::string(300, 'a')), std::string(200, 'a'));
    expect("exact", log_safe("abc", 3), "abc");
    expect("no half escape", log_safe("ab\n", 5), "ab");
    expect("whole escape", log_safe("ab\n", 6), "ab\\x0A");
    expect("nothing behind a cut", log_safe("a\nb", 4), "a");
}

void utf8_is_made_valid(void **) {
    const std::string bad = "\xef\xbf\xbd";
    const Coding cases[] = {
        {"whole planes", "\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
         "\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"lone continuation", "a\x80z", "a" + bad + "z"},
        {"cut short", "\xe2\x82", bad + bad},
        {"two-byte overlong", "\xc0\x80", bad + bad},
        {"three-byte overlong", "\xe0\x9f\xbf", bad + bad + bad},
        {"surrogate", "\xed\xa0\x80", bad + bad + bad},
        {"four-byte overlong", "\xf0\x8f\xbf\xbf", bad + bad + bad + bad},
        {"beyond U+10FFFF", "\xf4\x90\x80\x80", bad + bad + bad + bad},
        {"no such byte", "\xff", bad},
        {"resumes", "\xe2(\xa1", bad + "(" + bad},
    };
    for (const auto &c : cases) {
        const Exact text(c.plain);
        expect(c.name, utf8_safe(text.view()), c.coded);
    }
}

void words_and_parts(void **) {
    const std::vector<std::string> words = split_words("  openid\temail \r\n profile ");
    assert_int_equal(words.size(), 3);
    expect("first", words[0], "openid");
    expect("last", words[2], "profile");
    assert_int_equal(split_words("").size(), 0);
    assert_int_equal(split_words(" \t").size(), 0);
    assert_true(contains(words, "email"));
    assert_false(contains(words, "mail"));
    assert_true(starts_with("https://a", "https://") && starts_with("a", ""));
    assert_false(starts_with("http", "https") || starts_with("", "a"));
    assert_true(ends_with("a.localhost", ".localhost") && ends_with("", ""));
    assert_false(ends_with("localhost", ".localhost") || ends_with("ab", "a"));
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(base64url),
        cmocka_unit_test(base64url_every_byte_and_length),
        cmocka_unit_test(base64url_decodes_strictly),
        cmocka_unit_test(base64url_accepts_64_characters_only),
        cmocka_unit_test(base64_with_padding),
        cmocka_unit_test(percent_and_form),
        cmocka_unit_test(forms_are_decoded),
        cmocka_unit_test(forms_are_bounded),
        cmocka_unit_test(parameters_are_found),
        cmocka_unit_test(hashes),
        cmocka_unit_test(comparison),
        cmocka_unit_test(random_values),
        cmocka_unit_test(escapes),
        cmocka_unit_test(log_lines_are_cut),
        cmocka_unit_test(utf8_is_made_valid),
        cmocka_unit_test(words_and_parts),
    };
    return cmocka_run_group_tests_name("text", tests, nullptr, nullptr);
}
