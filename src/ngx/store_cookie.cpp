#include "store_cookie.hpp"

#include <algorithm>
#include <stdexcept>

#include "../oidc/chunks.hpp"
#include "../oidc/cookie_record.hpp"
#include "cookies.hpp"
#include "provider_conf.hpp"

namespace auth_oidc {
namespace {

using oidc::CookieHead;
using oidc::CookieRecord;
using oidc::Field;
using oidc::SessionHead;
using oidc::SessionView;

constexpr size_t max_sealed = oidc::base64url_decoded_size(oidc::max_chunked_text);
constexpr int max_successors = 16;

CookieStore &store_of(const StoreCall &call) {
    return *static_cast<CookieStore *>(call.store->data);
}

// Where a cookie is opened, without an allocation: nothing in here outlives the call of a store's function.
struct Scratch {
    unsigned char sealed[max_sealed], plain[max_sealed];
};
Scratch &scratch() {
    static Scratch one;
    return one;
}

// Every failure to open looks the same: nothing.
std::optional<CookieRecord> open(CookieStore &store, std::string_view cookie) {
    if (cookie.size() > oidc::max_chunked_text) {
        return std::nullopt;
    }
    const long size = oidc::base64url_decode_into(cookie, scratch().sealed);
    if (size < 0) {
        return std::nullopt;
    }
    const std::string_view sealed = oidc::bytes(scratch().sealed, static_cast<size_t>(size));
    for (const auto &key : store.provider->sealers->session.keys()) {
        const long opened = key->open_into(sealed, store.purpose(), scratch().plain);
        if (opened >= 0) {
            return oidc::read_cookie_record(oidc::bytes(scratch().plain, static_cast<size_t>(opened)));
        }
    }
    return std::nullopt;
}

// Under which name the result of a refresh of this session is kept.
RecordId successor_key(const CookieRecord &record, const SessionHead &head) {
    const auto session = SessionView::over(record.session);
    const std::string_view token = session ? session->field(Field::refresh_token) : std::string_view();
    std::string text = "refreshed " + std::string(oidc::bytes(head.binding, sizeof(head.binding)));
    if (token.empty()) {
        text += oidc::bytes(record.head.id, sizeof(record.head.id));
        text += std::to_string(head.revision);
    }
    return oidc::sha256(text.append(token));
}

// The session that the call's cookie holds, where it lives; or what a refresh has made of it.
struct Opened {
    explicit Opened(StoreCall &call) {
        read(call, call.cookie);
        const CookieStore &store = store_of(call);
        for (int i = 0; store.successors && i < max_successors && record && is_due(store, call.now); i++) {
            std::string next = store.successors->find(successor_key(*record, head));
            if (next.empty()) {
                break;
            }
            read(call, next);
            call.new_cookie = std::move(next);
        }
        if (record) {
            std::copy_n(record->head.id, call.id.size(), call.id.begin());
            call.has_id = true;
            call.head = head;
        }
    }

    std::optional<CookieRecord> record;
    SessionHead head;

private:
    void read(const StoreCall &call, std::string_view cookie) {
        CookieStore &store = store_of(call);
        record = open(store, cookie);
        if (!record || record->session.size() < sizeof(head)) {
            record.reset();
            return;
        }
        std::memcpy(&head, record->session.data(), sizeof(head));
        if (head.size != record->session.size() ||
            !oidc::equal_constant_time(oidc::bytes(head.binding, sizeof(head.binding)), call.binding) ||
            oidc::is_over(head, call.now, call.idle_timeout) ||
            (store.revocations && store.revocations->has(record->head))) {
            record.reset();
        }
    }

    bool is_due(const CookieStore &store, int64_t now) const {
        return oidc::refresh_due(head, store.provider->refresh, now) != oidc::Due::no;
    }
};

ngx_int_t answer(StoreCall *call, Stored stored) {
    call->answer = stored;
    return NGX_OK;
}

ngx_int_t find(StoreCall *call) {
    const Opened opened(*call);
    if (!opened.record) {
        return answer(call, Stored::absent);
    }
    const CookieHead &head = opened.record->head;
    if (auto &remote = store_of(*call).remote) {
        return remote->ask(call, {revoked_key(head.id), revoked_key(head.sid), revoked_key(head.sub)}, head.begun);
    }
    return answer(call, Stored::found);
}

ngx_int_t load(StoreCall *call) {
    const Opened opened(*call);
    if (!opened.record) {
        return answer(call, Stored::absent);
    }
    call->found = view(copy(call->pool, opened.record->session));
    return answer(call, Stored::found);
}

RevokedKey digest_key(const oidc::Digest &digest) {
    RevokedKey key;
    std::copy_n(digest.begin(), key.size(), key.begin());
    return key;
}

// What a sign-out by the provider will name.
void name_in(CookieHead &head, const SessionView &session) {
    const std::string_view binding = oidc::bytes(session.head().binding, sizeof(SessionHead::binding));
    const auto set = [&](unsigned char(&out)[16], std::string_view value) {
        const RevokedKey key = value.empty() ? RevokedKey{} : digest_key(index_key(binding, value));
        std::copy(key.begin(), key.end(), out);
    };
    set(head.sid, session.field(Field::sid));
    set(head.sub, session.field(Field::sub));
}

// False when it is too long for the cookies of a browser.
bool write(StoreCall &call, const CookieHead &head, const std::string &session) {
    CookieStore &store = store_of(call);
    const std::string plain = oidc::write_cookie_record(head, session);
    if (plain.size() + oidc::SealKey::overhead > max_sealed) {
        return false;
    }
    call.new_cookie = store.provider->sealers->session.seal(plain, store.purpose());
    return !oidc::split_chunks(call.new_cookie, chunk_room(*store.provider)).empty();
}

SessionView record_of(const StoreCall &call) {
    std::optional<SessionView> session = SessionView::over(call.record);
    if (!session) {
        throw std::invalid_argument("a session to be stored is no record");
    }
    return *session;
}

ngx_int_t create(StoreCall *call) {
    CookieHead head;
    const std::string id = oidc::random_bytes(sizeof(head.id));
    std::memcpy(head.id, id.data(), sizeof(head.id));
    head.begun = now_in_milliseconds();
    name_in(head, record_of(*call));
    return answer(call, write(*call, head, std::string(call->record)) ? Stored::found : Stored::too_large);
}

std::string with_head(std::string_view record, const SessionHead &head) {
    std::string text(record);
    std::memcpy(text.data(), &head, sizeof(head));
    return text;
}

ngx_int_t replace(StoreCall *call) {
    const Opened opened(*call);
    if (!opened.record) {
        return answer(call, Stored::absent);
    }
    if (opened.head.revision != call->revision) {
        return answer(call, Stored::conflict);
    }
    const RecordId former = successor_key(*opened.record, opened.head);
    const SessionView session = record_of(*call);
    CookieHead head = opened.record->head;
    name_in(head, session);
    SessionHead changed = session.head();
    changed.revision = call->revision + 1;
    if (!write(*call, head, with_head(call->record, changed))) {
        return answer(call, Stored::too_large);
    }
    const auto &successors = store_of(*call).successors;
    return answer(call, !successors || successors->add(former, call->new_cookie) ? Stored::found : Stored::conflict);
}

ngx_int_t touch(StoreCall *call) {
    const Opened opened(*call);
    if (!opened.record) {
        return answer(call, Stored::absent);
    }
    SessionHead head = opened.head;
    head.last_used = std::max(head.last_used, call->now);
    const CookieHead kept = opened.record->head;
    const bool fits = write(*call, kept, with_head(opened.record->session, head));
    return answer(call, fits ? Stored::found : Stored::too_large);
}

ngx_int_t revoke(StoreCall *call, const RevokedKey &key) {
    const CookieStore &store = store_of(*call);
    // As long as a session may live that began up to now, also one that was refreshed this very moment.
    const int64_t life = store.provider->session_timeout + 60;
    if (store.remote) {
        return store.remote->add(call, key, life);
    }
    store.revocations->add(key, *call, life);
    call->store->ended();
    return answer(call, Stored::found);
}

ngx_int_t erase(StoreCall *call) {
    const Opened opened(*call);
    return opened.record ? revoke(call, revoked_key(opened.record->head.id)) : answer(call, Stored::absent);
}

// How many there are only their browsers know.
ngx_int_t erase_named(StoreCall *call) {
    call->erased = 1;
    return revoke(call, digest_key(call->who));
}

void leave(const Store &store) {
    const auto &cookies = *static_cast<CookieStore *>(store.data);
    if (cookies.revocations) {
        cookies.revocations->leave();
    }
    if (cookies.remote) {
        cookies.remote->leave();
    }
}

// clang-format off
const StoreOps cookie_ops = {"cookie", find, load, create, replace, touch, erase, erase_named, erase_named,
                             nullptr, leave, false, true};
// Where the list of those who signed out is in Redis.
const StoreOps shared_ops = {"cookie", find, load, create, replace, touch, erase, erase_named, erase_named,
                             RemoteRevocations::cancel, leave, true, true};
// clang-format on

}  // namespace

Store *cookie_store(ngx_conf_t *cf, Provider &provider) {
    auto *store = pool_new<CookieStore>(cf->pool);
    store->provider = &provider;
    if (complete_revocation(cf, provider, *store) != NGX_CONF_OK) {
        return nullptr;
    }
    if (provider.session_refresh == 1 || provider.session_recheck > 0) {
        store->successors = std::make_unique<Successors>(cf, "oidc_refreshed_" + text(provider.name));
    }
    return pool_new<Store>(cf->pool, Store{store->remote ? &shared_ops : &cookie_ops, store});
}

}  // namespace auth_oidc
