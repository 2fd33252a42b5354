#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace engine {

/// Seals what must not lie on the disk in clear: libsodium's XChaCha20-Poly1305 with a random nonce, under a
/// key that is derived from the key file. Owns that file (32 bytes, 0600). The key is in memory that is
/// locked, fenced off and left out of core files.
///
/// A key file that is not there is made only while nothing is sealed yet: with a new one, what an old one has
/// sealed could never be told from what somebody has forged. Without a usable file every call throws
/// error{unavailable} saying what to do; the daemon itself goes on.
class sealer {
  public:
    /// `in_use`: something is sealed already. Blocks. Throws only for a file that cannot be made.
    sealer(std::filesystem::path key_file, bool in_use);
    ~sealer();

    /// In base64. `about` says what it is and where it belongs: open() has to name the same.
    std::string seal(std::string_view plain, std::string_view about) const;

    /// Throws error{unavailable} when it was not sealed with this key, or not about this, or was tampered
    /// with. The message names `what`.
    std::string open(std::string_view sealed, std::string_view about, std::string_view what) const;

    /// Keyed, so that nobody without the key can find out by guessing what it is the digest of. Hexadecimal.
    std::string digest(std::string_view plain, std::string_view about) const;

  private:
    struct implementation;
    std::unique_ptr<implementation> implementation_;
};

/// For the person who has lost the key: puts a new one in the place of `key_file`, which is kept beside it as
/// NAME.old-N when there is one. What it has sealed stays unreadable. Blocks. Requires that no daemon runs.
/// Gives the name under which the old one is kept; empty when there was none.
std::filesystem::path replace_key(const std::filesystem::path& key_file);

/// Overwrites the text and empties it; the compiler does not leave that out.
void wipe(std::string& text) noexcept;

} // namespace engine
