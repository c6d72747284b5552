#include "refresh_flight.hpp"

namespace auth_oidc {

namespace {

constexpr int max_tries = 4;  // to store what the provider has given
constexpr ngx_msec_t try_again = 500;
constexpr ngx_msec_t ask_again = 50;  // whether another host has ended

ngx_msec_t one_answer(const Provider &provider) {
    return provider.connect_timeout + provider.read_timeout;
}

}  // namespace

RefreshFlight::RefreshFlight(Refresher &owner, Provider &provider, std::string_view cookie, const oidc::Digest &session)
    : owner_(owner),
      provider_(provider),
      cookie_(cookie),
      session_(session),
      holder_(oidc::random_token()),
      give_up_(ngx_current_msec + one_answer(provider) + provider.store_timeout),
      pool_(ngx_create_pool(1024, ngx_cycle->log)),
      next_(&RefreshFlight::claim),
      alarm_(&RefreshFlight::on_alarm, this) {
    if (pool_ == nullptr) {
        throw std::bad_alloc();
    }
    // Not at once: whoever began it has to be among the waiters first.
    alarm_.soon();
}

RefreshFlight::~RefreshFlight() {
    if (calling_ && call_.store->ops->cancel != nullptr) {
        call_.store->ops->cancel(&call_);
    }
}

ngx_msec_t RefreshFlight::life() const {
    constexpr ngx_msec_t store_and_scheduling = 5000;
    return one_answer(provider_) + store_and_scheduling;
}

void RefreshFlight::run(Step step) {
    owner_.leases.extend(session_, life());
    try {
        (this->*step)();
    } catch (const std::exception &error) {
        fail(oidc::our_error("refresh", error.what()));
    }
}

void RefreshFlight::on_alarm(void *self) {
    auto *flight = static_cast<RefreshFlight *>(self);
    flight->run(flight->next_);
}

void RefreshFlight::on_store(StoreCall *call) noexcept {
    auto *flight = static_cast<RefreshFlight *>(call->data);
    flight->calling_ = false;
    flight->run(flight->next_);
}

void RefreshFlight::ask_store(Operation operation, Step next) {
    call_.store = provider_.store;
    call_.pool = pool_.get();
    call_.log = ngx_cycle->log;
    call_.cookie = cookie_;
    call_.binding = provider_.binding;
    call_.now = ngx_time();
    call_.done = on_store;
    call_.data = this;
    next_ = next;
    calling_ = true;
    if (operation(&call_) != NGX_AGAIN) {
        calling_ = false;
        run(next);
    }
}

// Before the session is read: with what was read earlier a token would be used that another host has used up.
void RefreshFlight::claim() {
    constexpr ngx_msec_t answers = 3;  // tokens, keys, UserInfo
    if (provider_.store->ops->claim == nullptr) {
        return load();
    }
    call_.record = holder_;
    call_.lease = answers * one_answer(provider_) + 2 * provider_.store_timeout;
    ask_store(provider_.store->ops->claim, &RefreshFlight::claimed);
}

void RefreshFlight::claimed() {
    if (call_.answer == Stored::found) {
        holds_ = true;
        return load();
    }
    if (call_.answer != Stored::conflict) {
        return fail(oidc::our_error("session_store", "the session store gives no answer"));
    }
    if (static_cast<ngx_msec_int_t>(ngx_current_msec - give_up_) >= 0) {
        return fail(oidc::our_error("refresh_lease", "another host refreshes this session and comes to no end"));
    }
    next_ = &RefreshFlight::claim;
    alarm_.after(ask_again);
    // Whoever began this here goes on too while the token lives; the others come back to wait.
    if (!std::exchange(told_, true)) {
        waiters.wake_all();
    }
}

void RefreshFlight::load() {
    ask_store(provider_.store->ops->load, &RefreshFlight::loaded);
}

// Another worker may have been faster between the look-up and the lease.
void RefreshFlight::loaded() {
    if (call_.answer == Stored::unavailable) {
        return fail(oidc::our_error("session_store", "the session store gives no answer"));
    }
    const auto session = call_.answer == Stored::found ? oidc::SessionView::over(call_.found) : std::nullopt;
    if (!session || oidc::refresh_due(session->head(), provider_.refresh, ngx_time()) == oidc::Due::no) {
        return end(false);
    }
    before_ = session->session();
    want_data();
}

void RefreshFlight::want_data() {
    data_ = provider_.keyring->current();
    if (data_) {
        return begin();
    }
    waiter_ = std::make_unique<Waiter>([this] { run(&RefreshFlight::want_data); });
    if (std::exchange(waited_, true) || provider_.keyring->wait(*waiter_) != NGX_AGAIN) {
        fail(oidc::provider_error("provider_data", "there is no metadata and no key set of the provider"));
    }
}

void RefreshFlight::begin() {
    used_token_ = (*before_)[oidc::Field::refresh_token];
    refresh_ = std::make_unique<oidc::Refresh>(provider_.client, data_, std::move(*before_), provider_.refresh.before);
    before_.reset();
    act(refresh_->begin(ngx_time()));
}

void RefreshFlight::act(oidc::RefreshAction action) {
    if (auto *request = std::get_if<oidc::http::Request>(&action)) {
        return fetch(std::move(*request));
    }
    if (std::holds_alternative<oidc::FetchKeys>(action)) {
        return fetch_keys();
    }
    if (auto *refreshed = std::get_if<oidc::Refreshed>(&action)) {
        return save(std::move(*refreshed));
    }
    const oidc::Error error = std::get<oidc::Error>(action);
    oidc::Refresh::ends_session(error) ? refuse(error) : fail(error);
}

void RefreshFlight::fetch(oidc::http::Request request) {
    fetch_ = Fetch::start(std::move(request), provider_.fetch, [this](oidc::http::Reply &reply) {
        reply_ = std::move(reply);
        run(&RefreshFlight::fetched);
    });
}

void RefreshFlight::fetched() {
    act(refresh_->resume(reply_, ngx_time()));
}

void RefreshFlight::fetch_keys() {
    waiter_ = std::make_unique<Waiter>([this] { run(&RefreshFlight::keys_fetched); });
    if (provider_.keyring->refresh_keys(*waiter_, KeysFor::ourselves, data_.get()) != NGX_AGAIN) {
        keys_fetched();
    }
}

void RefreshFlight::keys_fetched() {
    act(refresh_->resume(provider_.keyring->current(), ngx_time()));
}

// The new refresh token is stored before anybody uses it.
void RefreshFlight::save(oidc::Refreshed refreshed) {
    result_ = std::move(refreshed);
    if (!result_->id_token_alg.empty()) {
        provider_.keyring->note_id_token_alg(result_->id_token_alg);
    }
    record_ = oidc::write_session(result_->session);
    call_.record = record_;
    call_.revision = result_->session.head.revision;
    ask_store(provider_.store->ops->replace, &RefreshFlight::saved);
}

void RefreshFlight::saved() {
    switch (call_.answer) {
        case Stored::found:
            owner_.state.add(Count::refreshes);
            ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0, "auth_oidc: session refreshed, provider \"%V\"%s",
                          &provider_.name, result_->complete ? "" : ", UserInfo could not be had");
            return end(!result_->complete);
        case Stored::conflict:
        case Stored::unavailable:
            if (++tries_ < max_tries) {
                next_ = &RefreshFlight::save_again;
                return alarm_.after(call_.answer == Stored::conflict ? 1 : try_again);
            }
            return fail(oidc::our_error("session_store", "the refreshed session could not be stored"));
        case Stored::too_large:
            return refuse(oidc::our_error(
                "session_store",
                "the refreshed session of " + std::to_string(record_.size()) + " bytes is too large for its store"));
        case Stored::absent:
            // Signed out meanwhile: that stays so.
            return end(false);
    }
}

// Something else was written meanwhile: the new tokens go over it as long as it still has the token that we have used
// up.
void RefreshFlight::save_again() {
    ask_store(provider_.store->ops->load, &RefreshFlight::reloaded);
}

void RefreshFlight::reloaded() {
    const auto session = call_.answer == Stored::found ? oidc::SessionView::over(call_.found) : std::nullopt;
    if (session && session->field(oidc::Field::refresh_token) == used_token_) {
        result_->session.head.revision = session->head().revision;
        return save(std::move(*result_));
    }
    if (call_.answer == Stored::unavailable) {
        return saved();
    }
    end(false);
}

void RefreshFlight::refuse(const oidc::Error &error) {
    owner_.state.add(Count::refreshes_failed);
    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "auth_oidc: session ended, its refresh was refused, provider \"%V\", rule %s: %s", &provider_.name,
                  error.rule.c_str(), error.text.c_str());
    ask_store(provider_.store->ops->load, &RefreshFlight::refused);
}

// Another host may have been faster with the same token: its session is good.
void RefreshFlight::refused() {
    const auto session = call_.answer == Stored::found ? oidc::SessionView::over(call_.found) : std::nullopt;
    if (!session || session->field(oidc::Field::refresh_token) != used_token_) {
        return end(call_.answer == Stored::unavailable);
    }
    ask_store(provider_.store->ops->erase, &RefreshFlight::erased);
}

void RefreshFlight::erased() {
    end(call_.answer == Stored::unavailable);
}

void RefreshFlight::fail(const oidc::Error &error) {
    owner_.state.add(Count::refreshes_failed);
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "auth_oidc: refresh failed, provider \"%V\", rule %s: %s",
                  &provider_.name, error.rule.c_str(), error.text.c_str());
    end(true);
}

// Nothing of this object may be touched afterwards. Nobody waits for the lease to be given back.
void RefreshFlight::end(bool failed) {
    if (std::exchange(holds_, false)) {
        call_.record = holder_;
        next_ = nullptr;
        calling_ = provider_.store->ops->release(&call_) == NGX_AGAIN;
    }
    owner_.leases.conclude(session_, failed);
    owner_.remove(*this);
}

}  // namespace auth_oidc
