// Streamlit's secrets.toml: which entries it comes to, what is warned of, what is refused.
#include <string>

#include "oidc/secrets.hpp"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
}

using namespace oidc;

namespace {

const std::string shared = R"([auth]
redirect_uri = "https://a.example/house/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
)";
const std::string client = R"(client_id = "c"
client_secret = "s"
server_metadata_url = "https://idp.example/.well-known/openid-configuration"
)";

Secrets taken(const std::string &file) {
    Secrets secrets = read_secrets(file);
    if (secrets.problem) {
        fail_msg("line %u: %s", secrets.problem->line, secrets.problem->text.c_str());
    }
    return secrets;
}

std::string warnings(const Secrets &secrets) {
    std::string text;
    for (const SecretsNote &note : secrets.warnings) {
        text += std::to_string(note.line) + " " + note.text + "\n";
    }
    return text;
}

void one_without_a_name(void **) {
    const Secrets secrets = taken(shared + client);
    assert_int_equal(secrets.entries.size(), 1);
    const SecretsEntry &entry = secrets.entries[0];
    assert_string_equal(entry.name.c_str(), "default");
    assert_string_equal(entry.client_id.c_str(), "c");
    assert_string_equal(entry.client_secret.c_str(), "s");
    assert_string_equal(entry.redirect_uri.c_str(), "https://a.example/house/oauth2callback");
    assert_string_equal(entry.base_path().c_str(), "/house");
    assert_string_equal(entry.issuer.c_str(), "https://idp.example");
    assert_string_equal(entry.scope.c_str(), "openid email profile");
    assert_int_equal(entry.arguments.size(), 1);
    assert_string_equal(entry.arguments[0].first.c_str(), "prompt");
    assert_string_equal(entry.arguments[0].second.c_str(), "select_account");
    assert_false(entry.expose_id || entry.expose_access || entry.pkce);
    assert_string_equal(warnings(secrets).c_str(), "");
}

void several_with_names(void **) {
    const Secrets secrets = taken(shared + "[auth.google]\n" + client + "[auth.ms-1]\n" + client +
                                  "redirect_uri = \"https://b.example/oauth2callback\"\n"
                                  "cookie_secret = \"fedcba9876543210fedcba9876543210\"\n");
    assert_int_equal(secrets.entries.size(), 2);
    assert_string_equal(secrets.entries[0].name.c_str(), "google");
    assert_string_equal(secrets.entries[0].redirect_uri.c_str(), "https://a.example/house/oauth2callback");
    assert_string_equal(secrets.entries[1].name.c_str(), "ms-1");
    assert_string_equal(secrets.entries[1].redirect_uri.c_str(), "https://b.example/oauth2callback");
    assert_string_equal(secrets.entries[1].base_path().c_str(), "");
    // Streamlit itself signs with the one of [auth], whatever an entry says.
    assert_string_equal(secrets.entries[1].cookie_secret.c_str(), "fedcba9876543210fedcba9876543210");
    assert_string_equal(secrets.entries[1].shared_secret.c_str(), "0123456789abcdef0123456789abcdef");
}

void default_beside_names(void **) {
    Secrets secrets = taken(shared + client + "[auth.google]\n" + client);
    assert_int_equal(secrets.entries.size(), 2);
    assert_string_equal(secrets.entries[1].name.c_str(), "default");
    // [auth.default] wins over the keys of [auth].
    secrets = taken(shared + client + "[auth.default]\n" + client);
    assert_int_equal(secrets.entries.size(), 1);
    assert_string_equal(warnings(secrets).c_str(),
                        "4 \"client_id\" of [auth] is not used\n"
                        "5 \"client_secret\" of [auth] is not used\n"
                        "6 \"server_metadata_url\" of [auth] is not used\n");
}

void arguments(void **) {
    const Secrets secrets = taken(shared + "[auth.x]\n" + client + R"(
client_kwargs = { scope = "profile", prompt = "login", hd = "a.example", max_age = 300, response_mode = "form_post", token_endpoint_auth_method = "client_secret_post", code_challenge_method = "S256", verify = "no", deep = { a = 1 } }
authorize_params = { audience = "https://api.example" }
)");
    const SecretsEntry &entry = secrets.entries[0];
    assert_string_equal(entry.scope.c_str(), "openid profile");
    assert_string_equal(entry.client_auth_method.c_str(), "client_secret_post");
    assert_string_equal(entry.response_mode.c_str(), "form_post");
    assert_true(entry.pkce);
    assert_string_equal(form_encode(entry.arguments).c_str(),
                        "prompt=login&hd=a.example&max_age=300&audience=https%3A%2F%2Fapi.example");
    assert_string_equal(warnings(secrets).c_str(),
                        "9 \"deep\" of \"client_kwargs\" is not used: it is no string\n"
                        "9 \"verify\" of \"client_kwargs\" is not used\n");
}

void tokens_and_endpoints(void **) {
    Secrets secrets =
        taken(shared + "expose_tokens = \"id\"\n[auth.x]\n" + client +
              "authorize_url = \"https://idp.example/a\"\naccess_token_url = \"https://idp.example/t\"\n");
    assert_true(secrets.entries[0].expose_id);
    assert_false(secrets.entries[0].expose_access);
    assert_string_equal(secrets.entries[0].authorize_url.c_str(), "https://idp.example/a");
    assert_string_equal(secrets.entries[0].access_token_url.c_str(), "https://idp.example/t");
    assert_string_equal(warnings(secrets).c_str(), "");
    secrets = taken(shared + client + "expose_tokens = [\"access\", \"id\"]\n");
    assert_true(secrets.entries[0].expose_id && secrets.entries[0].expose_access);
}

// Whatever the file holds, one problem with a line or sound entries.
void refused(void **) {
    const std::string cases[] = {"",
                                 "x",
                                 "[auth]",
                                 "[auth]\nx = {}",
                                 shared,
                                 shared + "[auth.a_b]\n" + client,
                                 shared + client + "expose_tokens = \"all\"",
                                 "auth = 1",
                                 std::string("\0", 1)};
    for (const std::string &file : cases) {
        const Secrets secrets = read_secrets(file);
        if (!secrets.problem || secrets.problem->text.empty()) {
            fail_msg("taken: %s", file.c_str());
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(one_without_a_name),   cmocka_unit_test(several_with_names),
        cmocka_unit_test(default_beside_names), cmocka_unit_test(arguments),
        cmocka_unit_test(tokens_and_endpoints), cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
