#include "engine/image/manifest.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engine {
namespace {

using ::testing::HasSubstr;

std::string id(char of) {
    return "sha256:" + std::string(64, of);
}

std::string blob(char of, int size = 1) {
    return fmt::format(R"({{"digest":"{}","size":{}}})", id(of), size);
}

std::string entry(char of, const std::string& platform) {
    const image_platform parsed = parse_platform(platform);
    return fmt::format(
        R"({{"digest":"{}","size":1,"platform":{{"os":"{}","architecture":"{}","variant":"{}"}}}})", id(of),
        parsed.os, parsed.architecture, parsed.variant);
}

char chosen(const std::string& entries, const std::string& wanted) {
    const auto parsed = parse_manifest("{\"manifests\":[" + entries + "]}", "");
    return choose(std::get<image_index>(parsed), parse_platform(wanted)).manifest.id.hex().front();
}

std::string refusal(const std::string& text, const std::string& type = "") {
    try {
        parse_manifest(text, type);
    } catch (const compose::error& failure) {
        EXPECT_EQ(failure.kind(), compose::error_kind::invalid);
        return failure.what();
    }
    return {};
}

TEST(manifest, has_a_configuration_and_layers) {
    const auto parsed = parse_manifest(
        "{\"config\":" + blob('a', 7) + ",\"layers\":[" + blob('b', 8) + "," + blob('c', 9) + "]}",
        "application/vnd.oci.image.manifest.v1+json; charset=utf-8");
    const auto& manifest = std::get<image_manifest>(parsed);
    EXPECT_EQ(manifest.config.id.text(), id('a'));
    ASSERT_EQ(manifest.layers.size(), 2U);
    EXPECT_EQ(manifest.layers[1].size, 9U);
}

TEST(manifest, of_other_forms_is_refused) {
    EXPECT_THAT(refusal("{}"), HasSubstr("either"));
    EXPECT_THAT(refusal("{\"schemaVersion\":1,\"fsLayers\":[]}"), HasSubstr("schema 1"));
    EXPECT_NE(refusal("not json"), "");
    EXPECT_NE(refusal("[]"), "");
    EXPECT_NE(refusal("{\"layers\":[],\"manifests\":[]}"), "");
    EXPECT_NE(refusal("{\"layers\":[]}"), "");
    EXPECT_NE(refusal("{\"config\":{\"digest\":\"sha256:../../x\",\"size\":1},\"layers\":[]}"), "");
    EXPECT_NE(refusal("{\"config\":{\"digest\":\"" + id('a') + "\",\"size\":-1},\"layers\":[]}"), "");
    EXPECT_NE(refusal(std::string(100, '[')), "");
    std::string layers = blob('b');
    for (int count = 0; count < 495; ++count)
        layers += "," + blob('b');
    EXPECT_THAT(refusal("{\"config\":" + blob('a') + ",\"layers\":[" + layers + "]}"),
        HasSubstr("496 layers are more than the 495 that can be mounted"));
}

TEST(manifest, must_be_what_it_was_sent_as) {
    const std::string text =
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":" + blob('a') +
        ",\"layers\":[]}";
    EXPECT_EQ(refusal(text, "application/vnd.oci.image.manifest.v1+json"), "");
    EXPECT_THAT(refusal(text, "application/vnd.oci.image.index.v1+json"), HasSubstr("was sent as"));
}

TEST(platform, the_newest_variant_that_runs_is_chosen) {
    const std::string arms = entry('5', "linux/arm/v5") + "," + entry('6', "linux/arm/v6") + "," +
                             entry('7', "linux/arm/v7") + "," + entry('8', "linux/arm64");
    EXPECT_EQ(chosen(arms, "linux/arm/v7"), '7');
    EXPECT_EQ(chosen(arms, "linux/arm"), '7');
    EXPECT_EQ(chosen(arms, "linux/arm/v6"), '6');
    EXPECT_EQ(chosen(arms, "linux/arm64"), '8');
    EXPECT_EQ(chosen(arms, "linux/arm64/v8"), '8');
    const std::string intel = entry('1', "linux/amd64") + "," + entry('3', "linux/amd64/v3");
    EXPECT_EQ(chosen(intel, "linux/amd64"), '1');
    EXPECT_EQ(chosen(intel, "linux/amd64/v2"), '1');
    EXPECT_EQ(chosen(intel, "linux/amd64/v4"), '3');
}

TEST(platform, attestations_and_other_systems_are_no_images_for_it) {
    const std::string entries =
        entry('a', "unknown/unknown") + "," + entry('b', "windows/amd64") + "," + entry('c', "linux/s390x");
    try {
        chosen(entries, "linux/amd64");
        FAIL();
    } catch (const compose::error& failure) {
        EXPECT_EQ(failure.kind(), compose::error_kind::not_found);
        EXPECT_STREQ(
            failure.what(), "there is no image for linux/amd64, only for: windows/amd64, linux/s390x");
    }
}

TEST(platform, has_two_or_three_parts) {
    for (const char* bad : {"", "linux", "linux/", "/amd64", "a/b/c/d", "linux//v7"})
        EXPECT_THROW(parse_platform(bad), compose::error) << bad;
    EXPECT_EQ(to_string(parse_platform("linux/arm/v7")), "linux/arm/v7");
    EXPECT_EQ(host_platform().os, "linux");
}

} // namespace
} // namespace engine
