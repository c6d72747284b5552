// A ticket as bytes. It lives in a cookie, five of them to a browser, so it is packed: numbers big-endian, texts
// behind their length.
#include <algorithm>

#include "http.hpp"
#include "session.hpp"

namespace oidc {

namespace {

constexpr unsigned char ticket_format = 1;
constexpr size_t max_ticket = 4096;
constexpr size_t max_acr_values = 16;
constexpr size_t max_acr_value = 255;
constexpr size_t max_token = 128;  // provider, nonce and verifier
constexpr size_t max_redirect_uri = 2048;
constexpr size_t max_target = 1200;  // the request target, cut by the login
constexpr size_t max_origin = 300;   // a scheme, a name and a port
constexpr uint64_t is_retried = 1, has_origin = 2;

bool is_path(std::string_view target) {
    const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    return !target.empty() && target[0] == '/' && std::none_of(target.begin(), target.end(), is_control);
}

bool is_origin(const std::string &text) {
    const auto url = http::parse_url(text);
    return url && text.size() <= max_origin && url->origin() == text;
}

// What a ticket may hold. The writer asks as well as the reader, so that no browser gets one that will not open.
bool is_sound(const Ticket &ticket) {
    const auto &acr = ticket.acr_values;
    return ticket.provider.size() <= max_token && ticket.nonce.size() <= max_token &&
           ticket.verifier.size() <= max_token && ticket.redirect_uri.size() <= max_redirect_uri &&
           ticket.target.size() <= max_target && is_path(ticket.target) &&
           (ticket.origin.empty() || is_origin(ticket.origin)) && ticket.created >= 0 && ticket.max_age >= -1 &&
           acr.size() <= max_acr_values &&
           std::all_of(acr.begin(), acr.end(), [](const auto &value) { return value.size() <= max_acr_value; });
}

class Writer {
public:
    void number(uint64_t value, size_t size) {
        while (size-- > 0) {
            record_.push_back(static_cast<char>(value >> (8 * size)));
        }
    }
    void text(std::string_view text, size_t length_size = 1) {
        number(text.size(), length_size);
        record_.append(text);
    }
    std::string take() { return std::move(record_); }

private:
    std::string record_;
};

// Past the end it gives zeros and empty texts, and remembers.
class Reader {
public:
    explicit Reader(std::string_view record) : rest_(record) {}

    uint64_t number(size_t size) {
        uint64_t value = 0;
        for (const char c : take(size)) {
            value = value << 8 | static_cast<unsigned char>(c);
        }
        return value;
    }
    std::string text(size_t length_size = 1) { return std::string(take(number(length_size))); }
    bool at_end() const { return good_ && rest_.empty(); }

private:
    std::string_view take(size_t size) {
        good_ = good_ && size <= rest_.size();
        if (!good_) {
            return {};
        }
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }

    std::string_view rest_;
    bool good_ = true;
};

}  // namespace

std::string write_ticket(const Ticket &ticket) {
    if (!is_sound(ticket)) {
        return {};
    }
    Writer writer;
    writer.number(ticket_format, 1);
    writer.number((ticket.retried ? is_retried : 0) | (ticket.origin.empty() ? 0 : has_origin), 1);
    writer.number(static_cast<uint64_t>(ticket.created), 8);
    writer.number(static_cast<uint64_t>(ticket.max_age), 8);
    writer.text(ticket.provider);
    writer.text(ticket.nonce);
    writer.text(ticket.verifier);
    writer.text(ticket.redirect_uri, 2);
    writer.text(ticket.target, 2);
    writer.number(ticket.acr_values.size(), 1);
    for (const std::string &value : ticket.acr_values) {
        writer.text(value);
    }
    if (!ticket.origin.empty()) {
        writer.text(ticket.origin, 2);
    }
    std::string record = writer.take();
    return record.size() <= max_ticket ? record : std::string();
}

std::optional<Ticket> read_ticket(std::string_view record) {
    if (record.size() > max_ticket) {
        return std::nullopt;
    }
    Reader reader(record);
    if (reader.number(1) != ticket_format) {
        return std::nullopt;
    }
    Ticket ticket;
    const uint64_t flags = reader.number(1);
    ticket.retried = (flags & is_retried) != 0;
    ticket.created = static_cast<int64_t>(reader.number(8));
    ticket.max_age = static_cast<int64_t>(reader.number(8));
    ticket.provider = reader.text();
    ticket.nonce = reader.text();
    ticket.verifier = reader.text();
    ticket.redirect_uri = reader.text(2);
    ticket.target = reader.text(2);
    for (uint64_t count = reader.number(1); count > 0; count--) {
        ticket.acr_values.push_back(reader.text());
    }
    if ((flags & has_origin) != 0) {
        ticket.origin = reader.text(2);
    }
    const bool told = ((flags & has_origin) != 0) == !ticket.origin.empty();
    if (!reader.at_end() || !told || flags > (is_retried | has_origin) || !is_sound(ticket)) {
        return std::nullopt;
    }
    return ticket;
}

}  // namespace oidc
