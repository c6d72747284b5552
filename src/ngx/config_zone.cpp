// keyval_zone: a stand-in for the directive of NGINX Plus, which declares a zone of sessions.
#include "config_values.hpp"
#include "store_zone.hpp"

namespace auth_oidc {
namespace {

// Where another loaded module has a keyval_zone of its own, the directive is its business.
ngx_command_t *foreign_keyval_zone(ngx_conf_t *cf, ngx_module_t **owner) {
    for (ngx_uint_t i = 0; cf->cycle->modules[i] != nullptr; i++) {
        ngx_module_t *module = cf->cycle->modules[i];
        if (module->type != NGX_HTTP_MODULE || module == &ngx_http_auth_oidc_module || module->commands == nullptr) {
            continue;
        }
        for (ngx_command_t *command = module->commands; command->name.len != 0; command++) {
            if (view(command->name) == "keyval_zone") {
                *owner = module;
                return command;
            }
        }
    }
    return nullptr;
}

struct ZoneArguments {
    ngx_str_t name{};
    ssize_t size = 0;
    bool sync = false;
    time_t timeout = 0;
    ngx_str_t state{};
};

// timeout=, state=, and the type, which is NGINX Plus' business.
bool take_argument(std::string_view word, ZoneArguments &out) {
    if (oidc::starts_with(word, "timeout=") && out.timeout == 0) {
        ngx_str_t time = borrow(word.substr(8));
        out.timeout = ngx_parse_time(&time, 1);
        return out.timeout != NGX_ERROR;
    }
    if (oidc::starts_with(word, "state=") && word.size() > 6 && out.state.len == 0) {
        out.state = borrow(word.substr(6));
        return true;
    }
    return word == "type=string" || word == "type=ip" || word == "type=prefix";
}

char *read_zone_arguments(ngx_conf_t *cf, ZoneArguments &out) {
    ngx_str_t *words = arguments(cf);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        std::string_view word = view(words[i]);
        if (oidc::starts_with(word, "zone=") && out.name.len == 0) {
            size_t colon = word.find(':', 5);
            if (colon == std::string_view::npos || colon == 5) {
                return conf_error(cf, "invalid zone " + quoted(words[i]) + " in \"keyval_zone\", write zone=name:size");
            }
            out.name = borrow(word.substr(5, colon - 5));
            ngx_str_t size = borrow(word.substr(colon + 1));
            out.size = ngx_parse_size(&size);
            if (out.size == NGX_ERROR || out.size < static_cast<ssize_t>(8 * ngx_pagesize)) {
                return conf_error(cf,
                                  "invalid zone size " + quoted(size) + " in \"keyval_zone\", it must be at least 32k");
            }
        } else if (word == "sync") {
            out.sync = true;
        } else if (!take_argument(word, out)) {
            return conf_error(cf, "invalid parameter " + quoted(words[i]) +
                                      " in \"keyval_zone\", it takes zone=name:size, "
                                      "timeout=time, state=file, type=string|ip|prefix and sync, each once");
        }
    }
    if (out.name.len == 0) {
        return conf_error(cf, "\"keyval_zone\" needs the parameter zone=name:size");
    }
    return static_cast<char *>(NGX_CONF_OK);
}

}  // namespace

char *set_keyval_zone(ngx_conf_t *cf, ngx_command_t *, void *conf) {
    ngx_module_t *owner = nullptr;
    if (ngx_command_t *foreign = foreign_keyval_zone(cf, &owner)) {
        auto *context = static_cast<ngx_http_conf_ctx_t *>(cf->ctx);
        return foreign->set(cf, foreign, context->main_conf[owner->ctx_index]);
    }
    ZoneArguments zone;
    char *status = read_zone_arguments(cf, zone);
    if (status != NGX_CONF_OK) {
        return status;
    }
    auto *main = static_cast<MainConf *>(conf);
    if (zone.state.len != 0 && ngx_conf_full_name(cf->cycle, &zone.state, 0) != NGX_OK) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    for (const ZoneName &other : main->zones) {
        if (view(other.name) == view(zone.name)) {
            return conf_error(cf, "duplicate zone " + quoted(zone.name) + " in \"keyval_zone\"");
        }
        if (zone.state.len != 0 && view(other.state) == view(zone.state)) {
            return conf_error(cf, "the state file " + quoted(zone.state) + " in \"keyval_zone\" belongs to zone " +
                                      quoted(other.name) + " already: give each zone its own");
        }
    }
    ZoneOptions options{zone.name, static_cast<size_t>(zone.size), zone.timeout, zone.state};
    if (zone_store(cf, options) == nullptr) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }
    main->zones.push_back({zone.name, zone.state});
    if (zone.sync) {
        conf_log(cf, NGX_LOG_WARN, here(cf),
                 "\"sync\" of \"keyval_zone\" is ignored: sessions stay on this host, "
                 "for a fleet write \"session_store redis://...\"");
    }
    return static_cast<char *>(NGX_CONF_OK);
}

}  // namespace auth_oidc
