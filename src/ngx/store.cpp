#include "store.hpp"

#include "state.hpp"

namespace auth_oidc {

void Store::ended() const {
    if (state != nullptr) {
        state->session_ended();
    }
}

oidc::Digest index_key(std::string_view binding, std::string_view value) {
    // The binding has a fixed size, so no two pairs give one text.
    std::string text(binding);
    text += value;
    return oidc::sha256(text);
}

}  // namespace auth_oidc
