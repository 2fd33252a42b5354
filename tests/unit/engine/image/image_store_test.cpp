#include "image_fixture.hpp"

#include "compose/model/error.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>

namespace engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

const test_layer base = gzip_layer({file("base", "base")});
const test_layer one = gzip_layer({file("one", "one")});
const test_layer two = gzip_layer({file("two", "two")});

class image_store_test : public image_fixture {
  protected:
    void remove(const std::string& name, std::set<std::string> used = {}) {
        run(images->remove(name, std::move(used)));
    }

    compose::error_kind remove_failure(const std::string& name, std::set<std::string> used = {}) {
        try {
            remove(name, std::move(used));
        } catch (const compose::error& failure) {
            return failure.kind();
        }
        ADD_FAILURE() << name << " was removed";
        return compose::error_kind::internal;
    }
};

TEST_F(image_store_test, images_are_there_after_a_new_start) {
    load(docker_archive("a:1", {base, one}));
    const image before = *images->find("a:1");
    open();
    const auto after = images->find("a:1");
    ASSERT_TRUE(after);
    EXPECT_EQ(after->id, before.id);
    EXPECT_EQ(after->size, before.size);
    EXPECT_THAT(after->names, ElementsAre("a:1"));
    EXPECT_EQ(content(*after, "one"), "one");
}

TEST_F(image_store_test, is_found_by_name_and_by_id_but_not_by_less) {
    load(docker_archive("registry.example:5000/a:1", {base}));
    const std::string id = images->find("registry.example:5000/a:1")->id;
    EXPECT_TRUE(images->find(id));
    EXPECT_TRUE(images->find(id.substr(7)));
    EXPECT_TRUE(images->find(id.substr(7, 12)));
    EXPECT_FALSE(images->find(id.substr(7, 11)));
    EXPECT_FALSE(images->find("a:1"));
    EXPECT_FALSE(images->find(""));
    EXPECT_FALSE(images->find("NO NAME"));
}

TEST_F(image_store_test, a_shared_layer_is_kept_once_and_as_long_as_somebody_needs_it) {
    load(docker_archive("a:1", {base, one}));
    load(docker_archive("b:1", {base, two}));
    EXPECT_THAT(layers(), SizeIs(3));
    EXPECT_EQ(images->find("b:1")->size, 7U) << "the shared layer counts";
    remove("a:1");
    EXPECT_THAT(layers(), UnorderedElementsAre(sha256_of(base.tar).hex(), sha256_of(two.tar).hex()));
    EXPECT_EQ(content(*images->find("b:1"), "base"), "base");
    remove("b:1");
    EXPECT_THAT(layers(), IsEmpty());
    EXPECT_THAT(leftovers(), IsEmpty());
    open();
    EXPECT_THAT(images->list(), IsEmpty());
}

TEST_F(image_store_test, what_is_used_stays_but_may_lose_a_name_of_several) {
    load(docker_archive("a:1", {base}));
    load(docker_archive("a:2", {base}));
    const std::string id = images->find("a:1")->id;
    remove("a:1", {id});
    EXPECT_FALSE(images->find("a:1"));
    EXPECT_EQ(remove_failure("a:2", {id}), compose::error_kind::conflict);
    EXPECT_TRUE(images->find("a:2"));
    EXPECT_EQ(remove_failure("a:1"), compose::error_kind::not_found);
    remove(id.substr(7, 12));
    EXPECT_THAT(images->list(), IsEmpty());
}

TEST_F(image_store_test, a_name_that_looks_like_a_piece_of_an_id_is_a_name) {
    load(docker_archive("a:1", {base}));
    const std::string id = images->find("a:1")->id;
    load(docker_archive(id.substr(20, 4) + ":latest", {base}));
    remove(id.substr(20, 4));
    EXPECT_TRUE(images->find("a:1"));
}

TEST_F(image_store_test, a_name_goes_over_to_the_newer_image) {
    load(docker_archive("a:1", {one}));
    const std::string old = images->find("a:1")->id;
    load(docker_archive("a:1", {two}));
    EXPECT_NE(images->find("a:1")->id, old);
    EXPECT_THAT(images->find(old)->names, IsEmpty());
    remove(old);
    EXPECT_THAT(layers(), ElementsAre(sha256_of(two.tar).hex()));
}

TEST_F(image_store_test, what_is_half_made_is_removed_at_start) {
    load(docker_archive("a:1", {one}));
    close();
    std::filesystem::create_directories(folder / "image/tmp-0123/deep");
    std::filesystem::create_directories(folder / "image/layers" / std::string(64, 'f'));
    open();
    EXPECT_THAT(leftovers(), IsEmpty());
    EXPECT_THAT(layers(), ElementsAre(sha256_of(one.tar).hex()));
}

// A power cut before the flush: what the record says is of another boot.
TEST_F(image_store_test, an_image_that_was_not_flushed_before_a_reboot_is_forgotten) {
    load(docker_archive("kept:1", {base, one}));
    load(docker_archive("lost:1", {base, two}));
    const std::string lost = images->find("lost:1")->id;
    close();
    {
        store direct({.io = io, .workers = workers}, folder / "state.db");
        for (const record& row : direct.load(table::image))
            if (row.key == "image:" + lost) {
                boost::json::object value = boost::json::parse(row.value).as_object();
                EXPECT_FALSE(value.contains("boot")) << "was flushed in the background";
                value["boot"] = "another";
                direct.put(table::image, row.key, boost::json::serialize(value));
            }
        run(direct.durable());
    }
    open();
    EXPECT_TRUE(images->find("kept:1"));
    EXPECT_FALSE(images->find("lost:1"));
    EXPECT_FALSE(images->find(lost));
    EXPECT_THAT(layers(), UnorderedElementsAre(sha256_of(base.tar).hex(), sha256_of(one.tar).hex()));
}

TEST_F(image_store_test, an_image_whose_layer_has_disappeared_is_forgotten) {
    load(docker_archive("a:1", {base, one}));
    close();
    std::filesystem::remove_all(folder / "image/layers" / sha256_of(one.tar).hex());
    open();
    EXPECT_FALSE(images->find("a:1"));
    load(docker_archive("a:1", {base, one}));
    EXPECT_EQ(content(*images->find("a:1"), "one"), "one");
}

TEST_F(image_store_test, layers_lie_topmost_first) {
    load(docker_archive("a:1", {base, one, two}));
    EXPECT_THAT(images->layer_folders(*images->find("a:1")),
        ElementsAre(folder / "image/layers" / sha256_of(two.tar).hex(),
            folder / "image/layers" / sha256_of(one.tar).hex(),
            folder / "image/layers" / sha256_of(base.tar).hex()));
}

} // namespace
} // namespace engine
