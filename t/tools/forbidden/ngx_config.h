#error "src/oidc is compiled without nginx and curl: what needs ngx_config.h belongs into src/ngx"
