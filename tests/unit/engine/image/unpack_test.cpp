#include "engine/image/layer_unpacker.hpp"

#include "compose/model/error.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

namespace engine {
namespace {

namespace fs = std::filesystem;

/// A tar in memory, entry by entry.
class tar_builder {
  public:
    tar_builder() : bytes_(4U << 20U), archive_(::archive_write_new()) {
        ::archive_write_set_format_pax_restricted(archive_);
        ::archive_write_open_memory(archive_, bytes_.data(), bytes_.size(), &used_);
    }
    tar_builder(const tar_builder&) = delete;
    tar_builder& operator=(const tar_builder&) = delete;
    ~tar_builder() { ::archive_write_free(archive_); }

    tar_builder& add(const std::string& name, mode_t type, const std::string& content = {},
        const std::function<void(archive_entry*)>& change = {}) {
        archive_entry* entry = ::archive_entry_new();
        ::archive_entry_set_pathname(entry, name.c_str());
        ::archive_entry_set_filetype(entry, type);
        ::archive_entry_set_perm(entry, type == AE_IFDIR ? 0755 : 0644);
        if (type == AE_IFLNK)
            ::archive_entry_set_symlink(entry, content.c_str());
        else
            ::archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
        if (change)
            change(entry);
        ::archive_write_header(archive_, entry);
        if (type == AE_IFREG)
            ::archive_write_data(archive_, content.data(), content.size());
        ::archive_entry_free(entry);
        return *this;
    }

    std::string take() {
        ::archive_write_close(archive_);
        return {bytes_.data(), used_};
    }

  private:
    std::vector<char> bytes_;
    std::size_t used_ = 0;
    archive* archive_;
};

class text_source final : public byte_source {
  public:
    explicit text_source(std::string text) : text_(std::move(text)) {}
    std::size_t read(std::span<char> into) override {
        const std::size_t count = std::min(into.size(), text_.size() - at_);
        std::memcpy(into.data(), text_.data() + at_, count);
        at_ += count;
        return count;
    }

  private:
    std::string text_;
    std::size_t at_ = 0;
};

struct unpack_test : ::testing::Test {
    unpack_test() {
        std::string pattern = "/tmp/composed-unpack-test-XXXXXX";
        base = ::mkdtemp(pattern.data());
        folder = base / "layer";
        fs::create_directory(folder);
        std::ofstream(base / "outside") << "untouched";
    }
    ~unpack_test() override { fs::remove_all(base); }

    unpacked_layer unpack(tar_builder& tar, const unpack_limits& limits = {}) {
        text_source source(tar.take());
        return unpack_layer(source, folder, limits);
    }

    bool is_whiteout(const std::string& path) const {
        struct stat status {};
        return ::lstat((folder / path).c_str(), &status) == 0 && S_ISCHR(status.st_mode) &&
               status.st_rdev == ::makedev(0, 0);
    }

    bool is_opaque(const std::string& path) const {
        std::array<char, 4> value{};
        return ::getxattr((folder / path).c_str(), "trusted.overlay.opaque", value.data(), value.size()) ==
                   1 &&
               value[0] == 'y';
    }

    std::string outside() const {
        std::ifstream file(base / "outside");
        return {std::istreambuf_iterator<char>(file), {}};
    }

    fs::path base;
    fs::path folder;
};

TEST_F(unpack_test, files_folders_and_links_are_made_with_their_attributes) {
    tar_builder tar;
    tar.add("a/", AE_IFDIR).add("a/f", AE_IFREG, "text", [](archive_entry* entry) {
        ::archive_entry_set_perm(entry, 04755);
    });
    tar.add("a/l", AE_IFLNK, "f").add("a/h", AE_IFREG, "", [](archive_entry* entry) {
        ::archive_entry_set_hardlink(entry, "a/f");
    });
    EXPECT_EQ(unpack(tar).bytes, 4U);
    EXPECT_EQ(fs::hard_link_count(folder / "a/f"), 2U);
    EXPECT_EQ(fs::read_symlink(folder / "a/l"), "f");
    EXPECT_EQ(fs::status(folder / "a/f").permissions(), fs::perms(04755));
}

TEST_F(unpack_test, nothing_leads_outside) {
    for (const char* name : {"../outside", "a/../../outside", "./../outside"}) {
        tar_builder tar;
        tar.add(name, AE_IFREG, "bad");
        EXPECT_THROW(unpack(tar), compose::error) << name;
    }
    tar_builder absolute;
    absolute.add("/outside", AE_IFREG, "inside");
    unpack(absolute);
    EXPECT_TRUE(fs::exists(folder / "outside"));

    tar_builder through_link;
    through_link.add("up", AE_IFLNK, base.native()).add("up/outside", AE_IFREG, "bad");
    unpack(through_link);

    tar_builder relative_link;
    relative_link.add("rel", AE_IFLNK, "..").add("rel/outside", AE_IFREG, "bad");
    unpack(relative_link);

    tar_builder hard_link;
    hard_link.add("h", AE_IFREG, "",
        [&](archive_entry* entry) { ::archive_entry_set_hardlink(entry, "/etc/hostname"); });
    EXPECT_THROW(unpack(hard_link), compose::error);

    tar_builder link_replaced;
    link_replaced.add("x", AE_IFLNK, (base / "outside").native()).add("x", AE_IFREG, "inside");
    unpack(link_replaced);
    EXPECT_EQ(outside(), "untouched");
}

TEST_F(unpack_test, forged_overlay_marks_are_refused_or_dropped) {
    tar_builder device;
    device.add("n", AE_IFCHR, "", [](archive_entry* entry) { ::archive_entry_set_rdev(entry, 0); });
    EXPECT_THROW(unpack(device), compose::error);
    tar_builder attribute;
    attribute.add("d/", AE_IFDIR, "", [](archive_entry* entry) {
        ::archive_entry_xattr_add_entry(entry, "trusted.overlay.opaque", "y", 1);
    });
    unpack(attribute);
    EXPECT_FALSE(is_opaque("d"));
}

TEST_F(unpack_test, whiteouts_hide_lower_layers_in_any_order) {
    tar_builder tar;
    tar.add("d/.wh.gone", AE_IFREG).add("d/.wh..wh..opq", AE_IFREG).add("d/kept", AE_IFREG, "x");
    tar.add("e/.wh.sub", AE_IFREG)
        .add("e/sub/", AE_IFDIR)
        .add("e/sub/f", AE_IFREG, "x")
        .add(".wh.root", AE_IFREG);
    unpack(tar);
    EXPECT_TRUE(is_whiteout("d/gone"));
    EXPECT_TRUE(is_opaque("d"));
    EXPECT_TRUE(is_opaque("e/sub"));
    EXPECT_TRUE(fs::exists(folder / "e/sub/f"));
    EXPECT_TRUE(is_whiteout("root"));
    tar_builder bare;
    bare.add(".wh.", AE_IFREG);
    EXPECT_THROW(unpack(bare), compose::error);
}

TEST_F(unpack_test, folders_that_were_not_in_the_archive_are_told) {
    tar_builder tar;
    tar.add("tmp/f", AE_IFREG, "x").add("made/", AE_IFDIR).add("made/f", AE_IFREG, "x");
    EXPECT_EQ(unpack(tar).implicit_folders, std::vector<std::string>{"tmp"});
}

TEST_F(unpack_test, limits_and_broken_archives_end_it) {
    tar_builder large;
    large.add("f", AE_IFREG, std::string(2000, 'x'));
    EXPECT_THROW(unpack(large, {.bytes = 1000}), compose::error);
    tar_builder many;
    many.add("a", AE_IFREG).add("b", AE_IFREG);
    EXPECT_THROW(unpack(many, {.entries = 1}), compose::error);
    text_source noise(std::string(4096, 'z'));
    EXPECT_THROW(unpack_layer(noise, folder), compose::error);
}

} // namespace
} // namespace engine
