#include "engine/volume/sealer.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

namespace engine {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class sealer_test : public ::testing::Test {
  protected:
    sealer_test() {
        std::string pattern = "/tmp/composed-sealer-test-XXXXXX";
        folder = ::mkdtemp(pattern.data());
    }
    ~sealer_test() override { fs::remove_all(folder); }

    fs::path key() const { return folder / "secret.key"; }

    static std::string failure_of(const std::function<void()>& call) {
        try {
            call();
        } catch (const compose::error& failure) {
            EXPECT_EQ(failure.kind(), compose::error_kind::unavailable);
            return failure.what();
        }
        return {};
    }

    fs::path folder;
};

TEST_F(sealer_test, opens_what_it_has_sealed_also_with_the_key_of_the_file) {
    const std::string plain("a\0\xff", 3);
    std::string sealed;
    {
        const sealer first(key(), false);
        sealed = first.seal(plain, "p/secret/s/d");
        EXPECT_NE(first.seal(plain, "p/secret/s/d"), sealed) << "one nonce was taken twice";
        EXPECT_EQ(first.open(first.seal("", "x"), "x", "it"), "");
    }
    EXPECT_EQ(fs::status(key()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_EQ(fs::file_size(key()), 32U);
    const sealer second(key(), true);
    EXPECT_EQ(second.open(sealed, "p/secret/s/d", "it"), plain);
    EXPECT_THAT(sealed, Not(HasSubstr(plain)));
}

TEST_F(sealer_test, notices_each_byte_that_was_changed_and_another_place) {
    const sealer of(key(), false);
    const std::string sealed = of.seal("some content", "here");
    for (std::size_t at = 0; at < sealed.size(); ++at) {
        std::string changed = sealed;
        changed[at] = changed[at] == 'A' ? 'B' : 'A';
        EXPECT_THAT(failure_of([&] { of.open(changed, "here", "secret \"s\""); }), HasSubstr("secret \"s\""))
            << at;
        EXPECT_NE(failure_of([&] { of.open(sealed.substr(0, at), "here", "it"); }), "") << at;
    }
    EXPECT_THAT(failure_of([&] { of.open(sealed, "there", "it"); }), HasSubstr("does not open"));
}

TEST_F(sealer_test, another_key_opens_nothing_and_has_other_digests) {
    const sealer of(key(), false);
    const sealer other(folder / "other.key", false);
    EXPECT_NE(failure_of([&] { other.open(of.seal("content", "here"), "here", "it"); }), "");
    EXPECT_EQ(of.digest("content", "here"), sealer(key(), true).digest("content", "here"));
    EXPECT_NE(of.digest("content", "here"), other.digest("content", "here"));
    EXPECT_NE(of.digest("content", "here"), of.digest("content", "there"));
    EXPECT_NE(of.digest("bc", "a"), of.digest("c", "ab"));
}

TEST_F(sealer_test, a_key_that_is_lost_or_damaged_is_told_and_never_made_anew) {
    const sealer missing(key(), true);
    EXPECT_FALSE(fs::exists(key()));
    for (const auto& call : std::vector<std::function<void()>>{[&] { missing.seal("x", "y"); },
             [&] { missing.open("x", "y", "z"); }, [&] { missing.digest("x", "y"); }})
        EXPECT_THAT(failure_of(call), HasSubstr("is not there: put it back from your backup"));
    write_file(key(), "short");
    const sealer damaged(key(), false);
    EXPECT_THAT(failure_of([&] { damaged.seal("x", "y"); }), HasSubstr("must have 32 bytes"));
    EXPECT_EQ(replace_key(key()), key().native() + ".old-1");
    EXPECT_EQ(read_file(key().native() + ".old-1"), "short");
    const sealer fresh(key(), true);
    EXPECT_EQ(fresh.open(fresh.seal("x", "y"), "y", "it"), "x");
    EXPECT_EQ(replace_key(key()), key().native() + ".old-2");
}

} // namespace
} // namespace engine
