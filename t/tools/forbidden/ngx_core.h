#error "src/oidc is compiled without nginx and curl: what needs ngx_core.h belongs into src/ngx"
