#include "engine/image/byte_source.hpp"

#include "compose/model/error.hpp"
#include "memory_source.hpp"
#include "tar_builder.hpp"

#include <gtest/gtest.h>

namespace engine {
namespace {

std::string some_text(std::size_t size) {
    std::string text;
    unsigned state = 1;
    while (text.size() < size) {
        state = state * 1664525U + 1013904223U;
        text += static_cast<char>('a' + (state >> 24U) % 20);
    }
    return text;
}

std::string unpacked(const std::string& packed, std::size_t step) {
    memory_source source(packed, step);
    return drain(*decompress(source), 3000);
}

TEST(decompress, gives_what_was_packed_whatever_the_pieces) {
    const std::string text = some_text(700'000);
    for (const std::size_t step : {std::size_t{1'000'000}, std::size_t{4097}, std::size_t{7}}) {
        EXPECT_TRUE(unpacked(gzip(text), step) == text) << "gzip " << step;
        EXPECT_TRUE(unpacked(zstd(text), step) == text) << "zstd " << step;
        EXPECT_TRUE(unpacked(text, step) == text) << "plain " << step;
    }
}

TEST(decompress, members_and_frames_after_one_another_are_one_stream) {
    const std::string skippable("\x50\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
    for (const std::size_t step : {std::size_t{1'000'000}, std::size_t{3}}) {
        EXPECT_EQ(unpacked(gzip("one") + gzip("two") + gzip("three"), step), "onetwothree");
        EXPECT_EQ(unpacked(gzip("one") + std::string(512, '\0'), step), "one");
        EXPECT_EQ(unpacked(zstd("one") + skippable + zstd("two"), step), "onetwo");
        EXPECT_EQ(unpacked(skippable + zstd("two"), step), "two");
    }
}

TEST(decompress, what_is_short_or_empty_passes) {
    EXPECT_EQ(unpacked("", 10), "");
    EXPECT_EQ(unpacked("ab", 1), "ab");
    EXPECT_EQ(unpacked(gzip(""), 10), "");
    EXPECT_EQ(unpacked(zstd(""), 10), "");
}

TEST(decompress, broken_streams_are_refused) {
    const std::string text = some_text(100'000);
    std::string damaged = gzip(text);
    damaged[damaged.size() - 5] = static_cast<char>(damaged[damaged.size() - 5] ^ 1); // the check sum
    EXPECT_THROW(unpacked(damaged, 5000), compose::error);
    for (const std::string& packed : {gzip(text), zstd(text)}) {
        EXPECT_THROW(unpacked(packed.substr(0, packed.size() / 2), 5000), compose::error);
        EXPECT_THROW(unpacked(packed.substr(0, packed.size() - 1), 5000), compose::error);
        EXPECT_THROW(unpacked(packed.substr(0, 40) + std::string(5000, '\xff'), 5000), compose::error);
    }
}

TEST(hashing_source, knows_digest_and_size_of_the_whole) {
    memory_source source("abc", 1);
    hashing_source hashed(source);
    std::string first(1, '\0');
    hashed.read(first);
    EXPECT_EQ(hashed.finish(), sha256_of("abc"));
    EXPECT_EQ(hashed.size(), 3U);
}

} // namespace
} // namespace engine
