#include "engine/system/tar_archive.hpp"

#include "engine/system/tree_writer.hpp"

#include <endian.h>
#include <linux/capability.h>

#include <cstdint>
#include <cstring>

namespace engine {

std::map<std::string, std::string> attributes_in(archive_entry* entry) {
    std::map<std::string, std::string> found;
    ::archive_entry_xattr_reset(entry);
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    while (::archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK)
        if (is_portable_attribute(name))
            found.emplace(name, std::string(static_cast<const char*>(value), size));
    return found;
}

namespace {

std::uint32_t number_at(const std::string& bytes, std::size_t place) {
    std::uint32_t number = 0;
    std::memcpy(&number, bytes.data() + place, sizeof(number));
    return le32toh(number);
}

std::string bytes_of(std::uint32_t number) {
    number = htole32(number);
    return {reinterpret_cast<const char*>(&number), sizeof(number)};
}

/// The first number says which form it is.
std::string with_revision(const std::string& value, std::uint32_t revision) {
    const std::uint32_t flags = number_at(value, 0) & static_cast<std::uint32_t>(VFS_CAP_FLAGS_MASK);
    return bytes_of(revision | flags) +
           value.substr(sizeof(std::uint32_t), XATTR_CAPS_SZ_2 - sizeof(std::uint32_t));
}

} // namespace

std::string capabilities_for(const std::string& value, uid_t root) {
    if (root == 0 || value.size() != XATTR_CAPS_SZ_2)
        return value;
    return with_revision(value, VFS_CAP_REVISION_3) + bytes_of(root);
}

std::string capabilities_without(const std::string& value, uid_t root) {
    if (value.size() != XATTR_CAPS_SZ_3 || number_at(value, XATTR_CAPS_SZ_2) != root)
        return value;
    return with_revision(value, VFS_CAP_REVISION_2);
}

} // namespace engine
