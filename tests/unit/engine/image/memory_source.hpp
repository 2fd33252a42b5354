#pragma once

#include "engine/image/byte_source.hpp"

#include <algorithm>
#include <cstring>
#include <string>

namespace engine {

/// A text, given out in pieces of at most `step` bytes.
class memory_source final : public byte_source {
  public:
    explicit memory_source(std::string text, std::size_t step = 1U << 20U)
        : text_(std::move(text)), step_(step) {}

    std::size_t read(std::span<char> into) override {
        const std::size_t count = std::min({into.size(), step_, text_.size() - at_});
        std::memcpy(into.data(), text_.data() + at_, count);
        at_ += count;
        return count;
    }

  private:
    std::string text_;
    std::size_t step_;
    std::size_t at_ = 0;
};

inline std::string drain(byte_source& from, std::size_t step = 4096) {
    std::string text;
    std::string part(step, '\0');
    for (std::size_t got = from.read(part); got > 0; got = from.read(part))
        text.append(part, 0, got);
    return text;
}

} // namespace engine
