// Verdicts about access tokens: good ones in the worker, the provider's answers to introspection in shared memory too.
// Each is known by the token, the provider, its keys, and the audiences and type rule it was held against: another of
// these is another question, and new keys leave nothing to find.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "../oidc/text.hpp"
#include "ngx.hpp"

namespace auth_oidc {

// Of one worker: session records by the whole key, so that no two tokens can be taken for one. Bounded in bytes.
class WorkerTokens {
public:
    // Null when it is not there or its time is over.
    std::shared_ptr<const std::string> find(const std::string &key, int64_t now);
    std::shared_ptr<const std::string> add(const std::string &key, std::string record, int64_t ends);

private:
    struct Entry {
        std::string key;
        std::shared_ptr<const std::string> record;
        int64_t ends;
        size_t bytes() const { return 2 * key.size() + record->size() + 200; }
    };
    using Entries = std::list<Entry>;  // the newest first
    void drop(Entries::iterator entry);
    Entries entries_;
    std::unordered_map<std::string_view, Entries::iterator> index_;
    size_t bytes_ = 0;
};

// Of the host: the zone "oidc_tokens" of fixed size. Text is a session record, or for a refusal its rule and text.
class SharedTokens {
public:
    explicit SharedTokens(ngx_conf_t *cf);
    SharedTokens(const SharedTokens &) = delete;
    SharedTokens &operator=(const SharedTokens &) = delete;

    struct Answer {
        bool good;
        std::string text;
        int64_t ends;
    };
    std::optional<Answer> find(const oidc::Digest &key, int64_t now) const;
    // False: it is too large for the zone.
    bool put(const oidc::Digest &key, const Answer &answer, int64_t now) const;

private:
    struct Zone;
    class Lock;
    static ngx_int_t init(ngx_shm_zone_t *shared, void *old);
    Zone *zone_;
};

}  // namespace auth_oidc
