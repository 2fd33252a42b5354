#include "layer_fixture.hpp"

#include "compose/model/error.hpp"
#include "engine/image/layer_import.hpp"
#include "engine/system/tree_writer.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>

namespace engine {

namespace fs = std::filesystem;

namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class layer_test : public layer_fixture {
  protected:
    void clear() {
        remove_tree(layer);
        fs::create_directory(layer);
    }
};

TEST_F(layer_test, every_kind_of_entry_keeps_owner_mode_and_time) {
    unpack({folder("etc", 0750),
        {.path = "etc/secret", .content = "s", .mode = 04711, .user = 12, .group = 34, .modified = 1234},
        symlink_to("link", "/etc/secret"), hard_link_to("same", "etc/secret"),
        {.path = "null", .kind = 'c', .content = {}, .mode = 0666, .major = 1, .minor = 3},
        {.path = "pipe", .kind = 'p', .content = {}, .mode = 0600}});
    EXPECT_THAT(
        tree(), UnorderedElementsAre(Pair("etc", "folder 750 0:0"), Pair("etc/secret", "file 4711 12:34 s"),
                    Pair("link", "link /etc/secret"), Pair("same", "file 4711 12:34 s"),
                    Pair("null", "device 1:3"), Pair("pipe", "other 600 0:0")));
    struct stat status {};
    ::stat((layer / "etc/secret").c_str(), &status);
    EXPECT_EQ(status.st_mtim.tv_sec, 1234);
    EXPECT_EQ(status.st_nlink, 2U);
    ::stat((layer / "etc").c_str(), &status);
    EXPECT_EQ(status.st_mtim.tv_sec, 1'000'000'000) << "making its content moved it";
}

TEST_F(layer_test, names_may_have_any_bytes) {
    const std::string long_name(200, 'n');
    unpack({file("F\xc5\x91tan\xc3\xba.crt"), file("latin-\xe9"), file("new\nline"),
        file(long_name + "/" + long_name)});
    EXPECT_TRUE(fs::exists(layer / "F\xc5\x91tan\xc3\xba.crt"));
    EXPECT_TRUE(fs::exists(layer / "latin-\xe9"));
    EXPECT_TRUE(fs::exists(layer / "new\nline"));
    EXPECT_TRUE(fs::exists(layer / long_name / long_name));
}

TEST_F(layer_test, a_link_to_nothing_is_refused) {
    std::string tar = make_tar({symlink_to("link", "x")});
    // libarchive writes no such entry: the only byte of the target is taken away, and the sum put right.
    const auto target = tar.find("2x");
    ASSERT_NE(target, std::string::npos);
    tar[target + 1] = '\0';
    unsigned sum = 0;
    for (std::size_t at = 0; at < 512; ++at)
        sum += at >= 148 && at < 156 ? ' ' : static_cast<unsigned char>(tar[target - 156 + at]);
    tar.replace(target - 8, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    try {
        unpack_text(tar);
        FAIL() << "unpacked";
    } catch (const compose::error& caught) {
        EXPECT_STREQ(caught.what(), "layer: \"link\" is a link to nothing");
    }
}

TEST_F(layer_test, names_may_be_absolute_or_begin_with_a_dot) {
    unpack({folder("./"), file("./a"), file("/b"), file("c//d/./e")});
    EXPECT_TRUE(fs::exists(layer / "a"));
    EXPECT_TRUE(fs::exists(layer / "b"));
    EXPECT_TRUE(fs::exists(layer / "c/d/e"));
}

TEST_F(layer_test, whiteouts_come_out_the_same_in_every_order) {
    std::vector<tar_entry> entries{folder("a"), file("a/keep"), file("a/.wh.gone"), file("a/.wh..wh..opq"),
        folder("b"), file("b/.wh.c"), folder("b/c"), file("b/c/new")};
    const std::map<std::string, std::string> golden{{"a", "folder 755 0:0 opaque"}, {"a/gone", "whiteout"},
        {"a/keep", "file 644 0:0 x"}, {"b", "folder 755 0:0"}, {"b/c", "folder 755 0:0 opaque"},
        {"b/c/new", "file 644 0:0 x"}};
    const auto by_path = [](const tar_entry& left, const tar_entry& right) { return left.path < right.path; };
    std::sort(entries.begin(), entries.end(), by_path);
    int orders = 0;
    do {
        // 40320 orders take long: every 97th has all of the pairs in both orders.
        if (orders++ % 97 != 0)
            continue;
        unpack(entries);
        ASSERT_EQ(tree(), golden) << "order " << orders;
        clear();
    } while (std::next_permutation(entries.begin(), entries.end(), by_path));
}

TEST_F(layer_test, a_whiteout_of_a_file_of_the_same_layer_hides_lower_layers_only) {
    unpack({file(".wh.f"), file("f", "new")});
    EXPECT_THAT(tree(), ElementsAre(Pair("f", "file 644 0:0 new")));
    clear();
    unpack({file("f", "new"), file(".wh.f")});
    EXPECT_THAT(tree(), ElementsAre(Pair("f", "file 644 0:0 new")));
}

TEST_F(layer_test, bookkeeping_of_aufs_is_left_out) {
    unpack({folder(".wh..wh.plnk"), file(".wh..wh.aufs"), file("f")});
    EXPECT_THAT(tree(), ElementsAre(Pair("f", "file 644 0:0 x")));
}

TEST_F(layer_test, the_last_entry_of_a_name_counts) {
    unpack({file("a", "old"), file("a", "new"), folder("b"), file("b/in"), file("b", "file now"), file("c"),
        folder("c", 0700), file("c/in"), symlink_to("d", "x"), symlink_to("d", "y"), folder("e", 0700),
        file("e/in"), folder("e", 0711)});
    EXPECT_THAT(
        tree(), UnorderedElementsAre(Pair("a", "file 644 0:0 new"), Pair("b", "file 644 0:0 file now"),
                    Pair("c", "folder 700 0:0"), Pair("c/in", "file 644 0:0 x"), Pair("d", "link y"),
                    Pair("e", "folder 711 0:0"), Pair("e/in", "file 644 0:0 x")));
}

TEST_F(layer_test, a_link_to_a_folder_of_a_lower_layer_stays_and_is_followed) {
    unpack({symlink_to("bin", "usr/bin"), file("bin/tool"), symlink_to("run", "/var/run"), file("run/lock")});
    EXPECT_EQ(tree()["bin"], "link usr/bin");
    EXPECT_EQ(tree()["usr/bin/tool"], "file 644 0:0 x");
    EXPECT_EQ(tree()["run"], "link /var/run");
    EXPECT_EQ(tree()["var/run/lock"], "file 644 0:0 x");
}

TEST_F(layer_test, harmless_attributes_stay) {
    tar_entry entry = file("f");
    entry.attributes = {
        {"user.note", "kept"}, {"user.overlay.opaque", "y"}, {"trusted.overlay.redirect", "/x"}};
    unpack({entry});
    std::array<char, 16> value{};
    EXPECT_EQ(::lgetxattr((layer / "f").c_str(), "user.note", value.data(), value.size()), 4);
    EXPECT_LT(::lgetxattr((layer / "f").c_str(), "user.overlay.opaque", value.data(), value.size()), 0);
    EXPECT_LT(::lgetxattr((layer / "f").c_str(), "trusted.overlay.redirect", value.data(), value.size()), 0);
}

TEST_F(layer_test, folders_without_an_entry_look_as_below) {
    const fs::path lower = layer / "lower", middle = layer / "middle", upper = layer / "upper";
    for (const fs::path& each : {lower, middle, upper})
        fs::create_directory(each);
    memory_source below(make_tar({folder("tmp", 01777), folder("home", 0711), folder("hidden", 0700)}));
    unpack_layer(below, lower);
    memory_source between(make_tar({file(".wh.hidden")}));
    unpack_layer(between, middle);
    memory_source above(
        make_tar({file("tmp/f"), file("home/a/b"), file("hidden/f"), folder("own", 0700), file("own/f")}));
    const unpacked_layer unpacked = unpack_layer(above, upper);
    EXPECT_THAT(unpacked.implicit_folders, UnorderedElementsAre("tmp", "home", "home/a", "hidden"));
    settle_implicit_folders(upper, unpacked.implicit_folders, {middle, lower});
    EXPECT_EQ(describe(upper / "tmp"), "folder 1777 0:0");
    EXPECT_EQ(describe(upper / "home"), "folder 711 0:0");
    EXPECT_EQ(describe(upper / "home/a"), "folder 755 0:0");
    EXPECT_EQ(describe(upper / "hidden"), "folder 755 0:0") << "a whiteout hides the one below";
    EXPECT_EQ(describe(upper / "own"), "folder 700 0:0");
}

} // namespace
} // namespace engine
