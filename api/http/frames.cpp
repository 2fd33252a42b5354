#include "api/http/frames.hpp"

#include "compose/model/error.hpp"

namespace api {

namespace {

constexpr std::size_t head_size = 8;
constexpr std::size_t most_payload = 1U << 20U;

} // namespace

std::string encode_frame(frame_type type, std::string_view payload) {
    const auto size = static_cast<std::uint32_t>(payload.size());
    std::string bytes(head_size, '\0');
    bytes[0] = static_cast<char>(type);
    for (unsigned index = 0; index < 4; ++index)
        bytes[4 + index] = static_cast<char>(size >> (24U - 8U * index) & 255U);
    bytes += payload;
    return bytes;
}

void frame_decoder::feed(std::string_view bytes) {
    pending_.erase(0, at_);
    at_ = 0;
    pending_ += bytes;
}

std::optional<frame> frame_decoder::next() {
    if (pending_.size() - at_ < head_size)
        return std::nullopt;
    std::uint32_t size = 0;
    for (std::size_t index = 4; index < head_size; ++index)
        size = size << 8U | static_cast<unsigned char>(pending_[at_ + index]);
    const auto type = static_cast<unsigned char>(pending_[at_]);
    if (type > static_cast<unsigned char>(frame_type::signal) || size > most_payload)
        throw compose::error(compose::error_kind::invalid, "exec connection: not a frame");
    if (pending_.size() - at_ - head_size < size)
        return std::nullopt;
    frame whole{.type = static_cast<frame_type>(type), .payload = pending_.substr(at_ + head_size, size)};
    at_ += head_size + size;
    return whole;
}

} // namespace api
