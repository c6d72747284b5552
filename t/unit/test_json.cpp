// JSON, parsed strictly: no duplicate members, depth, numbers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>

#include "exact.hpp"
#include "oidc/json.hpp"

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

Json parsed(std::string_view text) {
    const Exact exact(text);
    auto json = parse_object(exact.view(), "test value", 32);
    if (!json) {
        fail_msg("%s", json.error().text.c_str());
    }
    return *json;
}

std::string nested(size_t depth) {
    std::string text = "1";
    for (size_t i = 0; i < depth; ++i) {
        text = i + 1 == depth || i % 2 == 0 ? "{\"a\":" + text + "}" : "[" + text + "]";
    }
    return text;
}

void objects_are_accepted(void **) {
    const struct {
        const char *name;
        std::string text;
    } cases[] = {
        {"empty", "{}"},
        {"blanks around", " \r\n\t{ } \n"},
        {"every type", R"({"s":"x","n":1,"r":1.5,"t":true,"f":false,"z":null,"a":[1],"o":{}})"},
        {"escapes", R"({"\u00e9":"\ud83d\ude00\n"})"},
        {"UTF-8", "{\"\xc3\xa9\":\"\xf0\x9f\x98\x80\"}"},
        {"same member on another level", R"({"a":{"a":{"a":1}}})"},
        {"16 levels", nested(16)},
        {"brackets inside a string", "{\"a\":\"" + std::string(50, '[') + "\"}"},
        {"brackets behind an escaped quote", R"({"a":"\"[[[[[[[[[[[[[[[[[[[[[[[[["})"},
        {"brackets behind an escaped backslash", R"({"a":"\\","b":"[[[[[[[[[[[[[[[[[[[["})"},
        {"many siblings", "{\"a\":[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]}"},
        {"NUL inside a string", "{\"a\":\"x\\u0000y\"}"},
    };
    for (const auto &c : cases) {
        const Exact text(c.text);
        const auto json = parse_object(text.view(), "test value");
        if (!json) {
            fail_msg("%s: %s", c.name, json.error().text.c_str());
        }
        assert_true(json->is_object());
    }
}

void anything_else_is_refused(void **) {
    const struct {
        const char *name;
        std::string text;
    } cases[] = {
        {"nothing", ""},
        {"blank", " "},
        {"array", "[]"},
        {"string", "\"a\""},
        {"number", "1"},
        {"null", "null"},
        {"open", "{\"a\":1"},
        {"open string", "{\"a\":\"x"},
        {"escape at the end", "{\"a\":\"\\"},
        {"closing only", "}}}}"},
        {"something behind", "{}x"},
        {"second object", "{}{}"},
        {"NUL behind", "{}\0"s},
        {"byte order mark", "\xef\xbb\xbf{}"},
        {"duplicate member", R"({"a":1,"a":2})"},
        {"duplicate member, escaped", R"({"a":1,"\u0061":2})"},
        {"duplicate member below", R"({"x":[{"a":1,"a":1}]})"},
        {"comma at the end", R"({"a":1,})"},
        {"single quotes", "{'a':1}"},
        {"no quotes", "{a:1}"},
        {"comment", "{/**/}"},
        {"NaN", R"({"a":NaN})"},
        {"Infinity", R"({"a":Infinity})"},
        {"leading zero", R"({"a":01})"},
        {"plus sign", R"({"a":+1})"},
        {"hexadecimal", R"({"a":0x1})"},
        {"2^63", R"({"a":9223372036854775808})"},
        {"real overflow", R"({"a":1e400})"},
        {"control character in a string", "{\"a\":\"\n\"}"},
        {"lone surrogate", R"({"a":"\ud800"})"},
        {"invalid UTF-8", "{\"a\":\"\xff\"}"},
        {"overlong UTF-8", "{\"a\":\"\xc0\xaf\"}"},
        {"NUL in a name", "{\"a\\u0000\":1}"},
        {"17 levels", nested(17)},
        {"100,000 levels", "{\"a\":" + std::string(100000, '[')},
    };
    for (const auto &c : cases) {
        const Exact text(c.text);
        const auto json = parse_object(text.view(), "test value");
        if (json) {
            fail_msg("%s: accepted", c.name);
        }
        expect(c.name, json.error().rule, "json");
        assert_true(json.error().fault == Fault::provider);
    }
}

void depth_is_the_callers(void **) {
    assert_true(bool(parse_object("{}", "x", 1)));
    assert_false(bool(parse_object("{\"a\":[]}", "x", 1)));
    assert_true(bool(parse_object(nested(40), "x", 40)));
    assert_false(bool(parse_object(nested(41), "x", 40)));
}

void complaints_show_no_content(void **) {
    for (const char *text : {"{\"token\" \"hunter2\"}", "{\"a\":1,\"hunter2\":1,\"hunter2\":2}", "{\"a\":hunter2}",
                             "{\"hunter2", "{\"a\":\"hunter2\n\"}", "{}hunter2", "[\"hunter2\"]"}) {
        const auto json = parse_object(text, "token response");
        assert_false(bool(json));
        expect(text, json.error().text.substr(0, 15), "token response ");
        assert_true(json.error().text.find("hunter2") == std::string::npos);
        assert_true(json.error().text.find('\n') == std::string::npos);
    }
    expect("depth", parse_object(nested(17), "JWK set").error().text,
           "JWK set is not a proper JSON object: nested deeper than 16 levels");
}

void strings_are_read(void **) {
    const Json json = parsed(R"({"s":"text","e":"","n":1,"z":null,"a":["x"],"nul":"ad\u0000min"})");
    expect("text", json.string("s").value_or("(none)"), "text");
    expect("empty", json.string("e").value_or("(none)"), "");
    for (const char *name : {"n", "z", "a", "nul", "absent", ""}) {
        expect(name, json.string(name).value_or("(none)"), "(none)");
    }
    assert_true(json.has("nul") && json.has("z"));
    assert_false(json.has("absent"));
    expect("nothing at all", Json().string("s").value_or("(none)"), "(none)");
}

void booleans_are_read(void **) {
    const Json json = parsed(R"({"t":true,"f":false,"s":"true","n":1,"z":null})");
    assert_true(json.boolean("t") == true);
    assert_true(json.boolean("f") == false);
    for (const char *name : {"s", "n", "z", "absent"}) {
        assert_false(json.boolean(name).has_value());
    }
}

void times_are_read(void **) {
    const struct {
        const char *value;
        int64_t expected;  // -1: nothing
    } cases[] = {
        {"0", 0},
        {"1700000000", 1700000000},
        {"2147483648", 2147483648},  // past 2038
        {"4294967296", 4294967296},
        {"9007199254740992", 9007199254740992},  // 2^53
        {"9007199254740993", -1},
        {"9223372036854775807", -1},
        {"-1", -1},
        {"-9223372036854775808", -1},
        {"1.5", 1},
        {"1700000000.999", 1700000000},
        {"0.0", 0},
        {"1e9", 1000000000},
        {"9007199254740992.0", 9007199254740992},
        {"9007199254740994.0", -1},
        {"9223372036854775808.0", -1},
        {"1e300", -1},
        {"-1e300", -1},
        {"-0.5", -1},
        {"1e-300", 0},
        {"\"1700000000\"", -1},
        {"true", -1},
        {"null", -1},
        {"[1]", -1},
        {"{}", -1},
    };
    for (const auto &c : cases) {
        const auto found = parsed("{\"exp\":"s + c.value + "}").time("exp").value_or(-1);
        expect(c.value, std::to_string(found), std::to_string(c.expected));
    }
    assert_false(parsed("{}").time("exp").has_value());
}

std::string shown(const std::optional<std::vector<std::string>> &list) {
    std::string out = list ? "" : "(nothing)";
    for (const auto &item : list.value_or(std::vector<std::string>())) {
        out += "[" + item + "]";
    }
    return out;
}

void lists_are_read(void **) {
    const struct {
        const char *value, *words, *items;
    } cases[] = {
        {"\"one\"", "[one]", "[one]"},
        {"\"one two\"", "[one][two]", "[one two]"},
        {"\"\"", "", "[]"},
        {"[]", "", ""},
        {"[\"a\",\"b c\"]", "[a][b c]", "[a][b c]"},
        {"[\"a\",1]", "(nothing)", "(nothing)"},
        {"[\"a\",null]", "(nothing)", "(nothing)"},
        {"[\"a\",[\"b\"]]", "(nothing)", "(nothing)"},
        {"[\"a\",\"b\\u0000c\"]", "(nothing)", "(nothing)"},
        {"\"b\\u0000c\"", "(nothing)", "(nothing)"},
        {"1", "(nothing)", "(nothing)"},
        {"null", "(nothing)", "(nothing)"},
        {"{\"a\":\"b\"}", "(nothing)", "(nothing)"},
    };
    for (const auto &c : cases) {
        const Json json = parsed("{\"l\":"s + c.value + "}");
        expect(c.value, shown(json.strings("l")), c.words);
        expect(c.value, shown(json.list("l")), c.items);
    }
    expect("absent", shown(Json::object().strings("l")), "");
    expect("absent", shown(Json::object().list("l")), "");
}

void members_are_set_and_dumped(void **) {
    Json json;
    json.set("z", "literal");
    json.set("a", "text"s);
    json.set("t", true);
    json.set("n", int64_t{-5});
    json.set("o", parsed(R"({"b": [1, 1.1, null]})"));
    json.set("u", "\xc3\xa9\xff\0\n"s);
    expect("order", json.dump(),
           "{\"z\":\"literal\",\"a\":\"text\",\"t\":true,\"n\":-5,\"o\":{\"b\":[1,1.1,null]},"
           "\"u\":\"\xc3\xa9\xef\xbf\xbd\\u0000\\n\"}");
    json.set("z", int64_t{1});
    expect("replaced in place", json.dump().substr(0, 7), "{\"z\":1,");
    expect("nothing", Json().dump(), "");
    expect("not an object", json.member("a").dump(), "\"text\"");
}

void handles_share_and_outlive(void **) {
    Json member;
    {
        const Json json = parsed(R"({"o":{"a":1}})");
        const Json copy = json;
        member = copy.member("o");
    }
    expect("member outlives its object", member.dump(), "{\"a\":1}");
    assert_false(bool(member.member("b")));
    assert_false(bool(member.member("a").member("b")));
    Json same = member;
    same.set("b", "2");
    expect("copies share", member.dump(), "{\"a\":1,\"b\":\"2\"}");
    const Json *self = &same;
    same = *self;
    expect("assigned to itself", same.dump(), "{\"a\":1,\"b\":\"2\"}");
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_accepted),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(depth_is_the_callers),
        cmocka_unit_test(complaints_show_no_content),
        cmocka_unit_test(strings_are_read),
        cmocka_unit_test(booleans_are_read),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(members_are_set_and_dumped),
        cmocka_unit_test(handles_share_and_outlive),
    };
    return cmocka_run_group_tests_name("json", tests, nullptr, nullptr);
}
