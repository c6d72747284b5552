// TLS of a connection to Redis. A certificate is always verified, and its name is the host's of the URL.
#include "store_redis_tls.hpp"
#include "store_redis_link.hpp"

namespace auth_oidc {

#if (NGX_SSL)
namespace {

bool is_address(const std::string &host) {
    return host.find(':') != std::string::npos || host.find_first_not_of("0123456789.") == std::string::npos;
}

std::string bare(const std::string &host) {
    return host.size() > 2 && host[0] == '[' ? host.substr(1, host.size() - 2) : host;
}

// What OpenSSL compares while it verifies: a connection to somebody else does not come about.
bool expect_host(SSL *ssl, const std::string &host) {
    X509_VERIFY_PARAM *expected = SSL_get0_param(ssl);
    if (is_address(host)) {
        return X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1;
    }
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(expected, host.c_str(), host.size()) == 1 &&
           SSL_set_tlsext_host_name(ssl, const_cast<char *>(host.c_str())) == 1;
}

}  // namespace

ngx_ssl_t *redis_tls(ngx_conf_t *cf, const std::string &ca) {
    auto *ssl = static_cast<ngx_ssl_t *>(ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t)));
    if (ssl == nullptr) {
        throw std::bad_alloc();
    }
    ssl->log = cf->log;
    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3, nullptr) != NGX_OK) {
        return nullptr;
    }
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cf->pool, 0);
    if (cleanup == nullptr) {
        ngx_ssl_cleanup_ctx(ssl);
        throw std::bad_alloc();
    }
    cleanup->handler = ngx_ssl_cleanup_ctx;
    cleanup->data = ssl;
    ngx_str_t file = copy(cf->pool, ca);
    if (ca.empty() ? SSL_CTX_set_default_verify_paths(ssl->ctx) != 1
                   : ngx_ssl_trusted_certificate(cf, ssl, &file, 9) != NGX_OK) {
        return nullptr;
    }
    SSL_CTX_set_verify(ssl->ctx, SSL_VERIFY_PEER, nullptr);
    return ssl;
}

void RedisLink::start_tls() {
    state_ = State::securing;
    std::string host = bare(server_.url.host);
    if (ngx_ssl_create_connection(server_.ssl, connection_, NGX_SSL_CLIENT) != NGX_OK ||
        !expect_host(connection_->ssl->connection, host)) {
        return fail("TLS cannot begin");
    }
    connection_->sendfile = 0;
    if (ngx_ssl_handshake(connection_) == NGX_AGAIN) {
        connection_->ssl->handler = entry<&RedisLink::on_handshake>;
        return;
    }
    secured();
}

void RedisLink::secured() {
    if (!connection_->ssl->handshaked) {
        long result = SSL_get_verify_result(connection_->ssl->connection);
        return fail(result == X509_V_OK
                        ? std::string("TLS failed")
                        : std::string("the certificate is refused: ") + X509_verify_cert_error_string(result));
    }
    greet();
}

void RedisLink::on_handshake(ngx_connection_t *c) {
    static_cast<RedisLink *>(c->data)->secured();
}

#else

ngx_ssl_t *redis_tls(ngx_conf_t *, const std::string &) {
    return nullptr;
}
void RedisLink::start_tls() {
    fail("this nginx has no TLS");
}

#endif

}  // namespace auth_oidc
