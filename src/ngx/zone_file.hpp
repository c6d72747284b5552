// The file that keeps a session zone: a head, then sealed frames, each bound to its file and its place in it, and a
// last one. What is not all there, in order and unchanged is nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../oidc/seal.hpp"
#include "record_id.hpp"

namespace auth_oidc {

// Of the secrets the first seals, all open.
class StateKeys {
public:
    explicit StateKeys(const std::vector<std::string> &secrets);
    const oidc::SealKey &first() const { return *keys_.front(); }
    std::optional<std::string> open(std::string_view sealed, std::string_view associated) const;

private:
    std::vector<std::unique_ptr<oidc::SealKey>> keys_;
};

constexpr size_t generation_size = 16;
constexpr size_t state_head_size = 8 + generation_size + 16;

// The generation that wrote a file with this head; nothing when it is no such head.
std::optional<std::string_view> state_generation(std::string_view head);

class StateWriter {
public:
    StateWriter(const StateKeys &keys, std::string_view generation);
    const std::string &head() const { return head_; }
    void add(const RecordId &id, std::string_view record);
    bool is_empty() const { return payload_.empty(); }
    // What was added since the last call, as bytes for the file.
    std::string frame();
    std::string last_frame(const std::vector<RecordId> &ended);

private:
    std::string sealed(char kind);
    const StateKeys &keys_;
    std::string head_, payload_;
    uint64_t index_ = 0;
};

struct StateContent {
    struct Record {
        RecordId id;
        std::string text;
    };
    std::vector<Record> records;
    std::vector<RecordId> ended;
};
std::optional<StateContent> read_state(std::string_view file, const StateKeys &keys);

}  // namespace auth_oidc
