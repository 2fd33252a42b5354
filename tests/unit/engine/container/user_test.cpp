#include "engine/container/user.hpp"

#include "compose/model/error.hpp"
#include "engine/container/layered_files.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace engine {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view passwd =
    "root:x:0:0:root:/root:/bin/sh\n\nbroken\nweb:x:33:44:Web:/srv:\n1000:x:7:8::/odd:\n"
    "no-home:x:50:50:::\n";
constexpr std::string_view group = "root:x:0:\nwww:x:44:\nlogs:x:55:other,web\nadm:x:4:web\n";

TEST(user, nobody_said_is_root) {
    const resolved_user user = resolve_user("", {}, passwd, group);
    EXPECT_EQ(user.uid, 0U);
    EXPECT_EQ(user.home, "/root");
    EXPECT_THAT(user.groups, ElementsAre(0U));
}

TEST(user, a_name_brings_its_group_groups_and_home) {
    const resolved_user user = resolve_user("web", {}, passwd, group);
    EXPECT_EQ(user.uid, 33U);
    EXPECT_EQ(user.gid, 44U);
    EXPECT_THAT(user.groups, ElementsAre(4U, 44U, 55U));
    EXPECT_EQ(user.home, "/srv");
}

TEST(user, a_number_finds_its_entry_or_stands_alone) {
    EXPECT_EQ(resolve_user("33", {}, passwd, group).gid, 44U);
    const resolved_user alone = resolve_user("4711", {}, passwd, group);
    EXPECT_EQ(alone.uid, 4711U);
    EXPECT_EQ(alone.gid, 0U);
    EXPECT_EQ(alone.home, "/");
    EXPECT_EQ(resolve_user("12:34", {}, "", "").gid, 34U);
}

TEST(user, a_name_that_looks_like_a_number_wins) {
    EXPECT_EQ(resolve_user("1000", {}, passwd, group).uid, 7U);
}

TEST(user, a_group_said_leaves_the_others_out) {
    const resolved_user user = resolve_user("web:logs", {}, passwd, group);
    EXPECT_EQ(user.gid, 55U);
    EXPECT_THAT(user.groups, ElementsAre(55U));
    EXPECT_THAT(resolve_user("web:logs", {"adm", "99"}, passwd, group).groups, ElementsAre(4U, 55U, 99U));
}

TEST(user, what_is_not_there_is_named) {
    for (const auto& [wanted, missing] : {std::pair("ghost", "user \"ghost\""),
             std::pair("web:ghosts", "group \"ghosts\""), std::pair("4294967295", "user \"4294967295\"")}) {
        try {
            resolve_user(wanted, {}, passwd, group);
            ADD_FAILURE() << wanted;
        } catch (const compose::error& failure) {
            EXPECT_THAT(failure.what(), HasSubstr(missing));
        }
    }
}

class layered_files : public ::testing::Test {
  protected:
    layered_files() {
        std::string pattern = "/tmp/composed-layers-XXXXXX";
        root = ::mkdtemp(pattern.data());
        for (const char* name : {"top", "middle", "bottom"}) {
            fs::create_directories(root / name / "etc");
            layers.push_back(root / name);
        }
    }
    ~layered_files() override { fs::remove_all(root); }

    void write(const std::string& path, const std::string& text) {
        fs::create_directories((root / path).parent_path());
        std::ofstream(root / path) << text;
    }

    fs::path root;
    std::vector<fs::path> layers;
};

TEST_F(layered_files, the_topmost_one_counts) {
    write("bottom/etc/passwd", "old");
    EXPECT_EQ(read_layered_file(layers, "etc/passwd"), "old");
    write("middle/etc/passwd", "new");
    EXPECT_EQ(read_layered_file(layers, "/etc/passwd"), "new");
    EXPECT_EQ(read_layered_file(layers, "etc/group"), std::nullopt);
}

TEST_F(layered_files, a_whiteout_hides) {
    write("bottom/etc/passwd", "old");
    ASSERT_EQ(::mknod((root / "top/etc/passwd").c_str(), S_IFCHR, makedev(0, 0)), 0);
    EXPECT_EQ(read_layered_file(layers, "etc/passwd"), std::nullopt);
}

TEST_F(layered_files, an_opaque_folder_hides_what_is_below_it) {
    write("bottom/etc/passwd", "old");
    ASSERT_EQ(::setxattr((root / "top/etc").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
    EXPECT_EQ(read_layered_file(layers, "etc/passwd"), std::nullopt);
}

TEST_F(layered_files, symlinks_lead_through_all_layers_and_never_out) {
    write("bottom/real/passwd", "found");
    fs::create_symlink("/real/passwd", root / "top/etc/passwd");
    EXPECT_EQ(read_layered_file(layers, "etc/passwd"), "found");
    fs::create_symlink("../../../../../etc/hostname", root / "top/etc/group");
    write("middle/etc/hostname", "inside");
    EXPECT_EQ(read_layered_file(layers, "etc/group"), "inside");
}

TEST_F(layered_files, circles_and_giants_are_errors) {
    fs::create_symlink("loop", root / "top/etc/loop");
    EXPECT_THROW(read_layered_file(layers, "etc/loop"), compose::error);
    write("top/etc/large", std::string(100, 'x'));
    EXPECT_THROW(read_layered_file(layers, "etc/large", 99), compose::error);
    EXPECT_EQ(read_layered_file(layers, "etc/large", 100)->size(), 100U);
}

TEST_F(layered_files, a_pipe_of_the_image_does_not_block) {
    ASSERT_EQ(::mkfifo((root / "top/etc/passwd").c_str(), 0600), 0);
    EXPECT_EQ(read_layered_file(layers, "etc/passwd"), std::nullopt);
}

} // namespace
} // namespace engine
