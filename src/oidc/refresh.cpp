#include "refresh.hpp"

#include <algorithm>

#include "claims.hpp"

namespace oidc {

namespace {

// What a refresh has found out about this provider and session, in SessionHead::flags.
constexpr uint32_t short_access_token = 1;  // its access tokens do not even live as long as `before`
constexpr uint32_t keeps_id_token = 2;      // it gives no new ID token
constexpr uint32_t short_id_token = 4;      // its ID tokens do not

bool has_flag(const SessionHead &head, uint32_t flag) {
    return (head.flags & flag) != 0;
}

void set_flag(SessionHead &head, uint32_t flag, bool on) {
    head.flags = on ? head.flags | flag : head.flags & ~flag;
}

// A token that lives shorter than `before` is renewed at half its life: at every request would help nobody.
struct TokenEnd {
    const SessionHead &head;
    uint32_t is_short;
    int64_t ends;  // 0: never
};
int64_t lead(const TokenEnd &token, int64_t before) {
    const int64_t life = token.ends - token.head.claims_as_of;
    return has_flag(token.head, token.is_short) && life > 0 ? std::min(before, life / 2) : before;
}

Due due_before(const TokenEnd &token, int64_t before, int64_t now) {
    if (token.ends == 0 || now < token.ends - lead(token, before)) {
        return Due::no;
    }
    return now < token.ends ? Due::soon : Due::now;
}

Due token_due(const SessionHead &head, const RefreshPolicy &policy, int64_t now) {
    if (!policy.on) {
        return Due::no;
    }
    // Without a refresh token only a login helps those who must have a living access token.
    if (!has_field(head, Field::refresh_token)) {
        return policy.required && is_access_token_over(head, now) ? Due::now : Due::no;
    }
    const Due access = due_before({head, short_access_token, head.access_token_ends}, policy.before, now);
    const bool counts = policy.id_token && has_field(head, Field::id_token) && !has_flag(head, keeps_id_token);
    const Due id_token = due_before({head, short_id_token, head.id_token_ends}, policy.before, now);
    return std::max(access, counts ? id_token : Due::no);
}

// The audience as a set: its order says nothing.
std::vector<std::string> audience(std::string text) {
    std::replace(text.begin(), text.end(), ',', ' ');
    std::vector<std::string> words = split_words(text);
    std::sort(words.begin(), words.end());
    return words;
}

const std::string *claim_of(const Session &session, std::string_view name) {
    for (const auto &claim : session.claims) {
        if (claim.first == name) {
            return &claim.second;
        }
    }
    return nullptr;
}

constexpr std::string_view frozen_prefix = "\x04";

// What is about to be renewed, as it was at the login.
void freeze(Session &session, const Keep &keep) {
    const std::pair<Field, bool> wanted[] = {{Field::claims_json, keep.first_claims},
                                             {Field::id_token, keep.first_tokens},
                                             {Field::access_token, keep.first_tokens}};
    for (const auto &[field, kept] : wanted) {
        if (kept && !session[field].empty() && claim_of(session, frozen_key(field)) == nullptr) {
            session.claims.emplace_back(frozen_key(field), session[field]);
        }
    }
}

// C 12.2: still the same user, for the same client. `iss` was compared with the configured one.
std::optional<Error> check_identity(const Session &session, const Json &claims) {
    if (claims.string("sub").value_or("") != session[Field::sub]) {
        return provider_error("refresh_sub", "the refreshed ID token names somebody else");
    }
    const std::string *before = claim_of(session, "aud");
    if (before != nullptr && audience(*before) != audience(claim_text(claims.member("aud")))) {
        return provider_error("refresh_aud", "the refreshed ID token is for others than the first one");
    }
    return std::nullopt;
}

// Without an ID token the new UserInfo takes the place of the old one, and the ID token's claims stay.
void replace_userinfo(Session &session, const Json &userinfo, const Keep &keep) {
    const auto old = parse_object(session[Field::userinfo], "UserInfo");
    const Json mine = merge_claims(Json::object(), userinfo);  // without what is the ID token's
    const auto is_renewed = [&](const std::pair<std::string, std::string> &claim) {
        const char *name = claim.first.c_str();
        return mine.has(name) || (old && old->has(name) && merge_claims(Json::object(), *old).has(name));
    };
    auto &table = session.claims;
    table.erase(std::remove_if(table.begin(), table.end(), is_renewed), table.end());
    for (auto &claim : claim_table(mine, keep)) {
        table.push_back(std::move(claim));
    }
    if (auto all = parse_object(session[Field::claims_json], "claims"); all && keep.claims_json) {
        session[Field::claims_json] = merge_claims(*all, userinfo).dump();
    }
}

void replace_claims(Session &session, const Json &claims, const Json &userinfo, const Keep &keep) {
    const Json merged = userinfo ? merge_claims(claims, userinfo) : claims;
    session[Field::claims_json] = keep.claims_json ? merged.dump() : "";
    auto fresh = claim_table(merged, keep);
    // These are of the login, and no refresh has others.
    for (auto &claim : session.claims) {
        if (claim.first == session_state_key || starts_with(claim.first, frozen_prefix)) {
            fresh.push_back(std::move(claim));
        }
    }
    session.claims = std::move(fresh);
}

Error out_of_step() {
    return our_error("refresh_step", "the refresh was resumed with something that it did not ask for");
}

}  // namespace

std::string frozen_key(Field field) {
    return std::string(frozen_prefix) + std::to_string(static_cast<int>(field));
}

bool has_field(const SessionHead &head, Field field) {
    return head.fields[static_cast<size_t>(field)].size != 0;
}

bool is_access_token_over(const SessionHead &head, int64_t now) {
    return head.access_token_ends != 0 && now >= head.access_token_ends;
}

Due refresh_due(const SessionHead &head, const RefreshPolicy &policy, int64_t now) {
    if (policy.recheck > 0 && now - head.claims_as_of >= policy.recheck) {
        return Due::now;
    }
    return token_due(head, policy, now);
}

Refresh::Refresh(const Client &client, std::shared_ptr<const ProviderData> data, Session session, int64_t before)
    : client_(client), data_(std::move(data)), session_(std::move(session)), before_(before) {}

bool Refresh::ends_session(const Error &error) {
    if (error.fault == Fault::us) {
        return false;
    }
    for (const char *away : {"token_unavailable", "token_response", "userinfo_unavailable"}) {
        if (error.rule == away) {
            return false;
        }
    }
    return true;
}

RefreshAction Refresh::begin(int64_t now) {
    freeze(session_, client_.keep);
    if (!session_[Field::refresh_token].empty()) {
        auto request = refresh_request(client_, data_->metadata, session_[Field::refresh_token], now);
        if (!request) {
            return stop(std::move(request.error()));
        }
        step_ = Step::token;
        return std::move(*request);
    }
    tokens_.access_token = session_[Field::access_token];
    const bool can_ask = client_.userinfo && !tokens_.access_token.empty() && !is_access_token_over(session_.head, now);
    return can_ask ? ask_userinfo(now)
                   : stop(provider_error("refresh_impossible",
                                         "there is no refresh token, and no access token that "
                                         "UserInfo could be asked with"));
}

RefreshAction Refresh::resume(const http::Reply &reply, int64_t now) {
    const Step step = std::exchange(step_, Step::idle);
    if (step == Step::token) {
        return take_tokens(reply, now);
    }
    if (step == Step::userinfo) {
        userinfo_ = reply;
        return judge_userinfo(now);
    }
    return out_of_step();
}

RefreshAction Refresh::resume(std::shared_ptr<const ProviderData> data, int64_t now) {
    if (std::exchange(step_, Step::idle) != Step::keys) {
        return out_of_step();
    }
    if (data) {
        data_ = std::move(data);
    }
    return userinfo_.status != 0 ? judge_userinfo(now) : judge_id_token(now);
}

RefreshAction Refresh::stop(Error error) {
    if (may_be_stale_keys(error) && !keys_fetched_ && !data_->metadata.jwks_uri.empty()) {
        keys_fetched_ = true;
        step_ = Step::keys;
        return FetchKeys{};
    }
    return error;
}

RefreshAction Refresh::take_tokens(const http::Reply &reply, int64_t now) {
    auto answer = read_token(reply, Grant::refresh, {session_[Field::refresh_token], client_.client_secret});
    if (!answer) {
        return stop(std::move(answer.error()));
    }
    tokens_ = std::move(*answer);
    has_tokens_ = true;
    return tokens_.id_token.empty() ? ask_userinfo(now) : judge_id_token(now);
}

// C 12.2. It has no nonce to compare: no browser took part.
RefreshAction Refresh::judge_id_token(int64_t now) {
    IdTokenRules rules;
    rules.access_token = tokens_.access_token;
    rules.acr_values = client_.acr_values;
    rules.now = now;
    auto id_token = check_id_token(client_, *data_, tokens_.id_token, rules);
    if (!id_token) {
        return stop(std::move(id_token.error()));
    }
    if (auto error = check_identity(session_, id_token->claims)) {
        return stop(std::move(*error));
    }
    claims_ = std::move(id_token->claims);
    alg_ = std::move(id_token->alg);
    return ask_userinfo(now);
}

RefreshAction Refresh::ask_userinfo(int64_t now) {
    if (!client_.userinfo || data_->metadata.userinfo_endpoint.empty()) {
        return finish(Json(), now);
    }
    step_ = Step::userinfo;
    return userinfo_request(data_->metadata, tokens_.access_token);
}

RefreshAction Refresh::judge_userinfo(int64_t now) {
    if (userinfo_.status == 401 || userinfo_.status == 403) {
        return stop(provider_error(
            "userinfo_refused", "UserInfo refuses the access token with status " + std::to_string(userinfo_.status)));
    }
    auto userinfo = read_userinfo(client_, *data_, userinfo_, session_[Field::sub]);
    if (userinfo) {
        return finish(*userinfo, now);
    }
    const bool is_away = userinfo.error().rule == "userinfo_unavailable" || userinfo.error().rule == "userinfo_format";
    if (!is_away || !has_tokens_) {
        return stop(std::move(userinfo.error()));
    }
    // The old refresh token is spent: the new one must not be lost because of UserInfo.
    keep_tokens(now);
    return Refreshed{std::move(session_), alg_, false};
}

void Refresh::keep_tokens(int64_t now) {
    SessionHead &head = session_.head;
    const Keep &keep = client_.keep;
    head.ends = now + client_.session_timeout;
    head.access_token_ends = tokens_.expires_in >= 0 ? now + tokens_.expires_in : 0;
    set_flag(head, short_access_token, tokens_.expires_in >= 0 && tokens_.expires_in <= before_);
    session_[Field::access_token] = keep.access_token ? tokens_.access_token : "";
    if (!tokens_.refresh_token.empty()) {
        session_[Field::refresh_token] = tokens_.refresh_token;
    }
    set_flag(head, keeps_id_token, tokens_.id_token.empty());
    if (!tokens_.id_token.empty()) {
        session_[Field::id_token] = keep.id_token ? tokens_.id_token : "";
        session_[Field::sid] = claims_.string("sid").value_or(session_[Field::sid]);
        head.id_token_ends = claims_.time("exp").value_or(0);
        set_flag(head, short_id_token, head.id_token_ends - now <= before_);
        head.auth_time = claims_.time("auth_time").value_or(head.auth_time);
    }
}

RefreshAction Refresh::finish(const Json &userinfo, int64_t now) {
    if (has_tokens_) {
        keep_tokens(now);
    }
    session_.head.claims_as_of = now;
    if (claims_) {
        replace_claims(session_, claims_, userinfo, client_.keep);
    } else if (userinfo) {
        replace_userinfo(session_, userinfo, client_.keep);
    }
    if (userinfo) {
        session_[Field::userinfo] = client_.keep.userinfo ? userinfo.dump() : "";
    }
    return Refreshed{std::move(session_), alg_};
}

}  // namespace oidc
