#include "image_fixture.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>

#include <cstdlib>

namespace engine {

namespace fs = std::filesystem;

test_layer plain_layer(const std::vector<tar_entry>& entries) {
    const std::string tar = make_tar(entries);
    return {.tar = tar, .packed = tar};
}

test_layer gzip_layer(const std::vector<tar_entry>& entries) {
    const std::string tar = make_tar(entries);
    return {.tar = tar, .packed = gzip(tar)};
}

test_layer zstd_layer(const std::vector<tar_entry>& entries) {
    const std::string tar = make_tar(entries);
    return {.tar = tar, .packed = zstd(tar)};
}

std::string config_for(const std::vector<test_layer>& layers, const std::string& command) {
    std::string ids;
    for (const test_layer& each : layers)
        ids += fmt::format("{}\"{}\"", ids.empty() ? "" : ",", sha256_of(each.tar).text());
    return fmt::format(
        R"({{"architecture":"amd64","os":"linux","config":{{"Cmd":["{}"]}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}})",
        command, ids);
}

std::string docker_archive(const std::string& name, const std::vector<test_layer>& layers) {
    std::vector<tar_entry> entries;
    std::string names;
    for (std::size_t index = 0; index < layers.size(); ++index) {
        entries.push_back(file(fmt::format("{}.tar", index), layers[index].packed));
        names += fmt::format("{}\"{}.tar\"", names.empty() ? "" : ",", index);
    }
    entries.push_back(file("config.json", config_for(layers)));
    entries.push_back(file("manifest.json",
        fmt::format(R"([{{"Config":"config.json","RepoTags":["{}"],"Layers":[{}]}}])", name, names)));
    return make_tar(entries);
}

image_fixture::image_fixture() {
    std::string pattern = "/tmp/composed-image-test-XXXXXX";
    folder = ::mkdtemp(pattern.data());
    open();
}

image_fixture::~image_fixture() {
    close();
    fs::remove_all(folder);
}

void image_fixture::open(image_settings settings) {
    close();
    const executors on{.io = io, .workers = workers};
    records = std::make_unique<store>(on, folder / "state.db");
    images = std::make_unique<image_store>(on, *records, folder / "image", std::move(settings));
}

void image_fixture::close() {
    if (!images)
        return;
    // What goes on in the background, flushes above all, comes to its end.
    io.restart();
    io.run();
    images.reset();
    records.reset();
}

void image_fixture::run(task<> work) {
    std::exception_ptr failure;
    bool done = false;
    boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr thrown) {
        failure = thrown;
        done = true;
    });
    run_until(done);
    if (failure)
        std::rethrow_exception(failure);
}

void image_fixture::run_until(const bool& done) {
    while (!done) {
        io.restart();
        io.run_one();
    }
}

std::vector<std::string> image_fixture::load(const std::string& archive) {
    write_file(folder / "archive.tar", archive);
    return run(images->load_archive(folder / "archive.tar"));
}

image image_fixture::pull(const std::string& name, const std::string& platform) {
    progress.clear();
    return run(images->pull(name, pull_options{.platform = platform},
        [this](const pull_progress& at) { progress.push_back(at); }));
}

std::pair<compose::error_kind, std::string> image_fixture::pull_failure(
    const std::string& name, const std::string& platform) {
    try {
        pull(name, platform);
    } catch (const compose::error& failure) {
        return {failure.kind(), failure.what()};
    }
    ADD_FAILURE() << name << " was pulled";
    return {};
}

std::set<std::string> image_fixture::layers() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder / "image/layers"))
        names.insert(entry.path().filename());
    return names;
}

std::set<std::string> image_fixture::leftovers() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder / "image"))
        if (entry.path().filename() != "layers")
            names.insert(entry.path().filename());
    return names;
}

std::string image_fixture::content(const image& of, const std::string& path) const {
    for (const fs::path& layer : images->layer_folders(of))
        if (const auto text = read_file_if_there(layer / path))
            return *text;
    return "(none)";
}

} // namespace engine
