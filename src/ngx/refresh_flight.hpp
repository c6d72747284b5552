// One refresh that runs: from the stored session through the provider and back into the store.
#pragma once

#include <memory>
#include <string>

#include "../oidc/refresh.hpp"
#include "refresher.hpp"

namespace auth_oidc {

class RefreshFlight {
public:
    RefreshFlight(Refresher &owner, Provider &provider, std::string_view cookie, const oidc::Digest &session);
    ~RefreshFlight();
    RefreshFlight(const RefreshFlight &) = delete;
    RefreshFlight &operator=(const RefreshFlight &) = delete;

    const oidc::Digest &session() const { return session_; }
    // Those of this worker who want to know that it has ended, however it did.
    Waiters waiters;

private:
    struct FreePool {
        void operator()(ngx_pool_t *pool) const noexcept { ngx_destroy_pool(pool); }
    };
    using Step = void (RefreshFlight::*)();
    using Operation = ngx_int_t (*)(StoreCall *call);

    // Runs a step; what it throws ends the refresh.
    void run(Step step);
    void ask_store(Operation operation, Step next);
    static void on_store(StoreCall *call) noexcept;
    static void on_alarm(void *self);

    void claim();
    void claimed();
    void load();
    void loaded();
    void want_data();
    void begin();
    void act(oidc::RefreshAction action);
    void fetch(oidc::http::Request request);
    void fetched();
    void fetch_keys();
    void keys_fetched();
    void save(oidc::Refreshed refreshed);
    void saved();
    void save_again();
    void reloaded();
    void refuse(const oidc::Error &error);
    void refused();
    void erased();
    void fail(const oidc::Error &error);
    void end(bool failed);
    ngx_msec_t life() const;

    Refresher &owner_;
    Provider &provider_;
    const std::string cookie_;
    const oidc::Digest session_;
    const std::string holder_;  // our name in a lease over all hosts
    const ngx_msec_t give_up_;  // on another host's lease
    bool holds_ = false;
    bool told_ = false;  // that another host refreshes already
    std::unique_ptr<ngx_pool_t, FreePool> pool_;
    StoreCall call_;
    bool calling_ = false;
    Step next_ = nullptr;  // after the store's answer, or the alarm
    Alarm alarm_;
    std::unique_ptr<Waiter> waiter_;
    bool waited_ = false;
    std::shared_ptr<const oidc::ProviderData> data_;
    std::string used_token_;  // the refresh token that was sent
    std::optional<oidc::Session> before_;
    std::unique_ptr<oidc::Refresh> refresh_;
    std::unique_ptr<Fetch> fetch_;
    oidc::http::Reply reply_;
    std::optional<oidc::Refreshed> result_;
    std::string record_;
    int tries_ = 0;
};

}  // namespace auth_oidc
