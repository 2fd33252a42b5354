#include "tar_builder.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <stdexcept>

namespace engine {

tar_entry file(std::string path, std::string content, mode_t mode) {
    return {.path = std::move(path), .kind = 'f', .content = std::move(content), .mode = mode};
}

tar_entry folder(std::string path, mode_t mode) {
    return {.path = std::move(path), .kind = 'd', .content = {}, .mode = mode};
}

tar_entry symlink_to(std::string path, std::string target) {
    return {.path = std::move(path), .kind = 'l', .content = std::move(target), .mode = 0777};
}

tar_entry hard_link_to(std::string path, std::string target) {
    return {.path = std::move(path), .kind = 'h', .content = std::move(target)};
}

namespace {

unsigned type_of(char kind) {
    switch (kind) {
    case 'd':
        return AE_IFDIR;
    case 'l':
        return AE_IFLNK;
    case 'c':
        return AE_IFCHR;
    case 'b':
        return AE_IFBLK;
    case 'p':
        return AE_IFIFO;
    default:
        return AE_IFREG;
    }
}

la_ssize_t append(archive*, void* into, const void* bytes, std::size_t size) {
    static_cast<std::string*>(into)->append(static_cast<const char*>(bytes), size);
    return static_cast<la_ssize_t>(size);
}

} // namespace

std::string make_tar(const std::vector<tar_entry>& entries) {
    std::string text;
    archive* writer = ::archive_write_new();
    ::archive_write_set_format_pax_restricted(writer);
    ::archive_write_set_options(writer, "hdrcharset=BINARY");
    ::archive_write_set_bytes_per_block(writer, 0);
    ::archive_write_open(writer, &text, nullptr, append, nullptr);
    for (const tar_entry& each : entries) {
        archive_entry* entry = ::archive_entry_new();
        ::archive_entry_set_pathname(entry, each.path.c_str());
        ::archive_entry_set_filetype(entry, type_of(each.kind));
        ::archive_entry_set_perm(entry, each.mode);
        ::archive_entry_set_uid(entry, each.user);
        ::archive_entry_set_gid(entry, each.group);
        ::archive_entry_set_mtime(entry, each.modified, 0);
        ::archive_entry_set_rdevmajor(entry, each.major);
        ::archive_entry_set_rdevminor(entry, each.minor);
        if (each.kind == 'l')
            ::archive_entry_set_symlink(entry, each.content.c_str());
        if (each.kind == 'h')
            ::archive_entry_set_hardlink(entry, each.content.c_str());
        const bool has_data = each.kind == 'f';
        ::archive_entry_set_size(entry, has_data ? static_cast<la_int64_t>(each.content.size()) : 0);
        for (const auto& [name, value] : each.attributes)
            ::archive_entry_xattr_add_entry(entry, name.c_str(), value.data(), value.size());
        if (::archive_write_header(writer, entry) != ARCHIVE_OK)
            throw std::runtime_error(::archive_error_string(writer));
        if (has_data)
            ::archive_write_data(writer, each.content.data(), each.content.size());
        ::archive_entry_free(entry);
    }
    ::archive_write_close(writer);
    ::archive_write_free(writer);
    return text;
}

std::string gzip(const std::string& plain) {
    std::string packed(plain.size() + plain.size() / 8 + 1024, '\0');
    isal_zstream stream{};
    ::isal_deflate_init(&stream);
    stream.gzip_flag = IGZIP_GZIP;
    stream.end_of_stream = 1;
    stream.flush = NO_FLUSH;
    stream.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(plain.data()));
    stream.avail_in = static_cast<std::uint32_t>(plain.size());
    stream.next_out = reinterpret_cast<std::uint8_t*>(packed.data());
    stream.avail_out = static_cast<std::uint32_t>(packed.size());
    if (::isal_deflate(&stream) != COMP_OK || stream.avail_in != 0)
        throw std::runtime_error("isal_deflate");
    packed.resize(stream.total_out);
    return packed;
}

std::string zstd(const std::string& plain) {
    std::string packed(::ZSTD_compressBound(plain.size()), '\0');
    packed.resize(::ZSTD_compress(packed.data(), packed.size(), plain.data(), plain.size(), 3));
    return packed;
}

} // namespace engine
