#include "layer_fixture.hpp"

#include "engine/system/file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <array>
#include <cstdlib>

namespace engine {

namespace fs = std::filesystem;

std::string describe(const fs::path& path) {
    struct stat status {};
    ::lstat(path.c_str(), &status);
    const std::string who = fmt::format("{:o} {}:{}", status.st_mode & 07777U, status.st_uid, status.st_gid);
    std::array<char, 16> value{};
    switch (status.st_mode & S_IFMT) {
    case S_IFDIR: {
        const bool opaque =
            ::lgetxattr(path.c_str(), "trusted.overlay.opaque", value.data(), value.size()) > 0;
        return fmt::format("folder {}{}", who, opaque ? " opaque" : "");
    }
    case S_IFREG:
        return fmt::format("file {} {}", who, read_file(path));
    case S_IFLNK:
        return fmt::format("link {}", fs::read_symlink(path).native());
    case S_IFCHR:
        return status.st_rdev == 0
                   ? "whiteout"
                   : fmt::format("device {}:{}", ::major(status.st_rdev), ::minor(status.st_rdev));
    default:
        return fmt::format("other {}", who);
    }
}

layer_fixture::layer_fixture() {
    std::string pattern = "/tmp/composed-layer-test-XXXXXX";
    base = ::mkdtemp(pattern.data());
    layer = base / "layer";
    fs::create_directory(layer);
    write_file(base / "canary", "alive");
}

layer_fixture::~layer_fixture() {
    EXPECT_EQ(describe(base / "canary"), "file 644 0:0 alive");
    EXPECT_EQ(std::distance(fs::directory_iterator(base), fs::directory_iterator()), 2)
        << "something lies beside the layer";
    fs::remove_all(base);
}

unpacked_layer layer_fixture::unpack(const std::vector<tar_entry>& entries, const unpack_limits& limits) {
    return unpack_text(make_tar(entries), limits);
}

unpacked_layer layer_fixture::unpack_text(std::string tar, const unpack_limits& limits) {
    memory_source source(std::move(tar));
    return unpack_layer(source, layer, limits);
}

std::map<std::string, std::string> layer_fixture::tree() const {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(layer))
        found[entry.path().lexically_relative(layer)] = describe(entry.path());
    return found;
}

} // namespace engine
