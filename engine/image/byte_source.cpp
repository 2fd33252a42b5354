#include "engine/image/byte_source.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

constexpr std::size_t buffer_size = 256U << 10U;
// A window above this would let a small file ask for gigabytes of memory.
constexpr int longest_window_log = 27;

/// What is read ahead of a decoder.
class ahead {
  public:
    explicit ahead(byte_source& from) : from_(from), bytes_(buffer_size) {}

    /// False at the end of the source.
    bool fill() {
        if (begin_ < end_)
            return true;
        begin_ = 0;
        end_ = from_.read(bytes_);
        return end_ > 0;
    }

    /// At least `count` bytes unless the source ends before.
    std::span<const char> peek(std::size_t count) {
        while (end_ - begin_ < count) {
            std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
            end_ -= begin_;
            begin_ = 0;
            const std::size_t got = from_.read(std::span(bytes_).subspan(end_));
            if (got == 0)
                break;
            end_ += got;
        }
        return {bytes_.data() + begin_, end_ - begin_};
    }

    char* data() noexcept { return bytes_.data() + begin_; }
    std::size_t size() const noexcept { return end_ - begin_; }
    void consume(std::size_t count) noexcept { begin_ += count; }

  private:
    byte_source& from_;
    std::vector<char> bytes_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

class plain_source final : public byte_source {
  public:
    explicit plain_source(std::unique_ptr<ahead> input) : input_(std::move(input)) {}
    std::size_t read(std::span<char> into) override {
        if (!input_->fill())
            return 0;
        const std::size_t count = std::min(into.size(), input_->size());
        std::memcpy(into.data(), input_->data(), count);
        input_->consume(count);
        return count;
    }

  private:
    std::unique_ptr<ahead> input_;
};

class gzip_source final : public byte_source {
  public:
    explicit gzip_source(std::unique_ptr<ahead> input)
        : input_(std::move(input)), state_(std::make_unique<inflate_state>()) {
        begin();
    }

    std::size_t read(std::span<char> into) override {
        state_->next_out = reinterpret_cast<std::uint8_t*>(into.data());
        state_->avail_out = static_cast<std::uint32_t>(into.size());
        while (state_->avail_out == into.size()) {
            if (state_->block_state == ISAL_BLOCK_FINISH) {
                // Another member may follow; zeros after the last one are padding.
                const auto next = input_->peek(2);
                if (next.size() < 2 || next[0] != '\x1f' || next[1] != '\x8b')
                    return 0;
                std::uint8_t* out = state_->next_out;
                const std::uint32_t room = state_->avail_out;
                begin();
                state_->next_out = out;
                state_->avail_out = room;
            }
            if (!input_->fill())
                throw error(error_kind::invalid, "layer: the gzip stream ends in the middle");
            state_->next_in = reinterpret_cast<std::uint8_t*>(input_->data());
            state_->avail_in = static_cast<std::uint32_t>(input_->size());
            const std::uint32_t before = state_->avail_in;
            const int result = ::isal_inflate(state_.get());
            if (result != ISAL_DECOMP_OK)
                throw error(error_kind::invalid,
                    fmt::format("layer: the gzip stream is broken (ISA-L says {})", result));
            input_->consume(before - state_->avail_in);
        }
        return into.size() - state_->avail_out;
    }

  private:
    void begin() {
        ::isal_inflate_init(state_.get());
        state_->crc_flag = ISAL_GZIP; // head and check sum are read and verified
    }

    std::unique_ptr<ahead> input_;
    std::unique_ptr<inflate_state> state_;
};

class zstd_source final : public byte_source {
  public:
    explicit zstd_source(std::unique_ptr<ahead> input)
        : input_(std::move(input)), stream_(::ZSTD_createDStream()) {
        if (!stream_)
            throw error(error_kind::exhausted, "begin zstd: out of memory");
        ::ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, longest_window_log);
    }

    std::size_t read(std::span<char> into) override {
        ZSTD_outBuffer out{.dst = into.data(), .size = into.size(), .pos = 0};
        while (out.pos == 0) {
            if (!input_->fill()) {
                if (pending_ != 0)
                    throw error(error_kind::invalid, "layer: the zstd stream ends in the middle");
                return 0;
            }
            ZSTD_inBuffer in{.src = input_->data(), .size = input_->size(), .pos = 0};
            pending_ = ::ZSTD_decompressStream(stream_.get(), &out, &in);
            if (::ZSTD_isError(pending_) != 0)
                throw error(error_kind::invalid,
                    fmt::format("layer: the zstd stream is broken: {}", ::ZSTD_getErrorName(pending_)));
            input_->consume(in.pos);
        }
        return out.pos;
    }

  private:
    struct deleter {
        void operator()(ZSTD_DStream* stream) const noexcept { ::ZSTD_freeDStream(stream); }
    };
    std::unique_ptr<ahead> input_;
    std::unique_ptr<ZSTD_DStream, deleter> stream_;
    std::size_t pending_ = 0;
};

} // namespace

std::size_t file_source::read(std::span<char> into) {
    for (;;) {
        const ssize_t got = ::read(file_.get(), into.data(), into.size());
        if (got >= 0)
            return static_cast<std::size_t>(got);
        if (errno != EINTR)
            throw_errno("read", name_);
    }
}

std::size_t hashing_source::read(std::span<char> into) {
    const std::size_t got = from_.read(into);
    hash_.add(into.subspan(0, got));
    size_ += got;
    return got;
}

digest hashing_source::finish() {
    std::vector<char> rest(buffer_size);
    while (read(rest) > 0) {
    }
    return hash_.finish();
}

std::unique_ptr<byte_source> decompress(byte_source& from) {
    auto input = std::make_unique<ahead>(from);
    const auto magic = input->peek(4);
    const auto begins_with = [&](std::string_view bytes) {
        return magic.size() >= bytes.size() && std::equal(bytes.begin(), bytes.end(), magic.begin());
    };
    if (begins_with("\x1f\x8b"))
        return std::make_unique<gzip_source>(std::move(input));
    // 0x184D2A5? are zstd's skippable frames.
    const bool skippable = magic.size() >= 4 && (static_cast<unsigned char>(magic[0]) & 0xf0U) == 0x50 &&
                           magic[1] == '\x2a' && magic[2] == '\x4d' && magic[3] == '\x18';
    if (begins_with("\x28\xb5\x2f\xfd") || skippable)
        return std::make_unique<zstd_source>(std::move(input));
    return std::make_unique<plain_source>(std::move(input));
}

} // namespace engine
