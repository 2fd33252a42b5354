#include "image_fixture.hpp"
#include "scripted_server.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace engine {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// One image with one layer, and the answers that an honest registry gives.
struct served_image {
    test_layer layer = gzip_layer({file("f", std::string(300'000, 'f')), file("g", "content")});
    std::string config = config_for({layer});
    std::string manifest = fmt::format(
        R"({{"schemaVersion":2,"config":{{"digest":"{}","size":{}}},"layers":[{{"digest":"{}","size":{}}}]}})",
        sha256_of(config).text(), config.size(), sha256_of(layer.packed).text(), layer.packed.size());

    bool is_layer(const seen_request& request) const {
        return request.target == "/v2/team/app/blobs/" + sha256_of(layer.packed).text();
    }

    std::string operator()(const seen_request& request) const {
        if (request.target.find("/manifests/1") != std::string::npos ||
            request.target.ends_with(sha256_of(manifest).text()))
            return answer(200, manifest, "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n");
        if (request.target.ends_with(sha256_of(config).text()))
            return answer(200, config);
        if (is_layer(request))
            return answer(200, layer.packed);
        return answer(404, "{}");
    }
};

class registry_test : public image_fixture {
  protected:
    ~registry_test() override { EXPECT_THAT(leftovers(), IsEmpty()); }

    served_image served;
};

std::string name_at(const scripted_server& server, const std::string& rest = ":1") {
    return server.address() + "/team/app" + rest;
}

TEST_F(registry_test, an_image_is_pulled_by_tag_and_by_digest) {
    scripted_server server(served);
    const image by_tag = pull(name_at(server));
    EXPECT_EQ(content(by_tag, "g"), "content");
    EXPECT_EQ(progress.back().state, "done");
    EXPECT_EQ(progress.back().current, served.layer.packed.size());
    EXPECT_EQ(progress.back().layer, sha256_of(served.layer.packed).hex().substr(0, 12));
    const image by_digest = pull(name_at(server, "@" + sha256_of(served.manifest).text()));
    EXPECT_EQ(by_digest.id, by_tag.id);
    EXPECT_EQ(progress.back().state, "exists");
}

TEST_F(registry_test, what_it_does_not_have_is_not_found) {
    scripted_server server(served);
    const auto [kind, text] = pull_failure(name_at(server, ":2"));
    EXPECT_EQ(kind, compose::error_kind::not_found);
    EXPECT_THAT(text, HasSubstr("team/app"));
}

TEST_F(registry_test, that_wants_credentials_says_so) {
    scripted_server server(
        [](const seen_request&) { return answer(401, "{}", "WWW-Authenticate: Basic realm=\"x\"\r\n"); });
    const auto [kind, text] = pull_failure(name_at(server));
    EXPECT_EQ(kind, compose::error_kind::unauthorized);
    EXPECT_THAT(text, HasSubstr("wants credentials for \"team/app\""));
}

TEST_F(registry_test, that_gives_tokens_to_everybody_is_asked_with_one) {
    std::string own_address;
    scripted_server server([&](const seen_request& request) {
        if (request.target.starts_with("/token"))
            return request.target == "/token?service=some%20service&scope=repository:team/app:pull"
                       ? answer(200, R"({"token":"secret"})")
                       : answer(400, request.target);
        const auto found = request.headers.find("authorization");
        if (found == request.headers.end() || found->second != "Bearer secret")
            return answer(401, "{}",
                fmt::format("WWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"some service\","
                            "scope=\"repository:team/app:pull\"\r\n",
                    own_address));
        return served(request);
    });
    own_address = server.address();
    EXPECT_EQ(content(pull(name_at(server)), "g"), "content");
}

TEST_F(registry_test, a_token_does_not_follow_a_redirect_to_another_origin) {
    scripted_server storage([&](const seen_request&) { return answer(200, served.layer.packed); });
    std::string own_address;
    scripted_server server([&](const seen_request& request) {
        if (request.target.starts_with("/token"))
            return answer(200, R"({"access_token":"secret"})");
        if (!request.headers.contains("authorization"))
            return answer(401, "{}",
                fmt::format("WWW-Authenticate: Bearer realm=\"http://{}/token\"\r\n", own_address));
        if (served.is_layer(request))
            return answer(307, "", fmt::format("Location: http://{}/signed?a=b%2Fc\r\n", storage.address()));
        return served(request);
    });
    own_address = server.address();
    EXPECT_EQ(content(pull(name_at(server)), "g"), "content");
    const auto seen = storage.requests();
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].target, "/signed?a=b%2Fc");
    EXPECT_FALSE(seen[0].headers.contains("authorization"));
}

TEST_F(registry_test, redirects_without_end_are_refused) {
    scripted_server server(
        [](const seen_request& request) { return answer(302, "", "Location: " + request.target + "x\r\n"); });
    EXPECT_THAT(pull_failure(name_at(server)).second, HasSubstr("redirects without end"));
    EXPECT_LE(server.requests().size(), 6U);
}

TEST_F(registry_test, a_broken_transfer_goes_on_where_it_broke) {
    int tries = 0;
    std::string range;
    scripted_server server([&](const seen_request& request) {
        if (!served.is_layer(request))
            return served(request);
        const std::string& whole = served.layer.packed;
        if (++tries == 1)
            return answer(200, whole).substr(0, answer(200, whole).size() - 100);
        range = request.headers.at("range");
        const std::size_t begin = whole.size() - 100;
        return answer(206, whole.substr(begin),
            fmt::format("Content-Range: bytes {}-{}/{}\r\n", begin, whole.size() - 1, whole.size()));
    });
    EXPECT_EQ(content(pull(name_at(server)), "g"), "content");
    EXPECT_EQ(
        range, fmt::format("bytes={}-{}", served.layer.packed.size() - 100, served.layer.packed.size() - 1));
}

TEST_F(registry_test, a_server_that_ignores_ranges_is_no_obstacle) {
    int tries = 0;
    scripted_server server([&](const seen_request& request) {
        const std::string whole = served(request);
        return served.is_layer(request) && ++tries == 1 ? whole.substr(0, whole.size() / 2) : whole;
    });
    EXPECT_EQ(content(pull(name_at(server)), "g"), "content");
    EXPECT_EQ(tries, 2);
}

TEST_F(registry_test, a_server_that_sends_another_range_is_refused) {
    int tries = 0;
    scripted_server server([&](const seen_request& request) {
        const std::string whole = served(request);
        if (!served.is_layer(request))
            return whole;
        return ++tries == 1 ? whole.substr(0, whole.size() - 10)
                            : answer(206, "0123456789", "Content-Range: bytes 0-9/10\r\n");
    });
    EXPECT_THAT(pull_failure(name_at(server)).second, HasSubstr("another part"));
}

TEST_F(registry_test, a_server_in_trouble_is_asked_again) {
    int tries = 0;
    scripted_server server([&](const seen_request& request) {
        if (served.is_layer(request) && ++tries == 1)
            return answer(503, "busy", "Retry-After: 1\r\n");
        return served(request);
    });
    EXPECT_EQ(content(pull(name_at(server)), "g"), "content");
}

TEST_F(registry_test, bodies_in_chunks_are_taken) {
    scripted_server server([&](const seen_request& request) {
        const std::string plain = served(request);
        std::string body = plain.substr(plain.find("\r\n\r\n") + 4);
        std::string chunks;
        for (; !body.empty(); body = body.substr(std::min<std::size_t>(body.size(), 1000)))
            chunks +=
                fmt::format("{:x}\r\n{}\r\n", std::min<std::size_t>(body.size(), 1000), body.substr(0, 1000));
        return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks +
               "0\r\n\r\n";
    });
    EXPECT_EQ(content(pull(name_at(server)), "g"), "content");
}

TEST_F(registry_test, other_content_than_asked_for_is_refused) {
    const std::string forged = gzip(make_tar({file("g", "forged")}));
    std::string which;
    scripted_server server([&](const seen_request& request) {
        if (which == "layer" && served.is_layer(request)) {
            std::string damaged = served.layer.packed;
            damaged[5] =
                static_cast<char>(damaged[5] ^ 1); // a time in gzip's head: the content stays the same
            return answer(200, damaged);
        }
        if (which == "config" && request.target.ends_with(sha256_of(served.config).text()))
            return answer(200, served.config + " ");
        if (which == "larger" && served.is_layer(request))
            return answer(200, served.layer.packed + "more");
        if (which == "manifest" && request.target.find("sha256:") != std::string::npos)
            return answer(200, served.manifest + " ");
        return served(request);
    });
    for (const std::string each : {"layer", "config", "larger"}) {
        which = each;
        EXPECT_EQ(pull_failure(name_at(server)).first, compose::error_kind::invalid) << each;
    }
    which = "manifest";
    EXPECT_EQ(pull_failure(name_at(server, "@" + sha256_of(served.manifest).text())).first,
        compose::error_kind::invalid);
    EXPECT_THAT(layers(), IsEmpty());
    which = "";
    EXPECT_EQ(content(pull(name_at(server)), "g"), "content");
}

TEST_F(registry_test, documents_without_end_are_refused) {
    scripted_server server([](const seen_request&) { return answer(200, std::string(5U << 20U, ' ')); });
    EXPECT_EQ(pull_failure(name_at(server)).first, compose::error_kind::exhausted);
}

TEST_F(registry_test, of_an_index_the_image_for_the_platform_is_taken) {
    const std::string other = R"({"schemaVersion":2})";
    const std::string index = fmt::format(
        R"({{"manifests":[{{"digest":"{}","size":1,"platform":{{"os":"linux","architecture":"s390x"}}}},
            {{"digest":"{}","size":{},"platform":{{"os":"linux","architecture":"arm64"}}}}]}})",
        sha256_of(other).text(), sha256_of(served.manifest).text(), served.manifest.size());
    scripted_server server([&](const seen_request& request) {
        return request.target.ends_with("/manifests/1") ? answer(200, index) : served(request);
    });
    EXPECT_EQ(content(pull(name_at(server), "linux/arm64"), "g"), "content");
    const auto [kind, text] = pull_failure(name_at(server), "linux/ppc64le");
    EXPECT_EQ(kind, compose::error_kind::not_found);
    EXPECT_THAT(text, HasSubstr("only for: linux/s390x, linux/arm64"));
}

TEST_F(registry_test, a_mirror_is_asked_first_and_the_registry_where_it_has_not) {
    const auto with_prefix = [&](const seen_request& request) {
        return request.target.starts_with("/proxy/v2/library/app/")
                   ? served({.target = request.target, .headers = {}})
                   : answer(404, "{}");
    };
    scripted_server empty([](const seen_request&) { return answer(404, "{}"); });
    scripted_server mirror([&](const seen_request& request) {
        if (request.target.ends_with(sha256_of(served.layer.packed).text()))
            return answer(200, served.layer.packed);
        return with_prefix(request);
    });
    open({.mirrors = {{"docker.io", {"http://" + empty.address(), "http://" + mirror.address() + "/proxy/"}}},
        .insecure = {}});
    const image pulled = pull("app:1");
    EXPECT_THAT(pulled.names, Contains("app:1"));
    EXPECT_FALSE(empty.requests().empty());
    EXPECT_TRUE(images->find("app:1"));
}

TEST_F(registry_test, two_pulls_at_a_time_fetch_a_layer_once) {
    scripted_server server(served);
    std::optional<image> first;
    std::optional<image> second;
    io.restart();
    for (std::optional<image>* each : {&first, &second})
        boost::asio::co_spawn(
            io, images->pull(name_at(server), {}, nullptr), [&, each](std::exception_ptr thrown, image made) {
                EXPECT_FALSE(thrown);
                *each = std::move(made);
                if (first && second)
                    io.stop();
            });
    io.run();
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->id, second->id);
    int fetched = 0;
    for (const seen_request& each : server.requests())
        fetched += served.is_layer(each) ? 1 : 0;
    EXPECT_EQ(fetched, 1);
}

TEST_F(registry_test, a_daemon_that_ends_during_a_pull_does_not_wait_for_it) {
    scripted_server server([&](const seen_request& request) {
        // Half a layer, and then nothing for a second.
        const std::string whole = served(request);
        return served.is_layer(request) ? whole.substr(0, whole.size() / 2) : whole;
    });
    boost::asio::co_spawn(io, images->pull(name_at(server), {}, [&](const pull_progress&) { io.stop(); }),
        [](std::exception_ptr, image) {});
    io.restart();
    io.run();
    images.reset(); // joins its threads
    EXPECT_TRUE(server.requests().size() >= 3);
}

TEST_F(registry_test, that_is_not_there_is_unavailable) {
    std::string address;
    {
        scripted_server server(served);
        address = server.address();
    }
    const auto [kind, text] = pull_failure(address + "/team/app:1");
    EXPECT_EQ(kind, compose::error_kind::unavailable);
    EXPECT_THAT(text, HasSubstr("cannot be reached"));
}

} // namespace
} // namespace engine
