// Setters for one value of the provider's block: as nginx's own, with messages that name the directive and say what to
// write.
#pragma once

#include "config.hpp"

namespace auth_oidc {

char *set_text(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *set_time(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *set_msec(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
// cmd->post is nginx's table of words.
char *set_word(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
// A query string: what holds no variable is decoded now, so that a broken one is found here and not at a login.
char *set_arguments(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

// The setter, and the line it stood on: some mistakes can only be seen when the whole block is known.
template <char *(*Set)(ngx_conf_t *, ngx_command_t *, void *)>
char *noting(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    static_cast<Provider *>(conf)->lines.emplace_back(view(cmd->name), here(cf));
    return Set(cf, cmd, conf);
}

}  // namespace auth_oidc
