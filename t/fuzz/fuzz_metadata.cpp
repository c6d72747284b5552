// The provider's metadata, and the authorization request that follows from it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "oidc/http.hpp"
#include "oidc/login.hpp"
#include "oidc/protocol.hpp"

using namespace oidc;

namespace {

void demand(bool promise) {
    if (!promise) {
        std::abort();
    }
}

Client make_client() {
    Client client;
    client.name = "fuzz";
    client.issuer = "https://id.example";
    client.client_id = "app";
    client.client_secret = "secret";
    return client;
}

void check_endpoints(const Metadata &metadata) {
    for (const std::string *url :
         {&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri, &metadata.userinfo_endpoint,
          &metadata.end_session_endpoint, &metadata.revocation_endpoint, &metadata.introspection_endpoint}) {
        const auto parts = http::parse_url(*url);
        demand(url->empty() || (parts && parts->scheme == "https"));
    }
}

// Parameters of the query that begin with `name`, as a plain reader splits them.
int count_pieces(const std::string &url, const std::string &name) {
    int count = 0;
    for (size_t at = url.find('?'); at != std::string::npos; at = url.find('&', at + 1)) {
        count += url.compare(at + 1, name.size(), name) == 0;
    }
    return count;
}

// Whatever the provider's own query says, these are ours and stand there once.
void check_request(const Client &client, const Metadata &metadata) {
    LoginStart start;
    start.redirect_uri = "https://app.example/oidc_callback";
    start.target = "/";
    const auto begun = begin_login(client, metadata, start);
    demand(bool(begun));
    demand(bool(http::parse_url(begun->url)));
    for (const char *name : {"state=", "client_id=", "redirect_uri=", "nonce="}) {
        demand(count_pieces(begun->url, name) == 1);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const Client client = make_client();
    const auto metadata = read_metadata(client, {reinterpret_cast<const char *>(data), size});
    if (!metadata) {
        demand(metadata.error().text.find_first_of("\r\n") == std::string::npos);
        return 0;
    }
    demand(metadata->issuer == client.issuer);
    check_endpoints(*metadata);
    check_request(client, *metadata);
    (void)end_session_url(client, *metadata, {"https://app.example/", "s", "", ""});
    for (const auto &alg : id_token_algs(client, *metadata)) {
        demand(is_asymmetric_signing_alg(alg));
    }
    return 0;
}
