#include "image_fixture.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

namespace engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class archive_test : public image_fixture {
  protected:
    std::string load_failure(const std::string& archive) {
        try {
            load(archive);
        } catch (const compose::error& failure) {
            EXPECT_EQ(failure.kind(), compose::error_kind::invalid) << failure.what();
            EXPECT_THAT(leftovers(), IsEmpty());
            return failure.what();
        }
        ADD_FAILURE() << "was taken";
        return {};
    }
};

std::string oci_archive(const std::vector<test_layer>& layers, const std::string& annotations) {
    std::vector<tar_entry> entries{file("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}")};
    const auto blob = [&](const std::string& content) {
        entries.push_back(file("blobs/sha256/" + sha256_of(content).hex(), content));
        return fmt::format(R"({{"digest":"{}","size":{}}})", sha256_of(content).text(), content.size());
    };
    std::string descriptors;
    for (const test_layer& each : layers)
        descriptors += (descriptors.empty() ? "" : ",") + blob(each.packed);
    const std::string config = blob(config_for(layers));
    const std::string manifest =
        fmt::format(R"({{"schemaVersion":2,"config":{},"layers":[{}]}})", config, descriptors);
    blob(manifest);
    entries.push_back(
        file("index.json", fmt::format(R"({{"manifests":[{{"digest":"{}","size":{},"annotations":{}}}]}})",
                               sha256_of(manifest).text(), manifest.size(), annotations)));
    return make_tar(entries);
}

const std::vector<test_layer> three_layers{plain_layer({folder("a"), file("a/f", "lowest")}),
    gzip_layer({file("a/g", "middle")}), zstd_layer({file("a/f", "topmost")})};

TEST_F(archive_test, of_docker_is_loaded_with_its_name) {
    EXPECT_THAT(load(docker_archive("shop/web:1", three_layers)), ElementsAre("shop/web:1"));
    const auto found = images->find("shop/web:1");
    ASSERT_TRUE(found);
    EXPECT_THAT(found->config.cmd, ElementsAre("sh"));
    EXPECT_EQ(found->size, std::string("lowestmiddletopmost").size());
    EXPECT_EQ(content(*found, "a/f"), "topmost");
    EXPECT_EQ(content(*found, "a/g"), "middle");
    EXPECT_THAT(leftovers(), IsEmpty());
}

TEST_F(archive_test, may_be_compressed_itself) {
    EXPECT_THAT(load(gzip(docker_archive("a:1", three_layers))), ElementsAre("a:1"));
}

TEST_F(archive_test, of_oci_is_loaded_with_the_name_in_its_annotations) {
    EXPECT_THAT(
        load(oci_archive(three_layers, R"({"org.opencontainers.image.ref.name":"docker.io/library/x:2"})")),
        ElementsAre("x:2"));
    EXPECT_TRUE(images->find("x:2"));
}

TEST_F(archive_test, without_a_name_gives_the_id) {
    const auto loaded = load(oci_archive(three_layers, "{}"));
    ASSERT_EQ(loaded.size(), 1U);
    EXPECT_THAT(loaded[0], HasSubstr("sha256:"));
    EXPECT_TRUE(images->find(loaded[0]));
    EXPECT_TRUE(images->find(loaded[0].substr(7, 12)));
}

TEST_F(archive_test, made_by_make_busybox_has_a_shell) {
    const std::string out = folder / "busybox.tar";
    ASSERT_EQ(std::system(fmt::format("{} {}", COMPOSED_MAKE_BUSYBOX, out).c_str()), 0);
    EXPECT_THAT(run(images->load_archive(out)), ElementsAre("busybox:latest"));
    const auto found = images->find("busybox");
    ASSERT_TRUE(found);
    const std::filesystem::path root = images->layer_folders(*found).front();
    EXPECT_EQ(std::filesystem::read_symlink(root / "bin/sh"), "busybox");
    struct stat status {};
    ::stat((root / "tmp").c_str(), &status);
    EXPECT_EQ(status.st_mode & 07777U, 01777U);
}

TEST_F(archive_test, with_a_damaged_layer_is_refused) {
    std::vector<test_layer> layers = three_layers;
    layers[1].packed = gzip(make_tar({file("a/g", "forged")}));
    EXPECT_THAT(load_failure(docker_archive("x:1", layers)), HasSubstr("damaged"));
    EXPECT_FALSE(images->find("x:1"));
}

TEST_F(archive_test, that_is_none_is_refused) {
    EXPECT_THAT(load_failure(make_tar({file("readme", "x")})), HasSubstr("manifest.json"));
    EXPECT_NE(load_failure("nothing at all"), "");
    EXPECT_NE(load_failure(""), "");
    EXPECT_NE(load_failure(make_tar({file("manifest.json", "{")})), "");
    EXPECT_NE(load_failure(make_tar({file("manifest.json", "[{}]")})), "");
    EXPECT_NE(load_failure(make_tar({file("manifest.json", "[1]")})), "");
    EXPECT_NE(
        load_failure(make_tar({file("index.json", "{\"manifests\":[{\"digest\":\"sha256:../../x\"}]}")})),
        "");
}

TEST_F(archive_test, leads_to_nothing_outside_of_it) {
    write_file(folder / "outside.json", config_for({}));
    const auto with_config = [](const std::string& path) {
        return file("manifest.json", fmt::format(R"([{{"Config":"{}","RepoTags":null,"Layers":[]}}])", path));
    };
    const std::string outside = folder / "outside.json";
    const auto refused = [&](const std::string& archive) { EXPECT_THROW(load(archive), compose::error); };
    refused(make_tar({with_config(outside)}));
    refused(make_tar({with_config("../../outside.json")}));
    refused(make_tar({with_config("c"), symlink_to("c", outside)}));
    refused(make_tar({with_config("c"), symlink_to("c", "../../outside.json")}));
    // A fifo would keep a worker waiting for ever.
    refused(make_tar({with_config("c"), {.path = "c", .kind = 'p', .content = {}}}));
    EXPECT_THAT(leftovers(), IsEmpty());
}

} // namespace
} // namespace engine
