// The provider is asked about tokens that say nothing themselves (RFC 7662): one call at a time for a token over all
// workers. A call belongs to the worker and runs to its end, whoever waits.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "../oidc/access_token.hpp"
#include "bearer.hpp"
#include "lease.hpp"
#include "token_cache.hpp"

namespace auth_oidc {

struct IntrospectionQuestion {
    Provider &provider;
    std::string_view token;
    const oidc::AccessTokenRules &rules;
    const oidc::ProviderData &data;
    const oidc::Digest &key;  // under which the answer is kept
};

enum class Asked {
    started,  // the waiter will be woken when the answer is kept, or could not be had
    running,  // another worker asks: look again in a while
    failed    // it could not be had a moment ago, or too many are asked about
};

class Introspector {
public:
    Introspector(ngx_conf_t *cf, const Leases &leases);
    ~Introspector();
    Introspector(const Introspector &) = delete;
    Introspector &operator=(const Introspector &) = delete;

    Asked ask(const IntrospectionQuestion &question, Waiter &waiter);
    ngx_uint_t retry_after(const oidc::Digest &key) const { return leases_.retry_after(lease_of(key)); }
    // The worker ends.
    void drop();

    SharedTokens answers;

private:
    struct Call;
    static oidc::Digest lease_of(const oidc::Digest &key);
    bool keep(const Call &call, const oidc::http::Reply &reply) const;
    void finish(Call &call, const oidc::http::Reply &reply);

    const Leases &leases_;
    std::unordered_map<std::string, std::unique_ptr<Call>> calls_;
};

}  // namespace auth_oidc
