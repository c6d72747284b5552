// Tickets as bytes: a login in flight, the return target.
#include <functional>
#include <string>
#include <utility>
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

Ticket example_ticket() {
    Ticket ticket;
    ticket.provider = std::string("\0provider binding", 16);
    ticket.nonce = std::string(43, 'n');
    ticket.verifier = std::string(43, 'v');
    ticket.redirect_uri = "https://app.example.com/oidc_callback";
    ticket.target = "/a%20b//c?d=e&f=%C3%A9#";
    ticket.created = 1700000000;
    ticket.max_age = 300;
    ticket.acr_values = {"urn:mace:incommon:iap:silver", "2"};
    ticket.retried = true;
    return ticket;
}

bool same(const Ticket &a, const Ticket &b) {
    return a.provider == b.provider && a.nonce == b.nonce && a.verifier == b.verifier &&
           a.redirect_uri == b.redirect_uri && a.target == b.target && a.origin == b.origin && a.created == b.created &&
           a.max_age == b.max_age && a.acr_values == b.acr_values && a.retried == b.retried;
}

using Change = std::function<void(Ticket &)>;

void ticket_comes_back_as_it_was(void **) {
    const std::pair<const char *, Change> cases[] = {
        {"as it is", [](Ticket &) {}},
        {"first try", [](Ticket &t) { t.retried = false; }},
        {"no max_age", [](Ticket &t) { t.max_age = -1; }},
        {"max_age 0", [](Ticket &t) { t.max_age = 0; }},
        {"far future", [](Ticket &t) { t.created = t.max_age = INT64_MAX; }},
        {"no acr_values", [](Ticket &t) { t.acr_values.clear(); }},
        {"an empty acr value", [](Ticket &t) { t.acr_values = {""}; }},
        {"as many acr_values as may be", [](Ticket &t) { t.acr_values.assign(16, "loa"); }},
        {"longest target", [](Ticket &t) { t.target.resize(1200, 'x'); }},
        {"longest redirect_uri", [](Ticket &t) { t.redirect_uri.resize(2048, 'x'); }},
        {"raw UTF-8 in the target", [](Ticket &t) { t.target = "/\xc3\xa9"; }},
        {"target that looks like a host", [](Ticket &t) { t.target = "//host/x"; }},
        {"a target on another host", [](Ticket &t) { t.origin = "https://shop.example.com:8443"; }},
        {"a target on another host, first try",
         [](Ticket &t) {
             t.origin = "http://shop.example.com";
             t.retried = false;
         }},
    };
    for (const auto &[name, change] : cases) {
        Ticket ticket = example_ticket();
        change(ticket);
        const auto back = read_ticket(Exact(write_ticket(ticket)).view());
        if (!back || !same(ticket, *back)) {
            fail_msg("%s", name);
        }
    }
}

void ticket_is_small(void **) {
    const Ticket ticket = example_ticket();
    const size_t texts = 16 + 43 + 43 + ticket.redirect_uri.size() + ticket.target.size() + 28 + 1;
    assert_true(write_ticket(ticket).size() <= texts + 30);
}

void unsound_tickets_are_not_written(void **) {
    const std::pair<const char *, Change> cases[] = {
        {"no target", [](Ticket &t) { t.target.clear(); }},
        {"absolute target", [](Ticket &t) { t.target = "https://evil.example/"; }},
        {"target with a line end", [](Ticket &t) { t.target = "/a\r\nSet-Cookie: x"; }},
        {"target with a NUL", [](Ticket &t) { t.target = std::string("/a\0b", 4); }},
        {"target with DEL", [](Ticket &t) { t.target = "/\x7f"; }},
        {"target too long", [](Ticket &t) { t.target.resize(1201, 'x'); }},
        {"origin with a path", [](Ticket &t) { t.origin = "https://shop.example.com/"; }},
        {"origin that is none", [](Ticket &t) { t.origin = "shop.example.com"; }},
        {"origin with the scheme's own port", [](Ticket &t) { t.origin = "https://shop.example.com:443"; }},
        {"origin too long", [](Ticket &t) { t.origin = "https://" + std::string(300, 'x'); }},
        {"redirect_uri too long", [](Ticket &t) { t.redirect_uri.resize(2049, 'x'); }},
        {"redirect_uri far too long", [](Ticket &t) { t.redirect_uri.resize(70000, 'x'); }},
        {"nonce too long", [](Ticket &t) { t.nonce.resize(129, 'x'); }},
        {"nonce whose length would wrap", [](Ticket &t) { t.nonce.resize(256 + 43, 'x'); }},
        {"verifier too long", [](Ticket &t) { t.verifier.resize(129, 'x'); }},
        {"provider too long", [](Ticket &t) { t.provider.resize(129, 'x'); }},
        {"too many acr_values", [](Ticket &t) { t.acr_values.assign(17, "x"); }},
        {"acr_values whose count would wrap", [](Ticket &t) { t.acr_values.assign(257, ""); }},
        {"an acr value too long", [](Ticket &t) { t.acr_values = {std::string(256, 'x')}; }},
        {"created before 1970", [](Ticket &t) { t.created = -1; }},
        {"max_age below -1", [](Ticket &t) { t.max_age = -2; }},
        {"all together over 4 KB",
         [](Ticket &t) {
             t.redirect_uri.resize(2048, 'x');
             t.acr_values.assign(16, std::string(128, 'x'));
         }},
    };
    for (const auto &[name, change] : cases) {
        Ticket ticket = example_ticket();
        change(ticket);
        if (!write_ticket(ticket).empty()) {
            fail_msg("%s", name);
        }
    }
}

// What opens is what would be written: there is one form of each ticket, and no unsound one gets in.
void assert_refused_or_canonical(const std::string &record) {
    const auto ticket = read_ticket(Exact(record).view());
    assert_true(!ticket || write_ticket(*ticket) == record);
}

void truncated_and_longer_tickets_are_refused(void **) {
    for (const bool with_acr : {true, false}) {
        Ticket ticket = example_ticket();
        ticket.acr_values.resize(with_acr ? 2 : 0);
        const std::string record = write_ticket(ticket);
        for (size_t size = 0; size < record.size(); size++) {
            assert_false(read_ticket(Exact(record.substr(0, size)).view()).has_value());
        }
        assert_false(read_ticket(record + '\0').has_value());
        assert_false(read_ticket(record + record).has_value());
    }
}

void damaged_tickets_are_harmless(void **) {
    const std::string record = write_ticket(example_ticket());
    for (size_t i = 0; i < record.size(); i++) {
        for (int value = 0; value < 256; value++) {
            std::string bad = record;
            bad[i] = static_cast<char>(value);
            assert_refused_or_canonical(bad);
        }
    }
}

void hostile_tickets_are_refused(void **) {
    const std::string record = write_ticket(example_ticket());
    const size_t target = record.find("/a%20b");
    const auto with = [&](size_t at, std::string_view text) {
        std::string bad = record;
        return bad.replace(at, text.size(), text);
    };
    const std::pair<const char *, std::string> cases[] = {
        {"empty", ""},
        {"no format", with(0, std::string_view("\0", 1))},
        {"a later format", with(0, "\x02")},
        {"an unknown flag", with(1, "\x04")},
        {"an origin that is not there", with(1, "\x03")},
        {"an empty origin", with(1, "\x03") + std::string(2, '\0')},
        {"created before 1970", with(2, "\xff")},
        {"max_age below -1", with(10, "\x80")},
        {"target no path", with(target, "h")},
        {"target with a line end", with(target + 1, "\n")},
        {"a length beyond the end", with(target - 2, "\xff\xff")},
        {"only ones", std::string(4096, '\xff')},
        {"format and zeros", '\1' + std::string(300, '\0')},
        {"over 4 KB", record + std::string(4096, 'x')},
    };
    for (const auto &[name, bad] : cases) {
        if (read_ticket(Exact(bad).view())) {
            fail_msg("%s", name);
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(ticket_comes_back_as_it_was),     cmocka_unit_test(ticket_is_small),
        cmocka_unit_test(unsound_tickets_are_not_written), cmocka_unit_test(truncated_and_longer_tickets_are_refused),
        cmocka_unit_test(damaged_tickets_are_harmless),    cmocka_unit_test(hostile_tickets_are_refused),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
