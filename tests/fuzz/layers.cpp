#include "engine/image/byte_source.hpp"
#include "engine/image/layer_unpacker.hpp"

#include "compose/model/error.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

namespace {

namespace fs = std::filesystem;

class bytes final : public engine::byte_source {
  public:
    explicit bytes(std::string_view text) : text_(text) {}
    std::size_t read(std::span<char> into) override {
        const std::size_t count = std::min(into.size(), text_.size());
        std::memcpy(into.data(), text_.data(), count);
        text_.remove_prefix(count);
        return count;
    }

  private:
    std::string_view text_;
};

/// On a file system in memory; goes with the process.
struct place {
    place() {
        std::string pattern = "/dev/shm/composed-fuzz-XXXXXX";
        if (::mkdtemp(pattern.data()) == nullptr) {
            std::perror(pattern.c_str());
            std::abort();
        }
        base = pattern;
        fs::create_directory(base / "canary");
    }
    ~place() { fs::remove_all(base); }
    fs::path base;
};

} // namespace

/// A layer, packed or not, with its check sums put right: it is refused, or unpacked below its folder.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    static const place here;
    std::string text(reinterpret_cast<const char*>(data), size);
    for (std::size_t at = 0; at + 512 <= text.size(); at += 512) {
        unsigned sum = 0;
        for (std::size_t byte = 0; byte < 512; ++byte)
            sum += byte >= 148 && byte < 156 ? ' ' : static_cast<unsigned char>(text[at + byte]);
        char digits[8];
        std::snprintf(digits, sizeof digits, "%06o", sum);
        if (text.compare(at + 257, 5, "ustar") == 0)
            text.replace(at + 148, 8, std::string(digits, 6) + std::string("\0 ", 2));
    }
    const fs::path layer = here.base / "layer";
    fs::create_directory(layer);
    try {
        bytes whole(text);
        const auto unpacked = engine::decompress(whole);
        engine::unpack_layer(*unpacked, layer, {.entries = 1000, .bytes = 1U << 20U, .least_free = 0});
    } catch (const compose::error&) {
    }
    fs::remove_all(layer);
    if (std::distance(fs::directory_iterator(here.base), {}) != 1 || !fs::is_empty(here.base / "canary"))
        std::abort();
    return 0;
}
