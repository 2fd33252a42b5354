#include "engine/system/mount.hpp"

#include "engine/system/file.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace engine {
namespace {

namespace fs = std::filesystem;

/// A folder of the host where nothing is mounted, and a table of what ought to be.
class mount_test : public ::testing::Test {
  protected:
    mount_test() {
        std::string pattern = "/tmp/composed-mount-test-XXXXXX";
        base = fs::canonical(::mkdtemp(pattern.data()));
        ::setenv("LIBMOUNT_FSTAB", (base / "fstab").c_str(), 1);
    }
    ~mount_test() override {
        ::unsetenv("LIBMOUNT_FSTAB");
        fs::remove_all(base);
    }

    void table(const std::string& options) const {
        write_file(base / "fstab", "tmpfs / tmpfs defaults 0 0\nswap none swap sw 0 0\nno entry\nLABEL=x " +
                                       (base / "disk").native() + " ext4 " + options + " 0 2\n");
    }
    std::string missing(const fs::path& path, const std::set<fs::path>& known = {}) const {
        const auto found = missing_mount_of(path, known);
        return found ? found->point.lexically_relative(base).native() : "";
    }

    fs::path base;
};

TEST_F(mount_test, what_fstab_has_and_is_not_mounted_is_missing) {
    table("defaults,nofail");
    for (const char* path : {"disk", "disk/data", "disk/./data/../more"})
        EXPECT_EQ(missing(base / path), "disk") << path;
    for (const char* path : {"", "disk2", "other/disk"})
        EXPECT_EQ(missing(base / path), "") << path;
    EXPECT_TRUE(missing_mount_of(base / "disk", {})->of_fstab);
}

TEST_F(mount_test, a_link_leads_there_though_it_leads_to_nothing) {
    table("defaults");
    fs::create_symlink("disk/data", base / "data");
    fs::create_symlink("loop", base / "loop");
    EXPECT_EQ(missing(base / "data"), "disk");
    EXPECT_EQ(missing(base / "data/deep"), "disk");
    EXPECT_EQ(missing(base / "loop/deep"), "");
}

TEST_F(mount_test, what_a_person_mounts_is_missing_only_once_it_was_there) {
    table("noauto");
    EXPECT_EQ(missing(base / "disk"), "");
    EXPECT_EQ(missing(base / "disk/data", {base / "disk"}), "disk");
    table("noauto,x-systemd.automount");
    EXPECT_EQ(missing(base / "disk"), "disk");
}

TEST_F(mount_test, the_topmost_is_named_for_the_others_lie_in_it) {
    EXPECT_EQ(missing(base / "a/b/c", {base / "a/b", base / "a"}), "a") << "also without a table";
    EXPECT_EQ(missing("/proc/self", {"/proc", "/"}), "") << "which is mounted";
    EXPECT_EQ(mount_point_of("/proc/self/none"), "/proc");
}

} // namespace
} // namespace engine
