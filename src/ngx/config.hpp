// The configuration: what nginx fills in from the directives, and what becomes of it once everything is read.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../oidc/provider.hpp"
#include "../oidc/refresh.hpp"
#include "../oidc/rules.hpp"
#include "../oidc/seal.hpp"
#include "../oidc/secrets.hpp"
#include "fetch.hpp"
#include "keyring.hpp"
#include "ngx.hpp"
#include "state.hpp"
#include "store.hpp"

namespace auth_oidc {

class Introspector;
class OpenRequests;
class Refresher;
class WorkerTokens;
struct BearerConf;
struct SetHeader;

template <class T>
void add_once(std::vector<T> &list, const T &item) {
    if (std::find(list.begin(), list.end(), item) == list.end()) {
        list.push_back(item);
    }
}

// Where a directive stands, for messages that are written after the whole file was read.
struct Where {
    ngx_str_t file{};
    ngx_uint_t line = 0;
};
Where here(ngx_conf_t *cf);
// Logs "message in file:line" at the level; returns NGX_CONF_ERROR for convenience.
char *conf_log(ngx_conf_t *cf, ngx_uint_t level, const Where &where, const std::string &message);

// Sealers of one worker; made in init_process, when the shared key is there.
struct Sealers {
    explicit Sealers(const std::vector<std::string> &secrets)
        : ticket(secrets, "auth_oidc ticket"),
          guard(secrets, "auth_oidc guard"),
          session(secrets, "auth_oidc session") {
        for (const std::string &secret : secrets) {
            index.push_back(oidc::hkdf(secret, "auth_oidc index"));
        }
    }
    oidc::DailySealer ticket;  // logins in flight
    oidc::DailySealer guard;   // loop counter, logout state, logout confirmation
    oidc::Sealer session;
    std::vector<std::string> index;  // keys of HMACs that name a sid or sub outside of this host
};

// A directive of a provider's block: for messages, and to be said once more to every entry of a secrets file.
struct Said {
    ngx_command_t *command;
    std::vector<ngx_str_t> arguments;
    Where where;
};

// One oidc_provider block. Standard layout: nginx's slots write into it by offset.
struct Provider {
    ngx_str_t name{};
    Where where;
    std::vector<Said> said;  // the directives of the block, as they were written

    ngx_str_t issuer{}, client_id{}, client_secret{}, client_secret_file{}, config_url{}, cookie_name{};
    ngx_str_t authorization_endpoint{}, token_endpoint{}, userinfo_endpoint{}, end_session_endpoint{};
    ngx_str_t revocation_endpoint{}, introspection_endpoint{}, jwks_uri{}, jwks_file{};
    ngx_str_t redirect_uri{}, logout_uri{}, post_logout_uri{}, login_uri{}, display_name{};
    ngx_str_t scope{}, session_store{};
    ngx_str_t ssl_trusted_certificate{}, ssl_crl{}, ssl_name{}, ssl_certificate{}, ssl_certificate_key{}, http_proxy{};
    ngx_str_t client_key{}, client_key_alg{}, client_key_kid{}, proxy_location{};
    ngx_http_complex_value_t *logout_args = nullptr;
    ngx_http_complex_value_t *extra_auth_args = nullptr;
    ngx_array_t *id_token_signing_algs = nullptr, *acr_values = nullptr, *issuer_tenants = nullptr;
    ngx_flag_t logout_token_hint = NGX_CONF_UNSET, userinfo = NGX_CONF_UNSET, insecure_http = NGX_CONF_UNSET;
    ngx_flag_t ssl_verify = NGX_CONF_UNSET, session_refresh = NGX_CONF_UNSET;
    ngx_str_t frontchannel_logout_uri{}, backchannel_logout_uri{};
    ngx_array_t *login_args = nullptr;  // of ngx_str_t: what login_uri may pass on
    ngx_flag_t revoke_on_logout = NGX_CONF_UNSET;
    ngx_array_t *session_keep = nullptr, *session_revocation = nullptr;  // of ngx_str_t, as written
    ngx_str_t session_uri{}, cookie_domain{}, cookie_path{};
    ngx_uint_t cookie_samesite = NGX_CONF_UNSET_UINT;
    ngx_flag_t cookie_partitioned = NGX_CONF_UNSET, cookie_prefix = NGX_CONF_UNSET;
    time_t cookie_lifetime = NGX_CONF_UNSET;  // 0: until the browser closes
    time_t session_idle_timeout = NGX_CONF_UNSET;
    ngx_uint_t response_mode = NGX_CONF_UNSET_UINT;
    ngx_uint_t pkce = NGX_CONF_UNSET_UINT, client_auth_method = NGX_CONF_UNSET_UINT;
    time_t session_recheck = NGX_CONF_UNSET;
    time_t session_timeout = NGX_CONF_UNSET, session_max_age = NGX_CONF_UNSET, clock_skew = NGX_CONF_UNSET;
    time_t max_age = NGX_CONF_UNSET, login_timeout = NGX_CONF_UNSET;
    ngx_msec_t connect_timeout = NGX_CONF_UNSET_MSEC, read_timeout = NGX_CONF_UNSET_MSEC;
    ngx_msec_t store_timeout = NGX_CONF_UNSET_MSEC;

    std::optional<oidc::SecretsEntry> entry;  // of oidc_secrets: what the block does not say
    const Provider *common = nullptr;         // the block of oidc_secrets, for all entries of the file
    bool has_block = false;

    // What the above comes to.
    oidc::Client client;
    std::string binding;                         // client.binding()
    std::string cookie;                          // the session cookie's name
    std::string callback_path, signed_out_path;  // of redirect_uri and post_logout_uri
    std::vector<std::string> secrets;            // cookie_secret as written; none: the shared key
    FetchOptions fetch;
    oidc::RefreshPolicy refresh;
    Store *store = nullptr;
    std::unique_ptr<Keyring> keyring;
    std::unique_ptr<Sealers> sealers;
    std::vector<std::string> passed_on;         // login_args
    std::vector<std::unique_ptr<Fetch>> calls;  // of this worker, which nobody waits for
    ngx_uint_t exchanges = 0;                   // of this worker, at this moment

    // The line of a directive, or of the block where it is not there.
    Where line_of(std::string_view directive) const {
        for (const Said &one : said) {
            if (view(one.command->name) == directive) {
                return one.where;
            }
        }
        return where;
    }
    // The provider answers with a cross-site POST: what it must carry is SameSite=None.
    bool posts_back() const { return response_mode == 1; }
    std::string_view shown_name() const { return display_name.len ? view(display_name) : view(name); }
};

enum class EndpointKind {
    callback,
    login,
    logout,
    session,
    frontchannel,
    backchannel,
    provider_calls,
    resource,
    post,
    post_script
};

// A path of ours in a server, and the providers that use it.
struct Endpoint {
    std::string path;
    EndpointKind kind;
    std::vector<Provider *> providers;
};

struct ZoneName {
    ngx_str_t name, state;
};

struct MainConf {
    std::vector<Provider *> providers;
    std::vector<std::string> cookies;  // names of all session cookies: none of them reaches an upstream
    std::unique_ptr<SharedState> state;
    std::shared_ptr<Refresher> refresher;
    std::shared_ptr<OpenRequests> open;
    std::vector<std::string> rule_claims, nested_claims;  // paths that rules and auth_oidc_claim_set ask for
    bool any_bearer = false;                              // some location takes access tokens; then there are:
    std::shared_ptr<WorkerTokens> tokens;
    std::shared_ptr<Introspector> introspector;
    std::vector<ZoneName> zones;      // what keyval_zone declared
    std::deque<bool> secrets_blocks;  // whether the next oidc_secrets have a block

    Provider *find(std::string_view name) const;
};

// A server_name. nginx keeps its own list only while it reads the configuration.
struct ServerName {
    std::string text;         // lower case
    ngx_http_regex_t *regex;  // null: text, maybe with a wildcard
};

// What the metadata of one protected resource says (RFC 9728 2).
struct Resource {
    std::string url, path;  // its own, and that of its metadata in this server
    std::vector<std::string> scopes;
    std::vector<Provider *> providers;
    Where where;
};

struct ServerConf {
    std::vector<ServerName> names;      // none: any host
    std::vector<Provider *> providers;  // in use anywhere in this server
    std::vector<Endpoint> endpoints;
    std::vector<Resource> resources;
    std::vector<std::string> headers;  // folded names of auth_oidc_set_header anywhere in this server
    bool any_provider = false;         // some auth_oidc here holds a variable
    bool preserves_post = false;       // some location has auth_oidc_preserve_post
    bool many_base_urls = false;       // some location has an auth_oidc_base_url of its own
};

// One auth_require: all of its values are there and not "0".
struct ValueRule {
    ngx_array_t *values;  // of ngx_http_complex_value_t
    ngx_int_t status;
};

struct LocationConf {
    ngx_array_t *auth_oidc = nullptr;  // of ngx_http_complex_value_t; NGX_CONF_UNSET_PTR until merged
    Where auth_oidc_where;
    ngx_http_complex_value_t *anonymous = nullptr, *base_url = nullptr, *remote_user = nullptr;
    ngx_flag_t touch = NGX_CONF_UNSET, close_connections = NGX_CONF_UNSET, preserve_post = NGX_CONF_UNSET;
    ngx_http_complex_value_t *max_age = nullptr;
    oidc::Policy *policy = nullptr;  // auth_oidc_require; null: not said here
    Where policy_where;
    std::vector<SetHeader> *headers = nullptr;
    const BearerConf *bearer = nullptr;     // auth_oidc_bearer; null: off
    ngx_array_t *require_values = nullptr;  // of ValueRule: auth_require

    // What the above comes to where no variable is in it.
    bool constant = true;
    std::vector<Provider *> providers;  // none: off
};

MainConf *main_conf(ngx_http_request_t *r);
ServerConf *server_conf(ngx_http_request_t *r);
LocationConf *location_conf(ngx_http_request_t *r);

extern ngx_command_t commands[];
extern ngx_http_module_t http_module;

// The private context of directives inside oidc_provider { }.
constexpr ngx_uint_t provider_context = 0x00200000;
// The content of a file with a secret, without the line break at its end; a warning when others can read it. Nothing:
// logged.
std::optional<std::string> read_secret_file(ngx_conf_t *cf, const Where &where, const ngx_str_t &path,
                                            const char *directive);
char *provider_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
// Reads what stands between the braces into a provider.
char *parse_provider(ngx_conf_t *cf, Provider *provider);
// Checks a provider and fills in what it comes to (provider_conf.cpp). NGX_CONF_OK or NGX_CONF_ERROR, logged.
char *complete_provider(ngx_conf_t *cf, Provider *provider);
// The server that its proxy_location is in; warns where there is none, or no resolver (proxy_location_conf.cpp).
void find_home(ngx_conf_t *cf, Provider &provider);

}  // namespace auth_oidc
