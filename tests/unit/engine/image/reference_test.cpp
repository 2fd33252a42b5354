#include "engine/image/reference.hpp"

#include "compose/model/error.hpp"

#include <gtest/gtest.h>

#include <string>

namespace engine {
namespace {

const std::string some_digest = "sha256:" + std::string(64, 'a');

struct written {
    std::string text, name, short_name;
};

void PrintTo(const written& of, std::ostream* to) {
    *to << of.text;
}

class reference_forms : public ::testing::TestWithParam<written> {};

TEST_P(reference_forms, are_completed_and_shown_short) {
    const reference made = parse_reference(GetParam().text);
    EXPECT_EQ(made.name(), GetParam().name);
    EXPECT_EQ(made.short_name(), GetParam().short_name);
    EXPECT_EQ(parse_reference(made.name()), made);
    EXPECT_EQ(parse_reference(made.short_name()), made);
}

INSTANTIATE_TEST_SUITE_P(table, reference_forms,
    ::testing::Values(written{"nginx", "docker.io/library/nginx:latest", "nginx:latest"},
        written{"nginx:1.25", "docker.io/library/nginx:1.25", "nginx:1.25"},
        written{"library/nginx", "docker.io/library/nginx:latest", "nginx:latest"},
        written{"docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"},
        written{"index.docker.io/library/nginx", "docker.io/library/nginx:latest", "nginx:latest"},
        written{"grafana/grafana:10.0.0-rc.1", "docker.io/grafana/grafana:10.0.0-rc.1",
            "grafana/grafana:10.0.0-rc.1"},
        written{"ghcr.io/a/b/c", "ghcr.io/a/b/c:latest", "ghcr.io/a/b/c:latest"},
        written{"localhost/x", "localhost/x:latest", "localhost/x:latest"},
        written{"localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"},
        written{"127.0.0.1:5000/x:y", "127.0.0.1:5000/x:y", "127.0.0.1:5000/x:y"},
        written{"[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"},
        written{"docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest"},
        written{"docker.io/library/a.b/c", "docker.io/library/a.b/c:latest", "library/a.b/c:latest"},
        written{"a.b", "docker.io/library/a.b:latest", "a.b:latest"},
        written{"a__b/c---d.e", "docker.io/a__b/c---d.e:latest", "a__b/c---d.e:latest"},
        written{"nginx@" + some_digest, "docker.io/library/nginx@" + some_digest, "nginx@" + some_digest},
        written{
            "nginx:1@" + some_digest, "docker.io/library/nginx:1@" + some_digest, "nginx:1@" + some_digest}));

class bad_references : public ::testing::TestWithParam<std::string> {};

TEST_P(bad_references, are_refused) {
    try {
        parse_reference(GetParam());
        FAIL() << GetParam();
    } catch (const compose::error& failure) {
        EXPECT_EQ(failure.kind(), compose::error_kind::invalid);
    }
}

INSTANTIATE_TEST_SUITE_P(table, bad_references,
    ::testing::Values("", ":", "@", "/", "nginx:", "nginx@", "Nginx", "a//b", "/a", "a/", "-a", "a-", "a..b",
        "a._b", "a___b", "nginx:-x", "nginx:" + std::string(129, 'x'), "nginx:a b", "a b", "a\n", "../etc",
        "a/../b", "ghcr.io/", "a..b/c", "-a.b/c", "a.b:x/c", "[::1/c", "[::1]5000/c", "a.b:/c",
        std::string(300, 'a'), "nginx@sha256:" + std::string(63, 'a'), "nginx@sha256:" + std::string(64, 'A'),
        "nginx@sha512:" + std::string(64, 'a'), "ho st:5000/x", "nginx@sha256:../../../../etc/passwd"));

TEST(digest, is_made_of_its_one_form_only) {
    EXPECT_EQ(digest(some_digest).hex(), std::string(64, 'a'));
    for (const char* bad : {"", "sha256:", "sha256:..", "md5:d41d8cd98f00b204e9800998ecf8427e"})
        EXPECT_THROW(digest{std::string_view(bad)}, compose::error) << bad;
}

TEST(digest, is_that_of_the_standard) {
    EXPECT_EQ(sha256_of("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

} // namespace
} // namespace engine
