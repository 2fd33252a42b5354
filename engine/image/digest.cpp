#include "engine/image/digest.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

namespace engine {

using compose::error;
using compose::error_kind;

digest::digest(std::string_view text) : text_(text) {
    constexpr std::string_view algorithm = "sha256:";
    const std::string_view hex = text.substr(std::min(algorithm.size(), text.size()));
    const bool valid = text.starts_with(algorithm) && hex.size() == 64 &&
                       hex.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    if (!valid)
        throw error(error_kind::invalid,
            fmt::format("digest \"{}\": must be sha256: and 64 hexadecimal digits", text.substr(0, 100)));
}

struct sha256::context {
    EVP_MD_CTX* handle = ::EVP_MD_CTX_new();
    context() = default;
    context(const context&) = delete;
    context& operator=(const context&) = delete;
    ~context() { ::EVP_MD_CTX_free(handle); }
};

sha256::sha256() : context_(std::make_unique<context>()) {
    if (context_->handle == nullptr || ::EVP_DigestInit_ex(context_->handle, ::EVP_sha256(), nullptr) != 1)
        throw error(error_kind::internal, "begin SHA-256: refused by OpenSSL");
}

sha256::~sha256() = default;
sha256::sha256(sha256&&) noexcept = default;
sha256& sha256::operator=(sha256&&) noexcept = default;

void sha256::add(std::span<const char> bytes) {
    ::EVP_DigestUpdate(context_->handle, bytes.data(), bytes.size());
}

digest sha256::finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    ::EVP_DigestFinal_ex(context_->handle, bytes.data(), &size);
    std::string text = "sha256:";
    for (unsigned index = 0; index < size; ++index)
        text += fmt::format("{:02x}", bytes[index]);
    return digest(text);
}

digest sha256_of(std::string_view text) {
    sha256 hash;
    hash.add(text);
    return hash.finish();
}

} // namespace engine
