#include "store_cookie.hpp"

#include <algorithm>
#include <stdexcept>

#include "../oidc/chunks.hpp"
#include "../oidc/cookie_record.hpp"
#include "cookies.hpp"
#include "provider_conf.hpp"
#include "revocations.hpp"

namespace auth_oidc {
namespace {

using oidc::CookieHead;
using oidc::CookieRecord;
using oidc::Field;
using oidc::SessionHead;
using oidc::SessionView;

constexpr size_t max_sealed = oidc::base64url_decoded_size(oidc::max_chunked_text);
constexpr size_t revocation_zone_size = 1024 * 1024;

struct CookieStore {
    Provider *provider = nullptr;
    std::unique_ptr<Revocations> revocations;
    std::string bound_to;

    // What the seal is bound to: nothing of another cookie opens here. The name stands only when all servers were read.
    const std::string &purpose() {
        if (bound_to.empty()) {
            bound_to = "session cookie " + provider->cookie;
        }
        return bound_to;
    }
};

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

// The session that the call's cookie holds, where it lives.
struct Opened {
    explicit Opened(StoreCall &call) {
        record = open(store_of(call), call.cookie);
        if (!record || record->session.size() < sizeof(head)) {
            record.reset();
            return;
        }
        std::memcpy(&head, record->session.data(), sizeof(head));
        if (head.size != record->session.size() ||
            !oidc::equal_constant_time(oidc::bytes(head.binding, sizeof(head.binding)), call.binding) ||
            oidc::is_over(head, call.now, call.idle_timeout) || store_of(call).revocations->has(record->head)) {
            record.reset();
            return;
        }
        std::copy_n(record->head.id, call.id.size(), call.id.begin());
        call.has_id = true;
        call.head = head;
    }

    std::optional<CookieRecord> record;
    SessionHead head;
};

ngx_int_t answer(StoreCall *call, Stored stored) {
    call->answer = stored;
    return NGX_OK;
}

ngx_int_t find(StoreCall *call) {
    return answer(call, Opened(*call).record ? Stored::found : Stored::absent);
}

ngx_int_t load(StoreCall *call) {
    const Opened opened(*call);
    if (!opened.record) {
        return answer(call, Stored::absent);
    }
    call->found = view(copy(call->pool, opened.record->session));
    return answer(call, Stored::found);
}

RevokedKey revoked_key(const oidc::Digest &digest) {
    RevokedKey key;
    std::copy_n(digest.begin(), key.size(), key.begin());
    return key;
}

// What a sign-out by the provider will name.
void name_in(CookieHead &head, const SessionView &session) {
    const std::string_view binding = oidc::bytes(session.head().binding, sizeof(SessionHead::binding));
    const auto set = [&](unsigned char(&out)[16], std::string_view value) {
        const RevokedKey key = value.empty() ? RevokedKey{} : revoked_key(index_key(binding, value));
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
    const SessionView session = record_of(*call);
    CookieHead head = opened.record->head;
    name_in(head, session);
    SessionHead changed = session.head();
    changed.revision = call->revision + 1;
    const bool fits = write(*call, head, with_head(call->record, changed));
    return answer(call, fits ? Stored::found : Stored::too_large);
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

void revoke(StoreCall &call, const RevokedKey &key) {
    const CookieStore &store = store_of(call);
    store.revocations->add(key, call, store.provider->session_timeout);
    call.store->ended();
}

ngx_int_t erase(StoreCall *call) {
    const Opened opened(*call);
    if (!opened.record) {
        return answer(call, Stored::absent);
    }
    RevokedKey key;
    std::copy_n(opened.record->head.id, key.size(), key.begin());
    revoke(*call, key);
    return answer(call, Stored::found);
}

// How many there are only their browsers know.
ngx_int_t erase_named(StoreCall *call) {
    revoke(*call, revoked_key(call->who));
    call->erased = 1;
    return answer(call, Stored::found);
}

const StoreOps cookie_ops = {"cookie",    find,        load,    create,  replace, touch, erase,
                             erase_named, erase_named, nullptr, nullptr, false,   true};

void warn_what_a_restart_loses(ngx_conf_t *cf, const Provider &provider) {
    const std::string block = "oidc_provider \"" + text(provider.name) + "\"";
    if (provider.secrets.empty()) {
        conf_log(cf, NGX_LOG_WARN, provider.line_of("session_store"),
                 "sessions in cookies are lost when nginx restarts, and other hosts cannot read them: write "
                 "\"cookie_secret\" in " +
                     block);
    }
}

}  // namespace

Store *cookie_store(ngx_conf_t *cf, Provider &provider) {
    auto *store = pool_new<CookieStore>(cf->pool);
    store->provider = &provider;
    const std::string zone = "oidc_revoked_" + text(provider.name);
    store->revocations = std::make_unique<Revocations>(cf, RevocationOptions{borrow(zone), revocation_zone_size});
    warn_what_a_restart_loses(cf, provider);
    return pool_new<Store>(cf->pool, Store{&cookie_ops, store});
}

}  // namespace auth_oidc
