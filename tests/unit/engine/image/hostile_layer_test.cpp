#include "layer_fixture.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>

#include <functional>

namespace engine {
namespace {

struct attack {
    std::string name;
    std::vector<tar_entry> entries;
};

void PrintTo(const attack& of, std::ostream* to) {
    *to << of.name;
}

class hostile_layers : public layer_fixture, public ::testing::WithParamInterface<attack> {};

// Refused, or harmless: in both cases the fixture finds its canary as it was and nothing beside the layer.
TEST_P(hostile_layers, reach_nothing_outside) {
    try {
        unpack(GetParam().entries);
    } catch (const compose::error&) {
    }
}

std::string up(int levels) {
    std::string path;
    while (levels-- > 0)
        path += "../";
    return path;
}

std::string deep(int levels) {
    std::string path = "d";
    while (--levels > 0)
        path += "/d";
    return path;
}

INSTANTIATE_TEST_SUITE_P(table, hostile_layers,
    ::testing::Values(attack{"upwards", {file("../canary", "dead")}},
        attack{"upwards_within", {file("a/../../canary", "dead")}},
        attack{"many_levels_up", {file(up(30) + "tmp/composed-hostile", "dead")}},
        attack{"folder_is_upwards", {folder(".."), folder("../new")}},
        attack{"link_up_then_through_it", {symlink_to("l", ".."), file("l/canary", "dead")}},
        attack{"absolute_link_then_through_it", {symlink_to("l", "/"), file("l/canary", "dead")}},
        attack{"link_to_link", {symlink_to("a", "b"), symlink_to("b", "../.."), file("a/canary", "dead")}},
        attack{"link_below_a_link", {folder("d"), symlink_to("d/l", "../.."), file("d/l/canary", "dead")}},
        attack{"folder_replaced_by_a_link",
            {folder("d"), file("d/a"), symlink_to("d", ".."), file("d/canary", "dead")}},
        attack{"file_over_a_link", {symlink_to("canary", "../canary"), file("canary", "dead")}},
        attack{"folder_over_a_link", {symlink_to("d", ".."), folder("d", 0777)}},
        attack{"mode_through_a_link", {symlink_to("l", "../canary"), {.path = "l", .mode = 0777}}},
        attack{"hard_link_up", {hard_link_to("h", "../canary"), file("h", "dead")}},
        attack{"hard_link_to_absolute", {hard_link_to("h", "/etc/passwd")}},
        attack{"hard_link_through_a_link",
            {symlink_to("l", ".."), hard_link_to("h", "l/canary"), file("h", "dead")}},
        attack{
            "hard_link_to_a_link", {symlink_to("l", "../canary"), hard_link_to("h", "l"), file("h", "dead")}},
        attack{"hard_link_to_a_folder", {folder("d"), hard_link_to("h", "d")}},
        attack{"hard_link_to_itself", {file("f"), hard_link_to("f", "f")}},
        attack{"whiteout_up", {file("../.wh.canary")}}, attack{"whiteout_of_dots", {file(".wh..")}},
        attack{"whiteout_through_a_link", {symlink_to("l", ".."), file("l/.wh.canary")}},
        attack{"whiteout_of_slash", {file(".wh./etc")}},
        attack{"opaque_through_a_link", {symlink_to("l", ".."), file("l/.wh..wh..opq")}},
        attack{"link_loop", {symlink_to("a", "b"), symlink_to("b", "a"), file("a/f")}},
        attack{"through_proc", {symlink_to("p", "/proc/self/root"), file("p/tmp/composed-hostile", "dead")}},
        attack{"through_magic", {symlink_to("p", "/proc/self/cwd"), file("p/canary", "dead")}},
        attack{"pipe_then_file", {{.path = "p", .kind = 'p', .content = {}}, file("p", "x")}},
        attack{"name_is_long", {file(std::string(300, 'n'))}}, attack{"path_is_long", {file(deep(3000))}},
        attack{"tree_is_deep", {folder(deep(1500)), symlink_to("l", deep(1500)), folder("l/" + deep(1000))}},
        attack{"root_is_a_file", {file("."), file("/")}},
        attack{"root_is_a_link", {symlink_to("./", ".."), file("canary", "dead")}}),
    [](const auto& each) { return each.param.name; });

class layer_limits : public layer_fixture {
  protected:
    compose::error_kind refusal(const std::function<void()>& of) {
        try {
            of();
        } catch (const compose::error& failure) {
            return failure.kind();
        }
        ADD_FAILURE() << "was taken";
        return compose::error_kind::internal;
    }
};

TEST_F(layer_limits, forged_whiteouts_are_refused) {
    EXPECT_EQ(
        refusal([&] { unpack({{.path = "w", .kind = 'c', .content = {}}}); }), compose::error_kind::invalid);
    EXPECT_EQ(refusal([&] { unpack({file(".wh.")}); }), compose::error_kind::invalid);
    EXPECT_EQ(refusal([&] { unpack({file("a/.wh...")}); }), compose::error_kind::invalid);
}

TEST_F(layer_limits, too_many_entries_are_refused) {
    const std::vector<tar_entry> entries{file("a"), file("b"), file("c")};
    EXPECT_EQ(refusal([&] { unpack(entries, {.entries = 2}); }), compose::error_kind::exhausted);
    EXPECT_NO_THROW(unpack(entries, {.entries = 3}));
}

TEST_F(layer_limits, too_many_bytes_are_refused) {
    const std::vector<tar_entry> entries{file("a", std::string(600, 'x')), file("b", std::string(600, 'x'))};
    EXPECT_EQ(refusal([&] { unpack(entries, {.bytes = 1000}); }), compose::error_kind::exhausted);
    EXPECT_EQ(unpack(entries, {.bytes = 1200}).bytes, 1200U);
}

TEST_F(layer_limits, what_is_no_tar_is_refused) {
    EXPECT_EQ(refusal([&] { unpack_text("{\"not\": \"a tar\"}" + std::string(2000, ' ')); }),
        compose::error_kind::invalid);
    std::string cut = make_tar({file("a", std::string(5000, 'x'))});
    cut.resize(2000);
    EXPECT_EQ(refusal([&] { unpack_text(cut); }), compose::error_kind::invalid);
    std::string damaged = make_tar({file("a"), file("b")});
    damaged[148] = static_cast<char>(damaged[148] ^ 1); // the first header's check sum
    EXPECT_EQ(refusal([&] { unpack_text(damaged); }), compose::error_kind::invalid);
}

TEST_F(layer_limits, an_empty_archive_is_an_empty_layer) {
    unpack({});
    EXPECT_TRUE(tree().empty());
}

// Every header byte damaged in turn, with the check sum put right: whatever it means then, it stays inside.
TEST_F(layer_limits, damaged_headers_do_no_harm) {
    const std::string whole = make_tar({folder("d"), file("d/f", "content"), symlink_to("d/l", "f")});
    for (std::size_t at = 0; at < 512; ++at) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x25);
        if (at < 148 || at >= 156) {
            unsigned sum = 0;
            for (std::size_t byte = 0; byte < 512; ++byte)
                sum += byte >= 148 && byte < 156 ? ' ' : static_cast<unsigned char>(damaged[byte]);
            damaged.replace(148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
        }
        try {
            unpack_text(damaged);
        } catch (const compose::error&) {
        }
    }
}

} // namespace
} // namespace engine
