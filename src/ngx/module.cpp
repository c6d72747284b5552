// The nginx module itself: its tables, its phases, and what a worker sets up.
#include "module.hpp"

#include <curl/curl.h>

#include "config.hpp"
#include "introspector.hpp"
#include "refresher.hpp"

namespace auth_oidc {
namespace {

// Sealers hold keys that live in shared memory, which is there only after the configuration was read.
void make_sealers(MainConf &main) {
    for (Provider *provider : main.providers) {
        std::vector<std::string> secrets = provider->secrets;
        if (secrets.empty()) {
            secrets.emplace_back(main.state->key());
        }
        provider->sealers = std::make_unique<Sealers>(secrets);
    }
}

ngx_int_t init_process(ngx_cycle_t *cycle) {
    auto *main = static_cast<MainConf *>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_auth_oidc_module));
    bool serves = ngx_process == NGX_PROCESS_WORKER || ngx_process == NGX_PROCESS_SINGLE;
    if (main == nullptr || main->providers.empty() || !serves) {
        return NGX_OK;
    }
    make_sealers(*main);
    for (Provider *provider : main->providers) {
        if (provider->store->ops->enter != nullptr) {
            provider->store->ops->enter(*provider->store);
        }
    }
    return fetch_init_process(cycle);
}

void exit_process(ngx_cycle_t *cycle) {
    auto *main = static_cast<MainConf *>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_auth_oidc_module));
    if (main != nullptr && main->refresher) {
        main->refresher->drop();
    }
    if (main != nullptr && main->introspector) {
        main->introspector->drop();
    }
    fetch_exit_process();
    if (main == nullptr) {
        return;
    }
    for (Provider *provider : main->providers) {
        if (provider->store != nullptr && provider->store->ops->leave != nullptr) {
            provider->store->ops->leave(*provider->store);
        }
    }
}

using Handler = ngx_int_t (*)(ngx_http_request_t *);

ngx_int_t add_handler(ngx_http_core_main_conf_t *core, ngx_http_phases phase, Handler handler) {
    auto *slot = static_cast<ngx_http_handler_pt *>(ngx_array_push(&core->phases[phase].handlers));
    if (slot == nullptr) {
        return NGX_ERROR;
    }
    *slot = handler;
    return NGX_OK;
}

}  // namespace

ngx_int_t install_handlers(ngx_conf_t *cf) {
    auto *core = static_cast<ngx_http_core_main_conf_t *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    bool installed = add_handler(core, NGX_HTTP_POST_READ_PHASE, entry<&on_post_read, NGX_ERROR>) == NGX_OK &&
                     add_handler(core, NGX_HTTP_SERVER_REWRITE_PHASE, entry<&on_server_rewrite, NGX_ERROR>) == NGX_OK &&
                     add_handler(core, NGX_HTTP_PREACCESS_PHASE, entry<&on_preaccess, NGX_ERROR>) == NGX_OK &&
                     add_handler(core, NGX_HTTP_ACCESS_PHASE, entry<&on_access, NGX_ERROR>) == NGX_OK &&
                     add_handler(core, NGX_HTTP_PRECONTENT_PHASE, entry<&on_precontent, NGX_ERROR>) == NGX_OK;
    return installed ? NGX_OK : NGX_ERROR;
}

}  // namespace auth_oidc

extern "C" {
ngx_module_t ngx_http_auth_oidc_module = {
    NGX_MODULE_V1,
    &auth_oidc::http_module,
    auth_oidc::commands,
    NGX_HTTP_MODULE,
    nullptr,
    nullptr,
    auth_oidc::entry<&auth_oidc::init_process, NGX_ERROR>,
    nullptr,
    nullptr,
    auth_oidc::entry<&auth_oidc::exit_process>,
    nullptr,
    NGX_MODULE_V1_PADDING,
};
}
