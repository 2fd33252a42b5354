#pragma once

#include <compare>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace engine {

/// A content address "sha256:" and 64 lower-case hex digits. Can be made in no other form, so it is safe as a
/// part of a path (CVE-2024-3727 was one that was not).
class digest {
  public:
    /// Throws error{invalid} for anything else.
    explicit digest(std::string_view text);

    const std::string& text() const noexcept { return text_; }
    /// The digits alone: names of files and folders.
    std::string hex() const { return text_.substr(7); }

    auto operator<=>(const digest&) const = default;

  private:
    std::string text_;
};

/// SHA-256 of what is fed to it.
class sha256 {
  public:
    sha256();
    ~sha256();
    sha256(sha256&&) noexcept;
    sha256& operator=(sha256&&) noexcept;

    void add(std::span<const char> bytes);
    /// Once, at the end.
    digest finish();

  private:
    struct context;
    std::unique_ptr<context> context_;
};

digest sha256_of(std::string_view text);

} // namespace engine
