#include "image_fixture.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <set>
#include <thread>

namespace engine {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

/// Pulls from a real registry (the package docker-registry) what skopeo has pushed.
class pull_test : public image_fixture {
  protected:
    pull_test() {
        port_ = free_port();
        write_file(folder / "registry.yml", fmt::format(R"(version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {0}/registry}}}}
http: {{addr: "127.0.0.1:{1}"}}
)",
                                                folder.native(), port_));
        const std::string file = folder / "registry.yml";
        const char* arguments[] = {"docker-registry", "serve", file.c_str(), nullptr};
        // It writes a line for every request, whatever its settings.
        const std::string log = folder / "registry.log";
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        for (const int output : {STDOUT_FILENO, STDERR_FILENO})
            ::posix_spawn_file_actions_addopen(
                &actions, output, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        const int failure = ::posix_spawnp(
            &registry_, arguments[0], &actions, nullptr, const_cast<char**>(arguments), environ);
        ::posix_spawn_file_actions_destroy(&actions);
        if (failure != 0)
            throw std::runtime_error("docker-registry cannot be started; run make deps");
        for (int tries = 0; tries < 500 && !answers(); ++tries)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }

    ~pull_test() override {
        ::kill(registry_, SIGKILL);
        ::waitpid(registry_, nullptr, 0);
    }

    void push(const std::string& archive, const std::string& name, const std::string& options = {}) {
        write_file(folder / "push.tar", archive);
        const std::string command = fmt::format("skopeo --insecure-policy copy -q --dest-tls-verify=false {} "
                                                "docker-archive:{}/push.tar docker://{}",
            options, folder.native(), at(name));
        ASSERT_EQ(std::system(command.c_str()), 0) << command;
    }

    std::string at(const std::string& name) const { return fmt::format("127.0.0.1:{}/{}", port_, name); }

  private:
    static sockaddr_in address(int port) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.sin_port = htons(static_cast<std::uint16_t>(port));
        return to;
    }

    static int free_port() {
        const unique_fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in any = address(0);
        socklen_t size = sizeof(any);
        ::bind(socket.get(), reinterpret_cast<sockaddr*>(&any), size);
        ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&any), &size);
        return ntohs(any.sin_port);
    }

    bool answers() const {
        const unique_fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_in to = address(port_);
        return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0;
    }

    pid_t registry_ = -1;
    int port_ = 0;
};

std::string noise(std::size_t size, unsigned seed) {
    std::string text(size, '\0');
    for (char& byte : text) {
        seed = seed * 1664525U + 1013904223U;
        byte = static_cast<char>(seed >> 24U);
    }
    return text;
}

/// Twelve layers, so more than are fetched at a time, of which some are large.
std::vector<test_layer> many_layers() {
    std::vector<test_layer> layers{plain_layer({folder("tmp", 01777), file("version", "0")})};
    for (unsigned number = 1; number < 12; ++number)
        layers.push_back(plain_layer({file("version", std::to_string(number)),
            file(fmt::format("tmp/{}", number), noise(number % 4 == 3 ? 12'000'000 : 1000, number)),
            file(fmt::format("tmp/.wh.{}", number - 1))}));
    return layers;
}

TEST_F(pull_test, many_layers_arrive_whole_and_in_order) {
    push(docker_archive("x:1", many_layers()), "team/app:1");
    const image pulled = pull(at("team/app:1"));
    EXPECT_THAT(pulled.layers, SizeIs(12));
    EXPECT_EQ(content(pulled, "version"), "11");
    EXPECT_EQ(content(pulled, "tmp/11"), noise(12'000'000, 11));
    struct stat status {};
    ::stat((images->layer_folders(pulled).front() / "tmp").c_str(), &status);
    EXPECT_EQ(status.st_mode & 07777U, 01777U) << "an implicit folder looks as the one below";
    std::set<std::string> states;
    std::uint64_t most = 0;
    for (const pull_progress& each : progress) {
        states.insert(each.state);
        most = std::max(most, each.current);
        EXPECT_LE(each.current, each.total);
    }
    EXPECT_THAT(states, ElementsAre("done", "downloading", "extracting"));
    EXPECT_GT(most, 11'000'000U);
    EXPECT_TRUE(leftovers().empty());
}

TEST_F(pull_test, gzip_and_zstd_of_one_image_are_one_image) {
    const std::string archive = docker_archive("x:1", {plain_layer({file("f", "content")})});
    push(archive, "app:gzip", "--format oci --dest-compress-format gzip");
    push(archive, "app:zstd", "--format oci --dest-compress-format zstd");
    const image first = pull(at("app:gzip"));
    const image second = pull(at("app:zstd"));
    EXPECT_EQ(progress.back().state, "exists");
    EXPECT_EQ(first.layers, second.layers);
    EXPECT_THAT(layers(), SizeIs(1));
    run(images->remove(at("app:gzip"), {}));
    run(images->remove(at("app:zstd"), {}));
    EXPECT_EQ(content(pull(at("app:zstd")), "f"), "content");
}

TEST_F(pull_test, a_mirror_serves_names_of_docker_io) {
    push(docker_archive("x:1", {plain_layer({file("f", "content")})}), "library/web:1");
    open({.mirrors = {{"docker.io", {"http://" + at("").substr(0, at("").size() - 1)}}}, .insecure = {}});
    EXPECT_THAT(pull("web:1").names, Contains("web:1"));
    EXPECT_TRUE(images->find("docker.io/library/web:1"));
}

TEST_F(pull_test, what_is_not_there_is_not_found) {
    const auto [kind, text] = pull_failure(at("no/such:1"));
    EXPECT_EQ(kind, compose::error_kind::not_found);
    EXPECT_THAT(text, HasSubstr("no/such"));
}

TEST_F(pull_test, a_tag_that_has_moved_on_moves_here_with_the_next_pull) {
    push(docker_archive("x:1", {plain_layer({file("f", "old")})}), "app:1");
    pull(at("app:1"));
    push(docker_archive("x:1", {plain_layer({file("f", "new")})}), "app:1");
    EXPECT_EQ(content(*images->find(at("app:1")), "f"), "old");
    pull(at("app:1"));
    EXPECT_EQ(content(*images->find(at("app:1")), "f"), "new");
}

} // namespace
} // namespace engine
