#include "session_size.hpp"

#include "../oidc/chunks.hpp"
#include "../oidc/session_size.hpp"
#include "provider_conf.hpp"
#include "signin.hpp"

namespace auth_oidc {
namespace {

// Of nginx's header buffer, for what else a browser sends in that line.
constexpr size_t for_others = 1024;

// In the Cookie line.
size_t bytes_in_header(const Provider &provider, std::string_view value) {
    size_t bytes = 0;
    for (const std::string &chunk : oidc::split_chunks(value, chunk_room(provider))) {
        bytes += chunk_name(session_cookie_name(provider, true), 1).size() + chunk.size() + 3;
    }
    return bytes;
}

size_t in_kilobytes(size_t bytes) {
    return (bytes + 1023) / 1024;
}

oidc::Error too_large(std::string text, std::string_view record, size_t too_much) {
    if (auto session = oidc::SessionView::over(record)) {
        text += "; " + oidc::size_advice(*session, too_much);
    }
    return oidc::our_error("session_too_large", std::move(text));
}

}  // namespace

std::optional<oidc::Error> session_size_error(ngx_http_request_t *r, const Provider &provider,
                                              const StoreCall &create) {
    const std::string size = "the session of " + std::to_string(create.record.size()) + " bytes";
    const bool chunked = provider.store->ops->chunked;
    if (create.answer == Stored::too_large) {
        const size_t most = oidc::base64url_decoded_size(oidc::max_chunks * chunk_room(provider));
        const size_t too_much = create.record.size() + 300 - std::min(create.record.size(), most);
        return too_large(size + " is too large for its store", create.record, chunked ? too_much : 0);
    }
    if (!chunked) {
        return std::nullopt;
    }
    auto *core = static_cast<ngx_http_core_srv_conf_t *>(ngx_http_get_module_srv_conf(r, ngx_http_core_module));
    const size_t needed = bytes_in_header(provider, create.new_cookie) + max_ticket_bytes + for_others;
    if (needed <= core->large_client_header_buffers.size) {
        return std::nullopt;
    }
    const size_t too_much = oidc::base64url_decoded_size(needed - core->large_client_header_buffers.size);
    return too_large(size + " does not fit into the header of a request: write \"large_client_header_buffers 4 " +
                         std::to_string(in_kilobytes(needed)) + "k;\"",
                     create.record, too_much);
}

char *check_header_buffers(ngx_conf_t *cf, const ServerConf &server, const ngx_http_core_srv_conf_t &core) {
    const size_t needed = oidc::max_chunk_line + max_ticket_bytes + for_others;
    for (const Provider *provider : server.providers) {
        if (provider->store->ops->chunked && core.large_client_header_buffers.size < needed) {
            return refuse(cf, *provider,
                          "\"session_store cookie\" needs larger buffers for the header of a request: write "
                          "\"large_client_header_buffers 4 " +
                              std::to_string(in_kilobytes(needed)) + "k;\"",
                          "session_store");
        }
    }
    return static_cast<char *>(NGX_CONF_OK);
}

}  // namespace auth_oidc
