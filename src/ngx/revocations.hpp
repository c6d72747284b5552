// Sessions that were signed out but whose cookie may still come: cookie sessions have no record that could go.
#pragma once

#include <vector>

#include "../oidc/cookie_record.hpp"
#include "alarm.hpp"
#include "revocation_list.hpp"
#include "store.hpp"

namespace auth_oidc {

RevokedKey revoked_key(const unsigned char (&bytes)[16]);
// Milliseconds since 1970, as this worker's clock shows.
int64_t now_in_milliseconds();

struct RevocationOptions {
    ngx_shm_zone_t *zone = nullptr;
    std::string state;                 // a file, or empty
    std::vector<std::string> secrets;  // that seal it
};

// A list in shared memory, and perhaps in a file that outlives it: written by whoever changed it, within a second.
class Revocations {
public:
    explicit Revocations(const RevocationOptions &options);
    Revocations(const Revocations &) = delete;
    Revocations &operator=(const Revocations &) = delete;

    bool has(const oidc::CookieHead &head) const;
    // All that began up to now under that key, until the last of them is over.
    void add(const RevokedKey &key, const StoreCall &call, int64_t longest_life);
    // The worker ends: what is not written yet is written now.
    void leave();

private:
    class Lock;
    static ngx_int_t init(ngx_shm_zone_t *zone, void *old);
    static void on_alarm(void *self);
    bool begin_writing(std::string &text);
    void write();

    ngx_shm_zone_t *zone_;
    const std::string state_;
    const std::vector<std::string> secrets_;
    Alarm alarm_;
};

// A sealed text in a file, replaced as a whole. Nothing: there is none, or it is damaged (logged).
std::optional<std::string> read_sealed(const std::string &path, const std::vector<std::string> &secrets,
                                       ngx_log_t *log);
bool write_sealed(const std::string &path, const std::vector<std::string> &secrets, std::string_view text);

}  // namespace auth_oidc
