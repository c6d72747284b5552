// Shared by the tests of what is read in place.
#pragma once

#include <algorithm>
#include <memory>
#include <string_view>

// A record in memory of exactly its size, so that a byte read behind it is seen by the sanitizer.
class Exact {
public:
    explicit Exact(std::string_view text) : size_(text.size()), bytes_(new char[text.size()]) {
        std::copy(text.begin(), text.end(), bytes_.get());
    }
    std::string_view view() const { return {bytes_.get(), size_}; }
    bool holds(std::string_view part) const {
        return part.empty() || (part.data() >= bytes_.get() && part.data() + part.size() <= bytes_.get() + size_);
    }

private:
    size_t size_;
    std::unique_ptr<char[]> bytes_;
};
