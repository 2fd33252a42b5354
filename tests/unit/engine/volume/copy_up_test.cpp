#include "engine/volume/copy_up.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"
#include "engine/system/tree_writer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>

namespace engine {
namespace {

namespace fs = std::filesystem;

/// Layers as the image store unpacks them, and a folder to copy into.
class copy_up_test : public ::testing::Test {
  protected:
    copy_up_test() {
        std::string pattern = "/tmp/composed-copy-up-test-XXXXXX";
        base = ::mkdtemp(pattern.data());
        for (const fs::path& each : {lower(), upper(), into()})
            fs::create_directory(each);
        write_file(base / "outside", "outside");
    }
    ~copy_up_test() override { fs::remove_all(base); }

    fs::path lower() const { return base / "lower"; }
    fs::path upper() const { return base / "upper"; }
    fs::path into() const { return base / "into"; }

    static void put(const fs::path& file, const std::string& text = "x") {
        fs::create_directories(file.parent_path());
        write_file(file, text);
    }

    void copy(const std::string& path) { copy_from_layers({upper(), lower()}, path, into()); }

    std::string got(const std::string& path) const {
        return read_file_if_there(into() / path).value_or("(none)");
    }

    fs::path base;
};

TEST_F(copy_up_test, the_layers_are_seen_as_one_and_their_whiteouts_hide) {
    put(lower() / "data/old", "lower");
    put(lower() / "data/both", "lower");
    put(lower() / "data/gone");
    put(lower() / "data/closed/gone");
    put(upper() / "data/both", "upper");
    put(upper() / "data/closed/kept", "upper");
    tree_writer writer(upper());
    writer.make_whiteout("data/gone");
    writer.make_opaque("data/closed");
    copy("/data");
    EXPECT_EQ(got("old"), "lower");
    EXPECT_EQ(got("both"), "upper");
    EXPECT_EQ(got("gone"), "(none)");
    EXPECT_EQ(got("closed/gone"), "(none)");
    EXPECT_EQ(got("closed/kept"), "upper");
}

TEST_F(copy_up_test, names_of_one_file_are_names_of_one_copy) {
    put(lower() / "data/one", "text");
    fs::create_directory(lower() / "data/sub");
    fs::create_hard_link(lower() / "data/one", lower() / "data/sub/two");
    copy("/data");
    EXPECT_EQ(got("sub/two"), "text");
    EXPECT_TRUE(fs::equivalent(into() / "one", into() / "sub/two"));
}

TEST_F(copy_up_test, owners_modes_times_links_and_attributes_are_kept) {
    put(lower() / "data/sub/f", "text");
    const fs::path file = lower() / "data/sub/f";
    ASSERT_EQ(::chown(file.c_str(), 12, 34), 0);
    ASSERT_EQ(::chmod(file.c_str(), 04750), 0);
    ASSERT_EQ(::setxattr(file.c_str(), "user.note", "kept", 4, 0), 0);
    const std::array<timespec, 2> times{
        timespec{.tv_sec = 1234, .tv_nsec = 5}, timespec{.tv_sec = 1234, .tv_nsec = 5}};
    ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times.data(), 0), 0);
    fs::create_symlink("/etc/shadow", lower() / "data/link");
    ASSERT_EQ(::mkfifo((lower() / "data/pipe").c_str(), 0600), 0);
    ASSERT_EQ(::chown((lower() / "data").c_str(), 56, 78), 0);
    ASSERT_EQ(::chmod((lower() / "data").c_str(), 01770), 0);
    copy("data");
    struct stat status {};
    ASSERT_EQ(::stat((into() / "sub/f").c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 12U);
    EXPECT_EQ(status.st_gid, 34U);
    EXPECT_EQ(status.st_mode & 07777U, 04750U);
    EXPECT_EQ(status.st_mtim.tv_sec, 1234);
    std::array<char, 8> value{};
    EXPECT_EQ(::getxattr((into() / "sub/f").c_str(), "user.note", value.data(), value.size()), 4);
    EXPECT_EQ(fs::read_symlink(into() / "link"), "/etc/shadow") << "copied, not followed";
    EXPECT_TRUE(fs::is_fifo(into() / "pipe"));
    ASSERT_EQ(::stat(into().c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 56U);
    EXPECT_EQ(status.st_mode & 07777U, 01770U);
}

// CVE-2022-23648: a link at the volume's path let an image read the host's files.
TEST_F(copy_up_test, links_on_the_way_are_followed_inside_the_image_only) {
    put(lower() / "real/f", "inside");
    fs::create_symlink("/real", lower() / "absolute");
    fs::create_symlink(base, lower() / "host");
    fs::create_symlink("../../../../../../../..", lower() / "up");
    copy("/absolute");
    EXPECT_EQ(got("f"), "inside");
    copy("/host");
    copy("/host/../outside");
    copy("/up" + base.native());
    EXPECT_EQ(got("outside"), "(none)");
}

TEST_F(copy_up_test, nothing_happens_where_the_image_has_no_folder) {
    put(lower() / "file");
    copy("/file");
    copy("/none");
    copy_from_layers({}, "/data", into());
    EXPECT_TRUE(fs::is_empty(into()));
}

TEST_F(copy_up_test, a_hundred_and_twenty_seven_layers_are_no_obstacle) {
    std::vector<fs::path> layers;
    for (int number = 0; number < 127; ++number) {
        // As long as the names of real layers: mount(2) takes one page of options.
        std::string name = std::to_string(number);
        name.insert(0, 64 - name.size(), '0');
        put(base / name / "data" / std::to_string(number));
        layers.insert(layers.begin(), base / name);
    }
    copy_from_layers(layers, "/data", into());
    EXPECT_EQ(std::distance(fs::directory_iterator(into()), fs::directory_iterator()), 127);
}

TEST_F(copy_up_test, no_mount_is_left_behind) {
    put(lower() / "data/f");
    copy("/data");
    std::ifstream mounts("/proc/self/mountinfo");
    const std::string all{std::istreambuf_iterator<char>(mounts), {}};
    EXPECT_EQ(all.find(base.native()), std::string::npos);
    EXPECT_EQ(all.find(" /mnt/merged "), std::string::npos);
}

} // namespace
} // namespace engine
