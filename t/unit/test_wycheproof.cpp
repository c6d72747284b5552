// The vectors of project Wycheproof for JWS and JWK, where the environment variable WYCHEPROOF names the folder with
// json_web_signature_test.json and json_web_key_test.json. Their payloads are mostly no JSON: verify_payload judges
// them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "exact.hpp"
#include "oidc/jose.hpp"
#include "oidc/text.hpp"

extern "C" {
#include <cmocka.h>
}

using namespace oidc;

namespace {

struct Exception {
    int64_t id;
    const char *reason;
};
using Exceptions = std::vector<Exception>;

// Valid by the vectors, refused by design.
const Exceptions stricter = {
    {346, "the key's alg is PS256, the token's PS384: the alg of a key is obeyed"},
    {350, "the same, with key_ops"},
    {347, "the key's alg is ES521, which is no algorithm: such a key is left out"},
    {351, "the same, with key_ops"},
    {372, "a question mark inside the header's base64url"},
    {373, "a question mark inside the payload's base64url"},
};

// Invalid because of the symmetric key's set or alg. Here a secret is one string of the configuration and has neither;
// what remains to be tested is that no symmetric key is ever taken from a set, so no secret is offered.
const Exceptions without_secret = {
    {1, "symmetric and asymmetric keys in one set"},
    {4, "two symmetric keys with one kid"},
    {25, "the symmetric key's alg is A256GCM"},
    {26, "the symmetric key's alg is A256KW"},
};

// Invalid by the vectors, yet each is byte for byte a valid token of its group: the padding it is named after is not in
// the file. That they are the same is checked; padding is refused in test_jose.cpp.
const Exceptions mislabelled = {
    {367, "the bytes of test 357, which is valid"},
    {370, "the bytes of test 357, which is valid"},
};

struct File {
    const char *name;
    Exceptions stricter, without_secret, mislabelled;
};

bool is_among(const Exceptions &exceptions, int64_t id) {
    for (const auto &exception : exceptions) {
        if (exception.id == id) {
            print_message("# %d: %s\n", static_cast<int>(id), exception.reason);
            return true;
        }
    }
    return false;
}

std::string folder() {
    const char *name = std::getenv("WYCHEPROOF");
    return name ? name : "";
}

Json read(const char *file) {
    std::ifstream stream(folder() + "/" + file, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    auto json = parse_object(text, file, 32);
    if (!json) {
        fail_msg("%s", json.error().text.c_str());
    }
    return *json;
}

std::vector<Json> items(const Json &array) {
    std::vector<Json> out;
    for (size_t i = 0; i < json_array_size(array.get()); ++i) {
        out.push_back(Json::sharing(json_array_get(array.get(), i)));
    }
    return out;
}

// The key or key set of a group as a set.
Json set_of(const Json &group) {
    const Json key = group.member(group.has("public") ? "public" : "private");
    if (key.has("keys")) {
        return key;
    }
    Json keys = Json::owning(json_array());
    json_array_append(keys.get(), key.get());
    Json set;
    set.set("keys", keys);
    return set;
}

// The symmetric key that the token names, as the secret that would be configured.
std::string secret_of(const Json &set, const std::string &token) {
    const auto header = parse_object(base64url_decode(token.substr(0, token.find('.'))).value_or(""), "header");
    const std::string kid = header ? header->string("kid").value_or("") : "";
    for (const Json &key : items(set.member("keys"))) {
        if (key.string("kty") == "oct" && key.string("kid").value_or("") == kid) {
            return base64url_decode(key.string("k").value_or("")).value_or("");
        }
    }
    return "";
}

struct Count {
    int accepted = 0, refused = 0, by_design = 0, mislabelled = 0;
};

// The tests of one file, group by group.
class Judge {
public:
    explicit Judge(const File &file) : file_(file) {}

    void begin_group(const Json &group) {
        set_ = set_of(group);
        valid_.clear();
    }
    void judge(const Json &test) {
        const auto id = test.time("tcId").value_or(-1);
        const std::string token = test.string("jws").value_or("");
        const bool accepted = verifies(id, token);
        const bool valid = test.string("result") == "valid";
        const bool by_design = valid && is_among(file_.stricter, id);
        const bool twin = !valid && is_among(file_.mislabelled, id) && valid_.count(token) > 0;
        if (accepted != ((valid && !by_design) || twin)) {
            fail_msg("test %d (%s): %s", static_cast<int>(id), test.string("comment").value_or("").c_str(),
                     accepted ? "accepted" : "refused");
        }
        if (valid) {
            valid_.insert(token);
        }
        (by_design ? count.by_design : twin ? count.mislabelled : accepted ? count.accepted : count.refused)++;
    }

    Count count;

private:
    bool verifies(int64_t id, const std::string &token) const {
        const auto keys = KeySet::parse(set_.dump());
        assert_true(bool(keys));
        const std::string secret = is_among(file_.without_secret, id) ? "" : secret_of(set_, token);
        VerifyRules rules;
        rules.algs = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
                      "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"};
        rules.secret = secret;
        const Exact exact(token);
        return bool(verify_payload(exact.view(), *keys, rules));
    }

    const File &file_;
    Json set_;
    std::set<std::string> valid_;  // tokens of the group that are said to be valid
};

Count judge_file(const File &file) {
    if (folder().empty()) {
        print_message("# WYCHEPROOF names no folder: skipped\n");
        skip();
    }
    const Json json = read(file.name);
    Judge judge(file);
    for (const Json &group : items(json.member("testGroups"))) {
        judge.begin_group(group);
        for (const Json &test : items(group.member("tests"))) {
            judge.judge(test);
        }
    }
    print_message("# %s: %d accepted, %d refused, %d refused by design, %d mislabelled\n", file.name,
                  judge.count.accepted, judge.count.refused, judge.count.by_design, judge.count.mislabelled);
    return judge.count;
}

void signatures(void **) {
    const Count count = judge_file({"json_web_signature_test.json", stricter, {}, mislabelled});
    assert_true(count.accepted >= 35 && count.refused >= 350);
    assert_int_equal(count.by_design, stricter.size());
    assert_int_equal(count.mislabelled, mislabelled.size());
}

void keys(void **) {
    const Count count = judge_file({"json_web_key_test.json", {}, without_secret, {}});
    assert_true(count.accepted >= 5 && count.refused >= 20);
    assert_int_equal(count.by_design, 0);
}

}  // namespace

int main() {
    if (folder().empty()) {
        std::puts("1..0 # SKIP no test vectors: WYCHEPROOF names no folder");
        return 0;
    }
    const CMUnitTest tests[] = {cmocka_unit_test(signatures), cmocka_unit_test(keys)};
    return cmocka_run_group_tests_name("wycheproof", tests, nullptr, nullptr);
}
