#include "engine/volume/sealer.hpp"

#include "compose/model/error.hpp"
#include "engine/system/fd.hpp"
#include "engine/system/file.hpp"

#include <array>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <sodium.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace engine {

using compose::error;
using compose::error_kind;
namespace fs = std::filesystem;

namespace {

constexpr char context[crypto_kdf_CONTEXTBYTES + 1] = "composed"; // of the keys derived from the file's
constexpr std::uint64_t sealing = 1;
constexpr std::uint64_t digesting = 2;
constexpr std::size_t digest_size = 20;

struct locked_free {
    void operator()(unsigned char* bytes) const noexcept { ::sodium_free(bytes); }
};
using locked_bytes = std::unique_ptr<unsigned char, locked_free>;

locked_bytes locked(std::size_t size) {
    if (::sodium_init() < 0)
        throw error(error_kind::internal, "libsodium does not start: this host has no source of randomness");
    locked_bytes bytes(static_cast<unsigned char*>(::sodium_malloc(size)));
    if (!bytes)
        throw error(error_kind::exhausted,
            "no locked memory is left for the key of secrets; raise LimitMEMLOCK of composed");
    return bytes;
}

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

void flush_folder(const fs::path& folder) {
    const unique_fd at = open_file(folder, O_RDONLY | O_DIRECTORY);
    if (::fsync(at.get()) != 0)
        throw_errno("flush folder", folder.native());
}

/// Durable when it returns: nothing may be sealed with a key that a power cut takes away.
void make_key(const fs::path& file) {
    const locked_bytes key = locked(crypto_kdf_KEYBYTES);
    ::crypto_kdf_keygen(key.get());
    const fs::path half = file.native() + ".tmp";
    fs::remove(half);
    const unique_fd made = open_file(half, O_WRONLY | O_CREAT | O_EXCL, 0600);
    write_to(made, {reinterpret_cast<const char*>(key.get()), crypto_kdf_KEYBYTES}, half);
    if (::fsync(made.get()) != 0)
        throw_errno("flush", half.native());
    fs::rename(half, file);
    flush_folder(file.parent_path());
}

/// Into `key`; false when the file is none of ours.
bool read_key(const unique_fd& file, unsigned char* key) {
    struct stat status {};
    return ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) &&
           status.st_size == crypto_kdf_KEYBYTES &&
           ::read(file.get(), key, crypto_kdf_KEYBYTES) == static_cast<ssize_t>(crypto_kdf_KEYBYTES);
}

} // namespace

struct sealer::implementation {
    fs::path file;
    std::string problem; // with the key; empty: none
    locked_bytes sealing_key;
    locked_bytes digest_key;

    void check() const {
        if (!problem.empty())
            throw error(error_kind::unavailable,
                fmt::format("the key of secrets \"{}\" {}: put it back from your backup and start composed "
                            "again; if it is lost, stop composed, make a new one with: composed "
                            "--new-secret-key --state {}, and bring the stacks up again from their files",
                    file.native(), problem, file.parent_path().native()));
    }
};

sealer::sealer(fs::path key_file, bool in_use) : implementation_(std::make_unique<implementation>()) {
    implementation& self = *implementation_;
    self.file = std::move(key_file);
    std::error_code none;
    if (!in_use && !fs::exists(self.file, none))
        make_key(self.file);
    const unique_fd file(::open(self.file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    const locked_bytes key = locked(crypto_kdf_KEYBYTES);
    if (!file)
        self.problem = errno == ENOENT ? "is not there" : "cannot be opened";
    else if (!read_key(file, key.get()))
        self.problem = "is not one: it must have 32 bytes";
    if (!self.problem.empty()) {
        spdlog::error(
            "the key of secrets \"{}\" {}; what needs them does not start", self.file.native(), self.problem);
        return;
    }
    self.sealing_key = locked(crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
    self.digest_key = locked(crypto_generichash_KEYBYTES);
    ::crypto_kdf_derive_from_key(
        self.sealing_key.get(), crypto_aead_xchacha20poly1305_ietf_KEYBYTES, sealing, context, key.get());
    ::crypto_kdf_derive_from_key(
        self.digest_key.get(), crypto_generichash_KEYBYTES, digesting, context, key.get());
}

sealer::~sealer() = default;

std::string sealer::seal(std::string_view plain, std::string_view about) const {
    implementation_->check();
    constexpr std::size_t nonce_size = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
    std::vector<unsigned char> sealed(nonce_size + plain.size() + crypto_aead_xchacha20poly1305_ietf_ABYTES);
    ::randombytes_buf(sealed.data(), nonce_size);
    ::crypto_aead_xchacha20poly1305_ietf_encrypt(sealed.data() + nonce_size, nullptr, bytes_of(plain),
        plain.size(), bytes_of(about), about.size(), nullptr, sealed.data(),
        implementation_->sealing_key.get());
    std::string text(sodium_base64_ENCODED_LEN(sealed.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
    ::sodium_bin2base64(
        text.data(), text.size(), sealed.data(), sealed.size(), sodium_base64_VARIANT_ORIGINAL);
    text.pop_back(); // its NUL
    return text;
}

std::string sealer::open(std::string_view sealed, std::string_view about, std::string_view what) const {
    implementation_->check();
    constexpr std::size_t nonce_size = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
    constexpr std::size_t overhead = nonce_size + crypto_aead_xchacha20poly1305_ietf_ABYTES;
    std::vector<unsigned char> bytes(sealed.size());
    std::size_t size = 0;
    const bool is_base64 = ::sodium_base642bin(bytes.data(), bytes.size(), sealed.data(), sealed.size(),
                               nullptr, &size, nullptr, sodium_base64_VARIANT_ORIGINAL) == 0;
    std::string plain(is_base64 && size >= overhead ? size - overhead : 0, '\0');
    if (!is_base64 || size < overhead ||
        ::crypto_aead_xchacha20poly1305_ietf_decrypt(reinterpret_cast<unsigned char*>(plain.data()), nullptr,
            nullptr, bytes.data() + nonce_size, size - nonce_size, bytes_of(about), about.size(),
            bytes.data(), implementation_->sealing_key.get()) != 0)
        throw error(error_kind::unavailable,
            fmt::format("{} does not open with the key \"{}\": another one has sealed it, or the store was "
                        "tampered with; put the right key back, or bring the stack up again from its files "
                        "(an external one: remove and create it again)",
                what, implementation_->file.native()));
    return plain;
}

std::string sealer::digest(std::string_view plain, std::string_view about) const {
    implementation_->check();
    std::array<unsigned char, digest_size> digest{};
    crypto_generichash_state state;
    ::crypto_generichash_init(
        &state, implementation_->digest_key.get(), crypto_generichash_KEYBYTES, digest.size());
    const std::string head = fmt::format("{}:{}", about.size(), about);
    ::crypto_generichash_update(&state, bytes_of(head), head.size());
    ::crypto_generichash_update(&state, bytes_of(plain), plain.size());
    ::crypto_generichash_final(&state, digest.data(), digest.size());
    ::sodium_memzero(&state, sizeof state);
    std::string hex;
    for (const unsigned char each : digest)
        hex += fmt::format("{:02x}", each);
    return hex;
}

fs::path replace_key(const fs::path& key_file) {
    fs::path old;
    if (fs::exists(key_file)) {
        for (int number = 1; old.empty() || fs::exists(old); ++number)
            old = fmt::format("{}.old-{}", key_file.native(), number);
        fs::create_hard_link(key_file, old); // at any moment there is one under the name
    }
    make_key(key_file);
    return old;
}

void wipe(std::string& text) noexcept {
    ::sodium_memzero(text.data(), text.size());
    text.clear();
}

} // namespace engine
