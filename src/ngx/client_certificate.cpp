// ssl_certificate of a provider. Read while nginx may still read everything: a worker must not be able to read the
// key's file.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <fstream>
#include <iterator>

#include "provider_conf.hpp"

namespace auth_oidc {
namespace {

struct Free {
    void operator()(BIO *bio) const noexcept { BIO_free(bio); }
    void operator()(X509 *certificate) const noexcept { X509_free(certificate); }
    void operator()(EVP_PKEY *key) const noexcept { EVP_PKEY_free(key); }
};

std::string read_file(const ngx_str_t &path) {
    std::ifstream stream(text(path), std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
}

std::unique_ptr<BIO, Free> open_text(const std::string &pem) {
    return std::unique_ptr<BIO, Free>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// OpenSSL would ask for the pass phrase at the terminal.
int no_pass_phrase(char *, int, int, void *) {
    return 0;
}

}  // namespace

char *load_client_certificate(ngx_conf_t *cf, Provider &provider) {
    if (provider.ssl_certificate.len == 0) {
        return static_cast<char *>(NGX_CONF_OK);
    }
    std::string chain = read_file(provider.ssl_certificate);
    std::string pem = read_file(provider.ssl_certificate_key);
    std::unique_ptr<X509, Free> certificate(PEM_read_bio_X509(open_text(chain).get(), nullptr, nullptr, nullptr));
    std::unique_ptr<EVP_PKEY, Free> key(
        PEM_read_bio_PrivateKey(open_text(pem).get(), nullptr, no_pass_phrase, nullptr));
    bool fits = certificate && key && X509_check_private_key(certificate.get(), key.get()) == 1;
    ERR_clear_error();
    if (certificate == nullptr) {
        return refuse(cf, provider, "\"ssl_certificate\" holds no certificate in PEM form", "ssl_certificate");
    }
    if (key == nullptr) {
        return refuse(cf, provider, "\"ssl_certificate_key\" holds no private key in PEM form without a pass phrase",
                      "ssl_certificate_key");
    }
    if (!fits) {
        return refuse(cf, provider, "\"ssl_certificate_key\" is not the key of \"ssl_certificate\"",
                      "ssl_certificate_key");
    }
    provider.fetch.certificate = std::move(chain);
    provider.fetch.certificate_key = std::move(pem);
    return static_cast<char *>(NGX_CONF_OK);
}

}  // namespace auth_oidc
