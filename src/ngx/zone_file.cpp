#include "zone_file.hpp"

#include <algorithm>
#include <cstring>

#include "../oidc/text.hpp"

namespace auth_oidc {
namespace {

constexpr std::string_view magic = "oidcst1\n";
constexpr char kind_records = 'r', kind_last = 'e';
constexpr size_t number_size = 4;

std::string number(uint32_t value) {
    std::string text(number_size, '\0');
    std::memcpy(text.data(), &value, number_size);
    return text;
}

std::string_view id_text(const RecordId &id) {
    return oidc::bytes(id.data(), id.size());
}

std::string associated(std::string_view head, uint64_t index) {
    return std::string(head) + std::to_string(index);
}

// Gives nothing once more was asked for than there is.
class Reader {
public:
    explicit Reader(std::string_view text) : rest_(text) {}
    std::optional<std::string_view> take(size_t size) {
        if (size > rest_.size()) {
            return std::nullopt;
        }
        std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }
    std::optional<std::string_view> take_sized() {
        auto size = take(number_size);
        uint32_t value = 0;
        if (size) {
            std::memcpy(&value, size->data(), number_size);
        }
        return size ? take(value) : std::nullopt;
    }
    std::optional<RecordId> take_id() {
        auto text = take(sizeof(RecordId));
        RecordId id{};
        if (text) {
            std::copy(text->begin(), text->end(), id.begin());
        }
        return text ? std::optional<RecordId>(id) : std::nullopt;
    }
    bool at_end() const { return rest_.empty(); }

private:
    std::string_view rest_;
};

bool read_records(std::string_view payload, StateContent &content) {
    for (Reader reader(payload); !reader.at_end();) {
        auto id = reader.take_id();
        auto text = id ? reader.take_sized() : std::nullopt;
        if (!text) {
            return false;
        }
        content.records.push_back({*id, std::string(*text)});
    }
    return true;
}

bool read_ended(std::string_view payload, StateContent &content) {
    for (Reader reader(payload); !reader.at_end();) {
        auto id = reader.take_id();
        if (!id) {
            return false;
        }
        content.ended.push_back(*id);
    }
    return true;
}

}  // namespace

StateKeys::StateKeys(const std::vector<std::string> &secrets) {
    for (const std::string &secret : secrets) {
        keys_.push_back(std::make_unique<oidc::SealKey>(oidc::hkdf(secret, "auth_oidc state file")));
    }
}

std::optional<std::string> StateKeys::open(std::string_view sealed, std::string_view associated) const {
    for (const auto &key : keys_) {
        if (auto plain = key->open(sealed, associated)) {
            return plain;
        }
    }
    return std::nullopt;
}

std::optional<std::string_view> state_generation(std::string_view head) {
    if (head.size() < state_head_size || !oidc::starts_with(head, magic)) {
        return std::nullopt;
    }
    return head.substr(magic.size(), generation_size);
}

StateWriter::StateWriter(const StateKeys &keys, std::string_view generation)
    : keys_(keys), head_(std::string(magic) + std::string(generation) + oidc::random_bytes(16)) {}

void StateWriter::add(const RecordId &id, std::string_view record) {
    payload_.append(id_text(id)).append(number(static_cast<uint32_t>(record.size()))).append(record);
}

std::string StateWriter::sealed(char kind) {
    std::string text = keys_.first().seal(kind + payload_, associated(head_, index_++));
    payload_.clear();
    return number(static_cast<uint32_t>(text.size())) + text;
}

std::string StateWriter::frame() {
    return sealed(kind_records);
}

std::string StateWriter::last_frame(const std::vector<RecordId> &ended) {
    for (const RecordId &id : ended) {
        payload_ += id_text(id);
    }
    return sealed(kind_last);
}

std::optional<StateContent> read_state(std::string_view file, const StateKeys &keys) {
    if (!state_generation(file)) {
        return std::nullopt;
    }
    std::string_view head = file.substr(0, state_head_size);
    Reader reader(file.substr(state_head_size));
    StateContent content;
    for (uint64_t index = 0;; index++) {
        auto sealed = reader.take_sized();
        auto plain = sealed ? keys.open(*sealed, associated(head, index)) : std::nullopt;
        if (!plain || plain->empty()) {
            return std::nullopt;
        }
        std::string_view payload = std::string_view(*plain).substr(1);
        if (plain->front() == kind_last) {
            return reader.at_end() && read_ended(payload, content) ? std::optional(std::move(content)) : std::nullopt;
        }
        if (plain->front() != kind_records || !read_records(payload, content)) {
            return std::nullopt;
        }
    }
}

}  // namespace auth_oidc
