// Sessions and tickets as values and as bytes. A session is read in place: a fixed head for the decision, then a flat
// table of claims.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oidc {

enum class Field { id_token, access_token, refresh_token, sub, sid, state, claims_json, userinfo, count };
constexpr size_t field_count = static_cast<size_t>(Field::count);

// The first bytes of a session, in the machine's own order. All times are seconds since 1970.
struct SessionHead {
    uint32_t format = 0;    // format_now, or one of the two before
    uint32_t size = 0;      // of the whole record
    uint64_t revision = 0;  // another one after every save: compare-and-set
    int64_t signed_in = 0;
    int64_t ends = 0;               // session_timeout: since login or last refresh
    int64_t ends_at_last = 0;       // session_max_age: since login; 0 = never
    int64_t last_used = 0;          // for the idle life
    int64_t access_token_ends = 0;  // 0 = unknown or no token
    int64_t id_token_ends = 0;
    int64_t claims_as_of = 0;        // when the claims were last fetched
    int64_t auth_time = 0;           // 0 = the provider did not say
    unsigned char binding[16] = {};  // Client::binding()
    uint32_t claim_count = 0;
    uint32_t flags = 0;
    struct {
        uint32_t offset = 0, size = 0;
    } fields[field_count];
};
constexpr uint32_t session_format = 1;
// Under this name among the claims, where no claim of a provider's is looked for: session_state of the login.
constexpr const char *session_state_key = "\x03session_state";

struct Session {
    SessionHead head;  // fields, claim_count and size are filled by write_session
    std::array<std::string, field_count> fields;
    std::vector<std::pair<std::string, std::string>> claims;  // header-safe texts

    std::string &operator[](Field field) { return fields[static_cast<size_t>(field)]; }
    const std::string &operator[](Field field) const { return fields[static_cast<size_t>(field)]; }
};

// Head, fields, then the table (name offset, name size, value offset, value size; sorted by name) and its texts.
std::string write_session(const Session &session);

// A session read in place; the bytes must outlive it. Every offset is checked when it is followed.
class SessionView {
public:
    // Nothing when the head is not that of a readable format or the size does not fit.
    static std::optional<SessionView> over(std::string_view record);
    const SessionHead &head() const { return head_; }
    std::string_view field(Field field) const;
    std::optional<std::string_view> claim(std::string_view name) const;  // binary search
    std::pair<std::string_view, std::string_view> claim_at(uint32_t index) const;
    Session session() const;  // an owning copy

private:
    SessionHead head_;
    std::string_view record_;
    std::string_view part(uint32_t offset, uint32_t size) const;
};

// When its own lives end it: session_timeout or session_max_age, whichever is sooner.
int64_t ends_at(const SessionHead &head);
// Over at `now`, by its own lives: session_timeout, session_max_age, and idle_timeout (0 = off) since last_used.
bool is_over(const SessionHead &head, int64_t now, int64_t idle_timeout);

// A login in flight: all that the callback needs, sealed into a cookie named after `state`.
struct Ticket {
    std::string provider;         // Client::binding(), 16 bytes
    std::string nonce, verifier;  // 43 characters
    std::string redirect_uri;     // as sent: the token request repeats it
    std::string target;           // request target to return to, begins with '/'
    std::string origin;           // of the target, where that is another host than the redirect_uri's
    int64_t created = 0;
    int64_t max_age = -1;                 // as sent
    std::vector<std::string> acr_values;  // as sent by a step-up
    bool retried = false;                 // this login is itself the fresh one after login_required: no third
};
// Nothing (an empty text) for a ticket that read_ticket would refuse: too long, or a target that is no path.
std::string write_ticket(const Ticket &ticket);
std::optional<Ticket> read_ticket(std::string_view record);  // strict and bounded

}  // namespace oidc
