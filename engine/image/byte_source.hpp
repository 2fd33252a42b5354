#pragma once

#include "engine/image/digest.hpp"
#include "engine/system/fd.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace engine {

/// Bytes in order, read by one thread. Every read throws error when the bytes cannot be had or are broken.
class byte_source {
  public:
    virtual ~byte_source() = default;
    /// As many bytes as there are, up to the size of `into`; 0 at the end only.
    virtual std::size_t read(std::span<char> into) = 0;
};

/// An open file from its beginning; `name` is for messages.
class file_source final : public byte_source {
  public:
    file_source(unique_fd file, std::string name) : file_(std::move(file)), name_(std::move(name)) {}
    std::size_t read(std::span<char> into) override;

  private:
    unique_fd file_;
    std::string name_;
};

/// Passes bytes on and computes their digest.
class hashing_source final : public byte_source {
  public:
    explicit hashing_source(byte_source& from) : from_(from) {}
    std::size_t read(std::span<char> into) override;

    /// Reads what is left and gives the digest of the whole.
    digest finish();
    std::uint64_t size() const noexcept { return size_; }

  private:
    byte_source& from_;
    sha256 hash_;
    std::uint64_t size_ = 0;
};

/// Inflates gzip (ISA-L) and zstd by their magic numbers; everything else passes as it is. Several members or
/// frames one after another are one stream, as eStargz and zstd:chunked write them.
std::unique_ptr<byte_source> decompress(byte_source& from);

} // namespace engine
