// What a refresh made of a cookie session: those who come with the old cookie get the new one, for five minutes.
#pragma once

#include "record_id.hpp"
#include "zone_arena.hpp"

#include "ngx.hpp"

namespace auth_oidc {

class Successors {
public:
    // Declares the zone. Throws std::runtime_error when nginx refuses.
    Successors(ngx_conf_t *cf, std::string_view name);
    Successors(const Successors &) = delete;
    Successors &operator=(const Successors &) = delete;

    // The cookie is sealed: nothing in here can be read.
    std::string find(const RecordId &former) const;
    // False: somebody was faster, whose result is the one that counts.
    bool add(const RecordId &former, std::string_view cookie) const;

private:
    class Lock;
    static ngx_int_t init(ngx_shm_zone_t *zone, void *old);
    ngx_shm_zone_t *zone_;
};

}  // namespace auth_oidc
