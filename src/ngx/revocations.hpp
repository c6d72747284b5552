// Sessions that were signed out but whose cookie may still come: cookie sessions have no record that could go.
#pragma once

#include "../oidc/cookie_record.hpp"
#include "revocation_list.hpp"
#include "store.hpp"

namespace auth_oidc {

struct RevocationOptions {
    ngx_str_t name{};
    size_t size = 0;
};

// A list in shared memory, one for each worker and configuration of the host.
class Revocations {
public:
    // Declares the zone. Throws std::runtime_error when nginx refuses.
    Revocations(ngx_conf_t *cf, const RevocationOptions &options);
    Revocations(const Revocations &) = delete;
    Revocations &operator=(const Revocations &) = delete;

    bool has(const oidc::CookieHead &head) const;
    // All that began up to now under that key, until the last of them is over.
    void add(const RevokedKey &key, const StoreCall &call, int64_t longest_life) const;

private:
    static ngx_int_t init(ngx_shm_zone_t *zone, void *old);
    class Lock;
    ngx_shm_zone_t *zone_;
};

// Milliseconds since 1970, as this worker's clock shows.
int64_t now_in_milliseconds();

}  // namespace auth_oidc
