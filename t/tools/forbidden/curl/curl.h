#error "src/oidc is compiled without nginx and curl: what needs curl.h belongs into src/ngx"
