#include "engine/image/layer_unpacker.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"
#include "engine/system/tar_archive.hpp"
#include "engine/system/tree_writer.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

constexpr std::size_t buffer_size = 256U << 10U;
constexpr std::uint64_t bytes_between_looks = 64ULL << 20U; // at the free space
constexpr std::string_view whiteout_prefix = ".wh.";
constexpr std::string_view opaque_marker = ".wh..wh..opq";
constexpr std::string_view overlay_internal = ".wh..wh.";

/// A name from an archive as a relative path without "." and "..": ".." is refused, not resolved.
std::string clean_path(std::string_view name, std::string_view what) {
    std::string path;
    std::string_view rest = name;
    while (!rest.empty()) {
        const auto slash = rest.find('/');
        const std::string_view part = rest.substr(0, slash);
        rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
        if (part.empty() || part == ".")
            continue;
        if (part == "..")
            throw error(error_kind::invalid, fmt::format("layer: {} \"{}\" leads upwards", what, name));
        path += (path.empty() ? "" : "/") + std::string(part);
    }
    return path;
}

class layer_reader {
  public:
    layer_reader(byte_source& tar, const std::filesystem::path& folder, const unpack_limits& limits)
        : tar_(tar), folder_(folder), writer_(folder), limits_(limits), buffer_(buffer_size),
          archive_(::archive_read_new()) {
        ::archive_read_support_format_tar(archive_.get());
        ::archive_read_support_format_gnutar(archive_.get());
        const int opened = ::archive_read_open(archive_.get(), this, nullptr, &layer_reader::feed, nullptr);
        if (opened != ARCHIVE_OK)
            fail();
    }

    unpacked_layer run() {
        archive_entry* entry = nullptr;
        for (;;) {
            const int result = ::archive_read_next_header(archive_.get(), &entry);
            if (result == ARCHIVE_EOF)
                break;
            if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
                fail();
            if (++entries_ > limits_.entries)
                throw error(
                    error_kind::exhausted, fmt::format("layer: more than {} entries", limits_.entries));
            write(entry);
        }
        for (const std::string& folder : opaque_)
            writer_.make_opaque(folder);
        for (const std::string& path : whiteouts_)
            writer_.make_whiteout(path);
        writer_.finish();
        return {.bytes = bytes_,
            .implicit_folders = {writer_.implicit_folders().begin(), writer_.implicit_folders().end()}};
    }

  private:
    static la_ssize_t feed(archive* handle, void* self, const void** bytes) {
        auto& reader = *static_cast<layer_reader*>(self);
        try {
            *bytes = reader.buffer_.data();
            return static_cast<la_ssize_t>(reader.tar_.read(reader.buffer_));
        } catch (...) {
            // libarchive is C: the exception waits here until its call has returned.
            reader.failure_ = std::current_exception();
            ::archive_set_error(handle, EIO, "source failed");
            return -1;
        }
    }

    [[noreturn]] void fail() {
        if (failure_)
            std::rethrow_exception(failure_);
        const char* words = ::archive_error_string(archive_.get());
        throw error(error_kind::invalid,
            fmt::format("not a tar archive that can be read: {}", words == nullptr ? "" : words));
    }

    static tree_attributes attributes_of(archive_entry* entry) {
        return {.mode = ::archive_entry_perm(entry),
            .user = static_cast<uid_t>(::archive_entry_uid(entry)),
            .group = static_cast<gid_t>(::archive_entry_gid(entry)),
            .modified = {.tv_sec = ::archive_entry_mtime(entry),
                .tv_nsec = ::archive_entry_mtime_nsec(entry)},
            .extended = attributes_in(entry)};
    }

    void write(archive_entry* entry) {
        const char* name = ::archive_entry_pathname(entry);
        if (name == nullptr)
            throw error(error_kind::invalid, "layer: an entry has no name");
        const std::string path = clean_path(name, "entry");
        if (path.empty())
            return; // the root itself
        const auto slash = path.rfind('/');
        const std::string last = slash == std::string::npos ? path : path.substr(slash + 1);
        const std::string parent = slash == std::string::npos ? std::string() : path.substr(0, slash);
        if (last == opaque_marker) {
            opaque_.push_back(parent);
            return;
        }
        if (last.starts_with(overlay_internal))
            return; // AUFS's own bookkeeping
        if (last.starts_with(whiteout_prefix)) {
            const std::string hidden = last.substr(whiteout_prefix.size());
            if (hidden.empty() || hidden == "." || hidden == "..")
                throw error(error_kind::invalid, fmt::format("layer: \"{}\" is a whiteout of nothing", path));
            whiteouts_.push_back(parent.empty() ? hidden : parent + "/" + hidden);
            return;
        }
        write_plain(entry, path);
    }

    void write_plain(archive_entry* entry, const std::string& path) {
        const tree_attributes how = attributes_of(entry);
        if (const char* target = ::archive_entry_hardlink(entry)) {
            writer_.make_hard_link(path, clean_path(target, "link"));
            return;
        }
        const mode_t type = ::archive_entry_filetype(entry);
        switch (type) {
        case AE_IFREG:
            write_file(path, how);
            return;
        case AE_IFDIR:
            writer_.make_folder(path, how);
            return;
        case AE_IFLNK:
            write_symlink(entry, path, how);
            return;
        case AE_IFCHR:
        case AE_IFBLK: {
            const dev_t device = ::archive_entry_rdev(entry);
            if (type == AE_IFCHR && device == 0)
                throw error(error_kind::invalid,
                    fmt::format("layer: \"{}\" is the device 0:0, a forged whiteout", path));
            writer_.make_node(path, type, device, how);
            return;
        }
        case AE_IFIFO:
            writer_.make_node(path, type, 0, how);
            return;
        default:
            throw error(error_kind::invalid, fmt::format("layer: \"{}\" is of an unknown kind", path));
        }
    }

    void write_symlink(archive_entry* entry, const std::string& path, const tree_attributes& how) {
        const char* target = ::archive_entry_symlink(entry);
        if (target == nullptr)
            throw error(error_kind::invalid, fmt::format("layer: \"{}\" is a link to nothing", path));
        writer_.make_symlink(path, target, how);
    }

    void write_file(const std::string& path, const tree_attributes& how) {
        unique_fd file = writer_.begin_file(path);
        const void* block = nullptr;
        std::size_t size = 0;
        la_int64_t offset = 0;
        la_int64_t expected = 0;
        for (;;) {
            const int result = ::archive_read_data_block(archive_.get(), &block, &size, &offset);
            if (result == ARCHIVE_EOF)
                break;
            if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
                fail();
            if (offset != expected)
                throw error(error_kind::invalid, fmt::format("layer: \"{}\" is a sparse file", path));
            expected += static_cast<la_int64_t>(size);
            count(size);
            write_to(file, {static_cast<const char*>(block), size}, path);
        }
        writer_.finish_file(std::move(file), path, how);
    }

    /// A limit of bytes alone would let a small archive fill the disk of a small host, and a limit of the
    /// ratio would refuse honest layers of zeros: so the space that is left decides too.
    void count(std::size_t size) {
        bytes_ += size;
        if (bytes_ > limits_.bytes)
            throw error(error_kind::exhausted, fmt::format("layer: more than {} bytes", limits_.bytes));
        if (bytes_ < next_look_)
            return;
        next_look_ = bytes_ + bytes_between_looks;
        const std::filesystem::space_info space = std::filesystem::space(folder_);
        const std::uintmax_t floor = std::min<std::uintmax_t>(limits_.least_free, space.capacity / 20);
        if (space.available < floor)
            throw error(error_kind::exhausted,
                fmt::format(
                    "unpack a layer to \"{}\": the disk is nearly full; make room", folder_.native()));
    }

    struct deleter {
        void operator()(archive* handle) const noexcept { ::archive_read_free(handle); }
    };

    byte_source& tar_;
    std::filesystem::path folder_;
    tree_writer writer_;
    unpack_limits limits_;
    std::vector<char> buffer_;
    std::unique_ptr<archive, deleter> archive_;
    std::exception_ptr failure_;
    std::vector<std::string> opaque_;
    std::vector<std::string> whiteouts_;
    std::uint64_t entries_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t next_look_ = 0;
};

} // namespace

unpacked_layer unpack_layer(
    byte_source& tar, const std::filesystem::path& folder, const unpack_limits& limits) {
    return layer_reader(tar, folder, limits).run();
}

} // namespace engine
