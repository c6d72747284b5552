// What the files about the oidc_provider block share.
#pragma once

#include "config.hpp"

namespace auth_oidc {

inline std::string text(const ngx_str_t &value) {
    return std::string(view(value));
}
std::vector<std::string> words(const ngx_array_t *list);
// Letters, digits, "-", "_" and ".".
bool is_token(std::string_view value);

// One message of a provider's block, at the line of its directive: which one, what is wrong, what to write.
char *refuse(ngx_conf_t *cf, const Provider &provider, const std::string &message, std::string_view directive = {});

// What the block of oidc_secrets says and the provider's own does not; then what the entry says and neither does.
char *say_common(ngx_conf_t *cf, Provider &provider);
void fill_from_secrets(ngx_conf_t *cf, Provider &provider);
// What of a login goes into the session: what the configuration uses, or session_keep.
void complete_keep(ngx_conf_t *cf, const MainConf &main, Provider &provider);
// Before defaults: the words of session_keep.
char *check_keep(ngx_conf_t *cf, const Provider &provider);
// What must be there and what was written, before defaults; then what fits together, with them.
char *check_required(ngx_conf_t *cf, const Provider &provider);
// ssl_certificate and its key, which fit together (client_certificate.cpp).
char *load_client_certificate(ngx_conf_t *cf, Provider &provider);
char *check_values(ngx_conf_t *cf, const Provider &provider);

}  // namespace auth_oidc
