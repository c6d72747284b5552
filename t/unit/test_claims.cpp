// Claims as texts: $oidc_claim_*, nested names, and what UserInfo may change (C 5.3.2).
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "oidc/claims.hpp"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
}

using namespace oidc;

namespace {

Json parsed(const std::string &text) {
    Result<Json> json = parse_object(text, "test", 64);
    if (!json) {
        fail_msg("test data is not JSON: %s", text.c_str());
    }
    return *json;
}

void claim_becomes_text(void **) {
    const struct {
        const char *name, *json, *expected;
    } cases[] = {
        {"string", R"("Jane Doe")", "Jane Doe"},
        {"empty string", R"("")", ""},
        {"string with commas", R"("a,b")", "a,b"},
        {"string with quotes", R"("say \"hi\" \\")", "say \"hi\" \\"},
        {"string that looks like a number", R"("007")", "007"},
        {"UTF-8", R"("Žofie Müller 山田")", "Žofie Müller 山田"},
        {"escaped UTF-8", R"("\u017dofie")", "Žofie"},
        {"beyond the first plane", R"("\ud83d\ude00")", "😀"},
        {"line end", R"("a\r\nX-Admin: 1")", "a  X-Admin: 1"},
        {"tab, backspace, form feed", R"("a\tb\bc\fd")", "a b c d"},
        {"lowest control characters", R"("\u0001\u001f")", "  "},
        {"delete", R"("a\u007fb")", "a b"},
        {"blanks stay", R"("  a  ")", "  a  "},
        {"true", "true", "true"},
        {"false", "false", "false"},
        {"null", "null", ""},
        {"zero", "0", "0"},
        {"integer", "42", "42"},
        {"negative integer", "-7", "-7"},
        {"integer above 2^53", "9007199254740993", "9007199254740993"},
        {"largest integer", "9223372036854775807", "9223372036854775807"},
        {"smallest integer", "-9223372036854775808", "-9223372036854775808"},
        {"real", "0.1", "0.1"},
        {"real that no binary fraction is", "3.14159", "3.14159"},
        {"real of 17 digits", "0.30000000000000004", "0.30000000000000004"},
        {"real that is whole", "1.0", "1"},
        {"negative real", "-2.5", "-2.5"},
        {"large real", "1e300", "1e+300"},
        {"smallest real", "5e-324", "5e-324"},
        {"largest real", "1.7976931348623157e308", "1.7976931348623157e+308"},
        {"array of strings", R"(["admin","staff"])", "admin,staff"},
        {"array of one", R"(["admin"])", "admin"},
        {"empty array", "[]", ""},
        {"array of mixed scalars", R"(["a",1,true,2.5,false])", "a,1,true,2.5,false"},
        {"null in an array", R"(["a",null,"b"])", "a,,b"},
        {"empty strings in an array", R"(["",""])", ","},
        {"comma in an element", R"(["a,b","c"])", "a,b,c"},
        {"line end in an element", R"(["a\nb"])", "a b"},
        {"array in an array", R"(["a",["b"]])", R"(["a",["b"]])"},
        {"object in an array", R"([{"a": 1}])", R"([{"a":1}])"},
        {"object", R"({"b": 1, "a": [true, null]})", R"({"b":1,"a":[true,null]})"},
        {"empty object", "{}", "{}"},
        {"line end in an object", R"({"a": "x\ny"})", R"({"a":"x\ny"})"},
        {"line end in a member's name", R"({"a\nb": 1})", R"({"a\nb":1})"},
        {"delete in an object", R"({"a": "x\u007fy"})", R"({"a":"x y"})"},
        {"UTF-8 in an object", R"({"a": "é"})", R"({"a":"é"})"},
        {"nested objects", R"({"a": {"b": {"c": "d"}}})", R"({"a":{"b":{"c":"d"}}})"},
    };
    for (const auto &c : cases) {
        const std::string text = claim_text(parsed(std::string("{\"v\":") + c.json + "}").member("v"));
        if (text != c.expected) {
            fail_msg("%s: expected '%s', found '%s'", c.name, c.expected, text.c_str());
        }
    }
}

void claim_that_no_parser_gives_becomes_text_too(void **) {
    assert_true(claim_text(Json()).empty());
    assert_true(claim_text(Json::owning(json_stringn("a\0b", 3))) == "a b");
    const Json list = Json::owning(json_array());
    json_array_append_new(list.get(), json_stringn("\0", 1));
    json_array_append_new(list.get(), json_string("b"));
    assert_true(claim_text(list) == " ,b");
}

void control_characters_never_come_through(void **) {
    for (char c = 0; c < 0x20; c++) {
        const std::string text = std::string("a") + c + "b";
        assert_true(claim_text(Json::owning(json_stringn(text.data(), text.size()))) == "a b");
    }
}

void path_leads_to_a_claim(void **) {
    const Json claims = parsed(R"({
        "sub": "jane", "none": null, "no": false,
        "address": {"country": "DE", "geo": {"lat": 52.5}},
        "realm_access": {"roles": ["admin", "user"]},
        "https://example.com/roles": ["editor"],
        "a.b": {"c.d": "dots", "c": {"d": "deep"}}, "a": {"b": {"c": "nested"}},
        "back\\slash": 1, "end\\": {"x": 2}, "": {"": "unnamed"},
        "groups": [{"name": "x"}, "y"], "Äpfel": {"größe": "M"}})");
    const struct {
        const char *name, *path, *expected;  // null: leads nowhere
    } cases[] = {
        {"top level", "sub", "jane"},
        {"one level down", "address.country", "DE"},
        {"two levels down", "address.geo.lat", "52.5"},
        {"an object", "address.geo", R"({"lat":52.5})"},
        {"an array", "realm_access.roles", "admin,user"},
        {"null is a claim", "none", ""},
        {"false is a claim", "no", "false"},
        {"nested, not the name with a dot", "a.b.c", "nested"},
        {"a literal dot", R"(a\.b.c.d)", "deep"},
        {"two literal dots", R"(a\.b.c\.d)", "dots"},
        {"a URL with its dot escaped", R"(https://example\.com/roles)", "editor"},
        {"a URL with its dot not escaped", "https://example.com/roles", nullptr},
        {"a backslash is itself", R"(back\slash)", "1"},
        {"two backslashes are two", R"(back\\slash)", nullptr},
        {"a backslash at the end", R"(end\)", R"({"x":2})"},
        {"UTF-8", "Äpfel.größe", "M"},
        {"another case", "Sub", nullptr},
        {"absent", "email", nullptr},
        {"absent below", "address.street", nullptr},
        {"below a string", "sub.x", nullptr},
        {"below null", "none.x", nullptr},
        {"below an array", "groups.name", nullptr},
        {"index of an array", "groups.0", nullptr},
        {"the empty name", "", R"({"":"unnamed"})"},
        {"the empty name twice", ".", "unnamed"},
        {"a dot at the end", "address.", nullptr},
        {"a dot in front", ".address", nullptr},
        {"two dots", "address..country", nullptr},
        {"escaped where a level begins", R"(address\.country)", nullptr},
        {"prefix of a name", "addres", nullptr},
    };
    for (const auto &c : cases) {
        const auto found = find_claim(claims, c.path);
        if (found.has_value() != (c.expected != nullptr) || (found && claim_text(*found) != c.expected)) {
            fail_msg("%s: found '%s'", c.name, found ? claim_text(*found).c_str() : "(nothing)");
        }
    }
    assert_false(find_claim(claims, std::string_view("sub\0x", 5)).has_value());
    assert_false(find_claim(Json(), "sub").has_value());
}

void long_paths_come_to_an_end(void **) {
    Json nested = Json::object();
    for (int i = 0; i < 30; i++) {
        Json outer = Json::object();
        json_object_set(outer.get(), "x", nested.get());
        nested = outer;
    }
    std::string path = "x";
    for (int i = 1; i < 30; i++) {
        path += ".x";
    }
    assert_true(find_claim(nested, path).has_value());
    assert_false(find_claim(nested, path + ".x").has_value());
    assert_false(find_claim(nested, std::string(100000, '.')).has_value());
}

void userinfo_goes_over_the_id_token_but_for_its_own(void **) {
    const struct {
        const char *name, *id_token, *userinfo, *expected;
    } cases[] = {
        {"only in the ID token", R"({"sub":"j","a":1})", R"({"sub":"j"})", R"({"sub":"j","a":1})"},
        {"only in UserInfo", R"({"sub":"j"})", R"({"sub":"j","a":1})", R"({"sub":"j","a":1})"},
        {"in both", R"({"sub":"j","a":1})", R"({"sub":"j","a":2})", R"({"sub":"j","a":2})"},
        {"another type", R"({"a":[1]})", R"({"a":"x"})", R"({"a":"x"})"},
        {"objects are not mixed", R"({"o":{"a":1,"b":2}})", R"({"o":{"b":3}})", R"({"o":{"b":3}})"},
        {"null counts", R"({"a":1})", R"({"a":null})", R"({"a":null})"},
        {"sub", R"({"sub":"j"})", R"({"sub":"x"})", R"({"sub":"j"})"},
        {"iss and aud", R"({"iss":"i","aud":"c"})", R"({"iss":"x","aud":["c","x"]})", R"({"iss":"i","aud":"c"})"},
        {"times", R"({"exp":1,"iat":2,"nbf":3,"auth_time":4})", R"({"exp":9,"iat":9,"nbf":9,"auth_time":9})",
         R"({"exp":1,"iat":2,"nbf":3,"auth_time":4})"},
        {"times that the token lacks", R"({"sub":"j"})", R"({"exp":9,"iat":9,"nbf":9,"auth_time":9,"aud":"x"})",
         R"({"sub":"j"})"},
        {"updated_at is the profile's", R"({"updated_at":1})", R"({"updated_at":2})", R"({"updated_at":2})"},
        {"email and its mark together", R"({"email":"a","email_verified":true})",
         R"({"email":"b","email_verified":false})", R"({"email":"b","email_verified":false})"},
        {"nothing in UserInfo", R"({"a":1})", "{}", R"({"a":1})"},
        {"nothing in the ID token", "{}", R"({"a":1})", R"({"a":1})"},
    };
    for (const auto &c : cases) {
        const Json id_token = parsed(c.id_token), userinfo = parsed(c.userinfo);
        const Json merged = merge_claims(id_token, userinfo);
        if (!json_equal(merged.get(), parsed(c.expected).get())) {
            fail_msg("%s: found %s", c.name, merged.dump().c_str());
        }
        // The two that went in are what they were.
        assert_true(json_equal(id_token.get(), parsed(c.id_token).get()));
        assert_true(json_equal(userinfo.get(), parsed(c.userinfo).get()));
    }
}

void without_userinfo_the_id_token_is_all(void **) {
    const Json id_token = parsed(R"({"sub":"j","a":1})");
    assert_true(json_equal(merge_claims(id_token, Json()).get(), id_token.get()));
    Json merged = merge_claims(id_token, Json());
    json_object_del(merged.get(), "a");
    assert_true(id_token.has("a"));  // a copy, not another handle
    assert_true(json_equal(merge_claims(Json(), parsed(R"({"a":1})")).get(), parsed(R"({"a":1})").get()));
}

void table_has_the_claims_that_are_kept(void **) {
    const Json claims = parsed(R"({"sub":"j","b":["x","y"],"B":true,"a":null,"nested":{"x":"l\n"},"é":"t\n"})");
    using Table = std::vector<std::pair<std::string, std::string>>;
    const struct {
        const char *name;
        bool all;
        std::vector<std::string> kept;
        Table expected;
    } cases[] = {
        {"all, sorted by bytes",
         true,
         {},
         {{"B", "true"}, {"a", ""}, {"b", "x,y"}, {"nested", R"({"x":"l\n"})"}, {"sub", "j"}, {"é", "t "}}},
        {"all, whatever is named",
         true,
         {"sub"},
         {{"B", "true"}, {"a", ""}, {"b", "x,y"}, {"nested", R"({"x":"l\n"})"}, {"sub", "j"}, {"é", "t "}}},
        {"none", false, {}, {}},
        {"two, sorted", false, {"sub", "b"}, {{"b", "x,y"}, {"sub", "j"}}},
        {"named twice", false, {"sub", "sub"}, {{"sub", "j"}}},
        {"absent ones are left out", false, {"email", "sub"}, {{"sub", "j"}}},
        {"null is there", false, {"a"}, {{"a", ""}}},
        {"only the top level", false, {"nested.x", "x"}, {}},
    };
    for (const auto &c : cases) {
        Keep keep;
        keep.all_claims = c.all;
        keep.claims = c.kept;
        if (claim_table(claims, keep) != c.expected) {
            fail_msg("%s", c.name);
        }
        assert_true(claim_table(Json(), keep).empty());
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(claim_becomes_text),
        cmocka_unit_test(claim_that_no_parser_gives_becomes_text_too),
        cmocka_unit_test(control_characters_never_come_through),
        cmocka_unit_test(path_leads_to_a_claim),
        cmocka_unit_test(long_paths_come_to_an_end),
        cmocka_unit_test(userinfo_goes_over_the_id_token_but_for_its_own),
        cmocka_unit_test(without_userinfo_the_id_token_is_all),
        cmocka_unit_test(table_has_the_claims_that_are_kept),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
