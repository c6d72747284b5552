// Setters of directives. Those for one value of the provider's block are as nginx's own, with messages
// that name the directive and say what to
// write.
#pragma once

#include "config.hpp"

namespace auth_oidc {

// At the line that is being read.
inline char *conf_error(ngx_conf_t *cf, const std::string &message) {
    return conf_log(cf, NGX_LOG_EMERG, here(cf), message);
}
inline std::string quoted(const ngx_str_t &text) {
    return "\"" + std::string(view(text)) + "\"";
}
// The directive's name, then its values.
inline ngx_str_t *arguments(ngx_conf_t *cf) {
    return static_cast<ngx_str_t *>(cf->args->elts);
}

char *set_text(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *set_time(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *set_msec(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
// cmd->post is nginx's table of words.
char *set_word(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
// A query string: what holds no variable is decoded now, so that a broken one is found here and not at a login.
char *set_arguments(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

// cookie_lifetime: a time, or "session" for 0.
char *set_lifetime(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

// oidc_secrets (secrets_conf.cpp).
char *set_secrets(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
// nginx asks for a block or forbids it before the setter runs: the files are looked through beforehand
// (secrets_block.cpp).
void find_secrets_blocks(ngx_conf_t *cf, MainConf &main);
void expect_secrets(const MainConf &main);

char *set_keyval_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

// The setter, and what was said: some mistakes can only be seen when the whole block is known.
template <char *(*Set)(ngx_conf_t *, ngx_command_t *, void *)>
char *noting(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) {
    ngx_str_t *words = arguments(cf);
    static_cast<Provider *>(conf)->said.push_back({cmd, {words, words + cf->args->nelts}, here(cf)});
    return Set(cf, cmd, conf);
}

}  // namespace auth_oidc
