// Sealing: tickets with a key a day, sessions.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "oidc/seal.hpp"
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

const std::string secret = "0123456789abcdef0123456789abcdef";
const std::string other_secret = "ffffffffffffffff0123456789abcdef";

std::string unhex(std::string_view text) {
    std::string out;
    for (size_t i = 0; i + 1 < text.size(); i += 2) {
        out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
    }
    return out;
}

std::string hmac(const std::string &key, const std::string &data) {
    unsigned char out[32];
    unsigned size = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), octets(data), data.size(), out, &size);
    return std::string(bytes(out, size));
}

// RFC 5869 section 2 word by word: what hkdf() is measured against, once it gives the vectors of the RFC itself.
std::string reference(const std::string &secret, const std::string &salt, const std::string &info, size_t length) {
    const std::string key = hmac(salt.empty() ? std::string(32, '\0') : salt, secret);
    std::string out, block;
    for (char i = 1; out.size() < length; i++) {
        block = hmac(key, block + info + i);
        out += block;
    }
    return out.substr(0, length);
}

void reference_gives_rfc_5869_vectors(void **) {
    std::string ikm, salt, info;
    for (int i = 0; i < 80; i++) {
        ikm.push_back(static_cast<char>(i));
        salt.push_back(static_cast<char>(0x60 + i));
        info.push_back(static_cast<char>(0xb0 + i));
    }
    const struct {
        const char *name;
        std::string secret, salt, info;
        size_t length;
        const char *expected;
    } cases[] = {
        {"A.1", std::string(22, 0x0b), unhex("000102030405060708090a0b0c"), unhex("f0f1f2f3f4f5f6f7f8f9"), 42,
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
        {"A.2", ikm, salt, info, 82,
         "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f"
         "09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
        {"A.3", std::string(22, 0x0b), "", "", 42,
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    };
    for (const auto &c : cases) {
        if (reference(c.secret, c.salt, c.info, c.length) != unhex(c.expected)) {
            fail_msg("%s", c.name);
        }
    }
}

void hkdf_is_rfc_5869_with_empty_salt(void **) {
    assert_true(hkdf(std::string(22, 0x0b), "") ==
                unhex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"));
    const std::string secrets[] = {"", "x", secret, std::string(64, 'k'), std::string(65, 'k'), std::string(200, '\0')};
    const std::string labels[] = {"", "session", std::string("with\0nul", 8), std::string(300, 'l')};
    for (const std::string &s : secrets) {
        for (const std::string &label : labels) {
            assert_int_equal(hkdf(s, label).size(), 32);
            assert_true(hkdf(s, label) == reference(s, "", label, 32));
        }
    }
    assert_true(hkdf({}, {}) == reference("", "", "", 32));
}

SealKey key_of(const std::string &text) {
    return SealKey(hkdf(text, "test"));
}

void sealed_text_opens(void **) {
    const SealKey key = key_of(secret);
    for (const size_t size : {0, 1, 15, 16, 17, 600, 4000, 70000}) {
        for (const char *associated : {"", "NGX_OIDC_SESSION", "a somewhat longer associated text than one block"}) {
            const std::string plain(size, 'p');
            const std::string sealed = key.seal(plain, associated);
            assert_int_equal(sealed.size(), size + SealKey::overhead);
            const auto opened = key.open(sealed, associated);
            assert_true(opened && *opened == plain);
            std::vector<unsigned char> out(sealed.size());
            assert_int_equal(key.open_into(sealed, associated, out.data()), size);
            assert_true(bytes(out.data(), size) == plain);
        }
    }
}

// Opens by the documented layout alone; `with_head`: whether version and key id count as associated data.
bool opens_by_hand(const std::string &key, const std::string &sealed, std::string associated, bool with_head) {
    associated = (with_head ? sealed.substr(0, 5) : "") + associated;
    std::string plain(sealed.size(), '\0'), tag = sealed.substr(sealed.size() - 16);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    auto *out = reinterpret_cast<unsigned char *>(plain.data());
    int size = 0;
    EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), nullptr, octets(key), octets(sealed) + 5);
    EVP_DecryptUpdate(context, nullptr, &size, octets(associated), static_cast<int>(associated.size()));
    EVP_DecryptUpdate(context, out, &size, octets(sealed) + 17, static_cast<int>(sealed.size() - 33));
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag.data());
    const bool good = EVP_DecryptFinal_ex(context, out + size, &size) == 1;
    EVP_CIPHER_CTX_free(context);
    return good;
}

void layout_is_as_documented_and_head_is_authenticated(void **) {
    const std::string raw = hkdf(secret, "test");
    const std::string sealed = SealKey(raw).seal("plain text", "name");
    assert_int_equal(sealed[0], 1);
    assert_true(opens_by_hand(raw, sealed, "name", true));
    assert_false(opens_by_hand(raw, sealed, "name", false));
    assert_true(sealed.substr(1, 4) != raw.substr(0, 4));  // the key id says nothing about the key
}

void nonce_is_fresh_each_time(void **) {
    const SealKey key = key_of(secret);
    const std::string one = key.seal("same", ""), two = key.seal("same", "");
    assert_true(one.substr(0, 5) == two.substr(0, 5));
    assert_true(one.substr(5, 12) != two.substr(5, 12));
    assert_true(one.substr(17) != two.substr(17));
}

// Nothing opens, and nothing of the plain text is left in the caller's memory.
void assert_refused(const SealKey &key, std::string_view sealed, std::string_view associated, const char *what) {
    std::vector<unsigned char> out(sealed.size() + 1, 0);
    const long size = key.open_into(sealed, associated, out.data());
    if (size != -1 || key.open(sealed, associated)) {
        fail_msg("%s: opened", what);
    }
    if (bytes(out.data(), out.size()).find("secret") != std::string_view::npos) {
        fail_msg("%s: plain text left behind", what);
    }
}

void every_bit_counts(void **) {
    const SealKey key = key_of(secret);
    const std::string sealed = key.seal("the secret text", "name");
    for (size_t i = 0; i < sealed.size(); i++) {
        for (int bit = 0; bit < 8; bit++) {
            std::string bad = sealed;
            bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
            assert_refused(key, bad, "name", "bit flipped");
        }
    }
    assert_true(key.open(sealed, "name").has_value());  // a refusal spoils nothing
}

void every_truncation_and_extension_is_refused(void **) {
    const SealKey key = key_of(secret);
    const std::string sealed = key.seal("the secret text", "name");
    for (size_t size = 0; size < sealed.size(); size++) {
        const std::vector<char> exact(sealed.begin(), sealed.begin() + static_cast<long>(size));
        assert_refused(key, {exact.data(), size}, "name", "cut at the end");
        assert_refused(key, std::string_view(sealed).substr(sealed.size() - size), "name", "cut at the front");
    }
    assert_refused(key, sealed + '\0', "name", "longer");
    assert_refused(key, '\1' + sealed, "name", "longer in front");
}

void associated_data_must_be_the_same(void **) {
    const SealKey key = key_of(secret);
    const std::string sealed = key.seal("the secret text", "name");
    for (const std::string &wrong : {std::string(), std::string("nam"), std::string("name2"), std::string("Name"),
                                     std::string("name\0", 5), sealed.substr(0, 5) + "name"}) {
        assert_refused(key, sealed, wrong, wrong.c_str());
    }
    assert_refused(key, key.seal("the secret text", ""), "name", "sealed without any");
}

void another_key_opens_nothing_even_with_the_id_of_the_first(void **) {
    const SealKey key = key_of(secret), other = key_of(other_secret);
    std::string sealed = key.seal("the secret text", "");
    assert_refused(other, sealed, "", "other key");
    sealed.replace(1, 4, other.seal("", ""), 1, 4);
    assert_refused(other, sealed, "", "other key, its id");
}

template <class Make>
bool throws_invalid(Make make) {
    try {
        make();
    } catch (const std::invalid_argument &) {
        return true;
    }
    return false;
}

void keys_of_a_wrong_size_and_no_secrets_are_impossible(void **) {
    for (const size_t size : {0, 16, 31, 33, 64}) {
        assert_true(throws_invalid([&] { SealKey key(std::string(size, 'k')); }));
    }
    assert_true(throws_invalid([] { Sealer sealer({}, "session"); }));
}

void first_secret_seals_and_all_open(void **) {
    const Sealer before({secret}, "session"), after({other_secret, secret}, "session"), done({other_secret}, "session");
    const std::string old_text = before.seal("plain", "name"), new_text = after.seal("plain", "name");
    const struct {
        const char *name;
        const Sealer &sealer;
        const std::string &text;
        bool opens;
    } cases[] = {
        {"old text, old secret only", before, old_text, true},
        {"old text while both are there", after, old_text, true},
        {"old text when its secret is gone", done, old_text, false},
        {"new text, old secret only", before, new_text, false},
        {"new text while both are there", after, new_text, true},
        {"new text, new secret only", done, new_text, true},
    };
    for (const auto &c : cases) {
        const auto opened = c.sealer.open(c.text, "name");
        if (opened.has_value() != c.opens || (opened && *opened != "plain")) {
            fail_msg("%s", c.name);
        }
    }
    assert_int_equal(after.keys().size(), 2);
    assert_true(after.first().open(*base64url_decode(new_text), "name").has_value());
}

void purposes_are_apart(void **) {
    const Sealer sessions({secret}, "session"), pages({secret}, "logout");
    assert_false(pages.open(sessions.seal("plain", "name"), "name").has_value());
}

void text_must_be_base64url(void **) {
    const Sealer sealer({secret}, "session");
    const std::string text = sealer.seal("plain", "");
    assert_int_equal(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                     std::string::npos);
    for (const std::string &bad : {std::string(), text + "=", " " + text, text + "\n", text.substr(1), text + "A",
                                   "*" + text.substr(1), std::string("A")}) {
        assert_false(sealer.open(bad, "").has_value());
    }
    assert_true(sealer.open(text, "").has_value());
}

void daily_keys_open_today_and_tomorrow(void **) {
    constexpr int64_t midnight = 20000 * int64_t{86400};
    const struct {
        const char *name;
        int64_t sealed, opened;
        bool opens;
    } cases[] = {
        {"at once", midnight, midnight, true},
        {"at the end of the day", midnight, midnight + 86399, true},
        {"over midnight", midnight - 1, midnight, true},
        {"next day's last second", midnight, midnight + 2 * 86400 - 1, true},
        {"two days later", midnight, midnight + 2 * 86400, false},
        {"two days later by a second", midnight - 1, midnight + 86400, false},
        {"a week later", midnight, midnight + 7 * 86400, false},
        {"a clock set back a day", midnight, midnight - 1, false},
        {"after 2038", int64_t{5000000000}, int64_t{5000000600}, true},
    };
    for (const auto &c : cases) {
        DailySealer sealer({secret}, "ticket"), elsewhere({other_secret, secret}, "ticket");
        const std::string text = sealer.seal("plain", "name", c.sealed);
        if (sealer.open(text, "name", c.opened).has_value() != c.opens ||
            elsewhere.open(text, "name", c.opened).has_value() != c.opens || sealer.open(text, "other", c.opened)) {
            fail_msg("%s", c.name);
        }
    }
}

void each_day_has_a_key_of_its_own(void **) {
    DailySealer sealer({secret}, "ticket");
    const auto key_id = [&](int64_t now) { return base64url_decode(sealer.seal("", "", now))->substr(0, 5); };
    std::vector<std::string> ids;
    for (int64_t day = 0; day < 10; day++) {
        ids.push_back(key_id(day * 86400));
        assert_true(ids.back() == key_id(day * 86400 + 86399));
        assert_true(day == 0 || ids.back() != ids[static_cast<size_t>(day - 1)]);
    }
    assert_true(key_id(0) == ids[0]);  // derived, not random: other workers have the same
    assert_true(ids[0] != base64url_decode(Sealer({secret}, "ticket").seal("", ""))->substr(0, 5));
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(reference_gives_rfc_5869_vectors),
        cmocka_unit_test(hkdf_is_rfc_5869_with_empty_salt),
        cmocka_unit_test(sealed_text_opens),
        cmocka_unit_test(layout_is_as_documented_and_head_is_authenticated),
        cmocka_unit_test(nonce_is_fresh_each_time),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(every_truncation_and_extension_is_refused),
        cmocka_unit_test(associated_data_must_be_the_same),
        cmocka_unit_test(another_key_opens_nothing_even_with_the_id_of_the_first),
        cmocka_unit_test(keys_of_a_wrong_size_and_no_secrets_are_impossible),
        cmocka_unit_test(first_secret_seals_and_all_open),
        cmocka_unit_test(purposes_are_apart),
        cmocka_unit_test(text_must_be_base64url),
        cmocka_unit_test(daily_keys_open_today_and_tomorrow),
        cmocka_unit_test(each_day_has_a_key_of_its_own),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
