#error "src/oidc is compiled without nginx and curl: what needs ngx_http.h belongs into src/ngx"
