// The callback's query or form, as any stranger may send it, up to the token request.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "oidc/login.hpp"

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

Ticket make_ticket(const Client &client) {
    Ticket ticket;
    ticket.provider = client.binding();
    ticket.redirect_uri = "https://app.example/oidc_callback";
    ticket.verifier = "the-verifier";
    ticket.target = "/";
    return ticket;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const Client client = make_client();
    static const auto provider = std::make_shared<const ProviderData>();
    const auto callback = read_callback({reinterpret_cast<const char *>(data), size});
    if (!callback) {
        demand(callback.error().fault == Fault::browser);
        return 0;
    }
    // It goes into a cookie's name.
    demand(callback->state.find_first_of("=; ,\r\n\"") == std::string::npos);
    Login login(client, provider, make_ticket(client));
    Action action = login.resume(*callback, 1'700'000'000);
    if (const auto *request = std::get_if<http::Request>(&action)) {
        demand(callback->error.empty() && (!callback->has_iss || callback->iss == client.issuer));
        demand(request->body.find_first_of("\r\n ") == std::string::npos);
    }
    if (const auto *error = std::get_if<Error>(&action)) {
        demand(error->text.find_first_of("\r\n") == std::string::npos);
    }
    return 0;
}
