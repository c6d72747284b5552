#include "login.hpp"

#include <algorithm>
#include <cstring>

#include "claims.hpp"
#include "protocol.hpp"
#include "query.hpp"

namespace oidc {

namespace {

// What nobody's arguments may replace: they tie the answer to this browser and to us.
bool is_reserved(std::string_view name) {
    for (const char *reserved : {"state", "nonce", "client_id", "redirect_uri", "response_type"}) {
        if (name == reserved) {
            return true;
        }
    }
    return starts_with(name, "code_challenge");
}

// C 3.1.2.1: without openid among the scopes this is no OpenID request.
std::string with_openid(std::string_view scope) {
    if (contains(split_words(scope), "openid")) {
        return std::string(scope);
    }
    return scope.empty() ? "openid" : "openid " + std::string(scope);
}

// At most 15 digits: no sum with the time can overflow.
std::optional<int64_t> read_seconds(std::string_view text) {
    const auto is_digit = [](unsigned char c) { return c >= '0' && c <= '9'; };
    if (text.empty() || text.size() > 15 || !std::all_of(text.begin(), text.end(), is_digit)) {
        return std::nullopt;
    }
    return std::stoll(std::string(text));
}

// The site's own wishes for this login; a step-up's are not for extra arguments to weaken.
void add_wishes(Query &query, const Client &client, const LoginStart &start) {
    const int64_t max_age = start.max_age >= 0 ? start.max_age : client.max_age;
    query.set("scope", client.scope);
    query.set("response_mode", client.response_mode);
    query.set("max_age", max_age >= 0 ? std::to_string(max_age) : "");
    query.set("acr_values", join_words(client.acr_values));
    for (const auto &[name, value] : start.extra) {
        if (!is_reserved(name)) {
            query.set(name, value);
        }
    }
    query.set("max_age", start.max_age >= 0 ? std::to_string(start.max_age) : "");
    query.set("acr_values", join_words(start.acr_values));
    query.set("scope", with_openid(query.get("scope")));
    // The provider said that it cannot do without asking: asking must be allowed now.
    if (start.retried && query.get("prompt") == "none") {
        query.remove("prompt");
    }
}

// All that the callback will need; nothing of it stays on this side.
Ticket make_ticket(const Client &client, const Metadata &metadata, const LoginStart &start, std::string_view random) {
    Ticket ticket;
    ticket.provider = start.binding.empty() ? client.binding() : start.binding;
    ticket.nonce = base64url_encode(random.substr(0, 32));
    ticket.verifier = uses_pkce(client, metadata) ? base64url_encode(random.substr(32, 32)) : "";
    ticket.redirect_uri = start.redirect_uri;
    ticket.target = start.target;
    ticket.created = start.now;
    ticket.acr_values = start.acr_values;
    ticket.retried = start.retried;
    return ticket;
}

// The protocol's own parameters of an authorization response, in all its shapes.
constexpr const char *callback_names[] = {
    "state",    "code",          "iss",      "error",        "error_description", "error_uri",
    "response", "session_state", "id_token", "access_token", "token_type",        "expires_in",
};

const char *find_protocol_duplicate(const Parameters &parameters) {
    for (const char *name : callback_names) {
        const auto is_it = [name](const auto &parameter) { return parameter.first == name; };
        if (std::count_if(parameters.begin(), parameters.end(), is_it) > 1) {
            return name;
        }
    }
    return nullptr;
}

// Session Management 1.0 section 2: no blanks, it is sent behind one.
bool is_session_state(std::string_view text) {
    const auto is_visible = [](unsigned char c) { return c > 0x20 && c < 0x7f; };
    return !text.empty() && text.size() <= 256 && std::all_of(text.begin(), text.end(), is_visible);
}

// `state` names a cookie: nothing that is not ours may get that far.
bool is_state_text(std::string_view text) {
    const auto is_base64url = [](unsigned char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
    };
    return text.size() <= 128 && std::all_of(text.begin(), text.end(), is_base64url);
}

bool is_one_of(std::string_view text, std::initializer_list<const char *> list) {
    return std::any_of(list.begin(), list.end(), [text](const char *item) { return text == item; });
}

// The user or the provider's rules for that user said no; a new login would end the same way.
bool is_user_outcome(std::string_view error) {
    return is_one_of(error, {"access_denied", "unmet_authentication_requirements", "user_cancelled_login",
                             "user_cancelled_authorize"});
}

// C 3.1.2.6: prompt=none was too much to ask.
bool wants_interaction(std::string_view error) {
    return is_one_of(error,
                     {"login_required", "interaction_required", "account_selection_required", "consent_required"});
}

Action judge_error(const Callback &callback, bool retried) {
    std::string text = "the provider answered \"" + log_safe(callback.error) + "\"";
    if (!callback.error_description.empty()) {
        text += ": " + log_safe(callback.error_description);
    }
    if (wants_interaction(callback.error)) {
        return retried ? Action(browser_error("login_denied", text + " (again)", 403)) : Action(StartOver{});
    }
    if (is_user_outcome(callback.error)) {
        return browser_error("login_denied", std::move(text), 403);
    }
    return provider_error("login_refused", std::move(text));
}

// RFC 9207 2.4: an answer of another provider (mix-up) must not reach this one's token endpoint.
std::optional<Error> check_iss(const Callback &callback, const Client &client, const Metadata &metadata) {
    // At an issuer for several organisations any of them may have answered: whose token it is, the token says.
    const bool own = client.is_issuer(callback.iss) || fits_pattern(metadata, callback.iss);
    if (callback.has_iss && !own) {
        return browser_error("callback_iss",
                             "expected \"" + log_safe(client.issuer) + "\", found \"" + log_safe(callback.iss) + "\"");
    }
    if (!callback.has_iss && metadata.iss_parameter) {
        return browser_error("callback_iss", "there is no iss, which the metadata announces");
    }
    return std::nullopt;
}

// The ID token's own times are the provider's word, the lives are ours.
void fill_head(SessionHead &head, const Client &client, const Json &claims, int64_t now) {
    const std::string binding = client.binding();
    std::memcpy(head.binding, binding.data(), std::min(binding.size(), sizeof head.binding));
    head.signed_in = head.last_used = head.claims_as_of = now;
    head.ends = now + client.session_timeout;
    head.ends_at_last = client.session_max_age > 0 ? now + client.session_max_age : 0;
    head.id_token_ends = claims.time("exp").value_or(0);
    head.auth_time = claims.time("auth_time").value_or(0);
}

Error out_of_step() {
    return our_error("login_step", "the login was resumed with something that it did not ask for");
}

}  // namespace

Result<LoginBegun> begin_login(const Client &client, const Metadata &metadata, const LoginStart &start) {
    if (!starts_with(start.target, "/")) {
        return browser_error("return_target", "expected a path that begins with /");
    }
    if (is_for_tenants(metadata) && client.tenants.empty()) {
        return our_error("issuer_tenants",
                         "this issuer signs in people of every organisation of the world: say which ones are meant, "
                         "\"oidc_provider " +
                             client.name + " { issuer_tenants ID ...; }\", or \"issuer_tenants any;\"");
    }
    // One draw for state, nonce and verifier: each call of the generator costs as much as all the rest.
    const std::string random = random_bytes(96);
    const std::string_view parts = random;
    LoginBegun begun{"", base64url_encode(parts.substr(0, 32)), make_ticket(client, metadata, start, parts.substr(32))};
    Query query;
    query.set("response_type", "code");
    query.set("client_id", client.client_id);
    query.set("redirect_uri", start.redirect_uri);
    query.set("scope", "openid");
    query.set("state", begun.state);
    query.set("nonce", begun.ticket.nonce);
    if (!begun.ticket.verifier.empty()) {
        query.set("code_challenge", base64url_encode(bytes(sha256(begun.ticket.verifier))));
        query.set("code_challenge_method", "S256");
    }
    add_wishes(query, client, start);
    // C 3.1.3.7 rule 13 binds us to what was sent, wherever it came from.
    begun.ticket.max_age = read_seconds(query.get("max_age")).value_or(std::max(start.max_age, client.max_age));
    begun.url = query.url(metadata.authorization_endpoint);
    return begun;
}

Result<Callback> read_callback(std::string_view form) {
    const auto parameters = form_decode(form);
    if (!parameters) {
        return browser_error("callback_format", "the parameters cannot be decoded");
    }
    if (const char *name = find_protocol_duplicate(*parameters)) {
        return browser_error("callback_duplicate", std::string("the parameter ") + name + " stands there twice");
    }
    const auto value = [&parameters](const char *name) {
        const std::string *found = find_parameter(*parameters, name);
        return found ? *found : std::string();
    };
    Callback callback{value("state"),
                      value("code"),
                      value("iss"),
                      value("error"),
                      value("error_description"),
                      value("response"),
                      find_parameter(*parameters, "iss") != nullptr,
                      value("session_state")};
    // A signed response (JARM) has its state inside.
    if (callback.state.empty() && callback.response.empty()) {
        return browser_error("callback_state", "there is no state");
    }
    if (!is_state_text(callback.state)) {
        return browser_error("callback_state", "the state is none of ours");
    }
    return callback;
}

Login::Login(const Client &client, std::shared_ptr<const ProviderData> data, Ticket ticket)
    : client_(client), data_(std::move(data)), ticket_(std::move(ticket)) {}

Action Login::resume(const Callback &callback, int64_t now) {
    if (step_ != Step::callback) {
        return out_of_step();
    }
    step_ = Step::done;
    if (ticket_.provider != client_.binding()) {
        return browser_error("callback_ticket", "the login began at another provider");
    }
    if (auto error = check_iss(callback, client_, data_->metadata)) {
        return std::move(*error);
    }
    // An answer with both is no success (RFC 6749 4.1.2.1).
    if (!callback.error.empty()) {
        return judge_error(callback, ticket_.retried);
    }
    if (callback.code.empty()) {
        return browser_error("callback_code", "there is neither a code nor an error");
    }
    state_ = callback.state;
    code_ = callback.code;
    session_state_ = callback.session_state;
    // RFC 6749 4.1.3: the redirect_uri as it was sent, not as it would be built now.
    auto request = token_request(client_, data_->metadata, {code_, ticket_.redirect_uri, ticket_.verifier}, now);
    if (!request) {
        return std::move(request.error());
    }
    step_ = Step::token;
    return std::move(*request);
}

Action Login::resume(const http::Reply &reply, int64_t now) {
    // A code is good for one exchange: whatever comes of this reply, it is not judged a second time.
    if (step_ == Step::token) {
        step_ = Step::done;
        auto answer = read_token(reply, Grant::code, {code_, ticket_.verifier, client_.client_secret});
        if (!answer) {
            return std::move(answer.error());
        }
        tokens_ = {std::move(answer->access_token), std::move(answer->id_token), std::move(answer->refresh_token),
                   answer->expires_in};
        return judge_id_token(now);
    }
    if (step_ == Step::userinfo) {
        userinfo_ = reply;
        return judge_userinfo(now);
    }
    return out_of_step();
}

Action Login::resume(std::shared_ptr<const ProviderData> data, int64_t now) {
    if (step_ != Step::keys) {
        return out_of_step();
    }
    if (data) {
        data_ = std::move(data);
    }
    return claims_ ? judge_userinfo(now) : judge_id_token(now);
}

Action Login::stop(Error error) {
    step_ = Step::done;
    // Fresh keys can help, once, and only where there is a place to fetch them from.
    if (may_be_stale_keys(error) && !keys_fetched_ && !data_->metadata.jwks_uri.empty()) {
        keys_fetched_ = true;
        step_ = Step::keys;
        return FetchKeys{};
    }
    return error;
}

Action Login::judge_id_token(int64_t now) {
    IdTokenRules rules;
    rules.nonce = ticket_.nonce;
    rules.access_token = tokens_.access_token;
    rules.code = code_;
    rules.max_age = ticket_.max_age;
    rules.acr_values = ticket_.acr_values.empty() ? client_.acr_values : ticket_.acr_values;
    rules.now = now;
    auto id_token = check_id_token(client_, *data_, tokens_.id_token, rules);
    if (!id_token) {
        return stop(std::move(id_token.error()));
    }
    claims_ = std::move(id_token->claims);
    alg_ = std::move(id_token->alg);
    // C 5.3: only now that the ID token holds is its access token worth a request.
    if (!client_.userinfo) {
        return finish(Json(), now);
    }
    if (data_->metadata.userinfo_endpoint.empty()) {
        return stop(provider_error("userinfo_endpoint", "the metadata has no userinfo_endpoint"));
    }
    step_ = Step::userinfo;
    return userinfo_request(data_->metadata, tokens_.access_token);
}

Action Login::judge_userinfo(int64_t now) {
    auto userinfo = read_userinfo(client_, *data_, userinfo_, claims_.string("sub").value_or(""));
    return userinfo ? finish(*userinfo, now) : stop(std::move(userinfo.error()));
}

Action Login::finish(const Json &userinfo, int64_t now) {
    step_ = Step::done;
    SignedIn signed_in{{}, alg_};
    Session &session = signed_in.session;
    const Keep &keep = client_.keep;
    const Json merged = userinfo ? merge_claims(claims_, userinfo) : claims_;
    fill_head(session.head, client_, claims_, now);
    if ((keep.access_token || keep.refresh_token) && tokens_.expires_in >= 0) {
        session.head.access_token_ends = now + tokens_.expires_in;
    }
    session[Field::sub] = claims_.string("sub").value_or("");
    session[Field::sid] = claims_.string("sid").value_or("");
    // A double click brings the state again; its hash is enough to know it by.
    session[Field::state] = base64url_encode(bytes(sha256(state_)));
    session[Field::id_token] = keep.id_token ? tokens_.id_token : "";
    session[Field::access_token] = keep.access_token ? tokens_.access_token : "";
    session[Field::refresh_token] = keep.refresh_token ? tokens_.refresh_token : "";
    session[Field::claims_json] = keep.claims_json ? merged.dump() : "";
    session[Field::userinfo] = keep.userinfo && userinfo ? userinfo.dump() : "";
    session.claims = claim_table(merged, keep);
    if (keep.session_state && is_session_state(session_state_) && !data_->metadata.check_session_iframe.empty()) {
        session.claims.emplace_back(session_state_key, session_state_);
    }
    return signed_in;
}

}  // namespace oidc
