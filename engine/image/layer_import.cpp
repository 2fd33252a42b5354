#include "engine/image/layer_import.hpp"

#include "compose/model/error.hpp"
#include "engine/image/chunk_queue.hpp"
#include "engine/image/layer_unpacker.hpp"
#include "engine/system/identifier.hpp"
#include "engine/system/tree_writer.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace engine {

namespace fs = std::filesystem;
using compose::error;
using compose::error_kind;

namespace {

constexpr std::string_view temporary_prefix = "tmp-";

void check(const digest& actual, const digest& expected, std::string_view what) {
    if (actual != expected)
        throw error(
            error_kind::invalid, fmt::format("layer \"{}\": {} is {} instead; what was sent is damaged",
                                     expected.text(), what, actual.text()));
}

} // namespace

temporary_folder::temporary_folder(const fs::path& beside)
    : path_(beside / fmt::format("{}{}", temporary_prefix, random_identifier().substr(0, 16))) {
    fs::create_directories(path_);
}

temporary_folder::~temporary_folder() {
    try {
        remove_tree(path_);
    } catch (const std::exception& failure) {
        spdlog::warn("{}; it is tried again at the next start", failure.what());
    }
}

void remove_temporary_folders(const fs::path& beside) {
    for (const auto& entry : fs::directory_iterator(beside))
        if (entry.path().filename().native().starts_with(temporary_prefix))
            remove_tree(entry.path());
}

imported_layer import_layer(byte_source& content, const expected_layer& expected, const fs::path& images) {
    const temporary_folder made(images);
    fs::permissions(made.path(), fs::perms(0755));
    hashing_source packed(content);
    unpacked_layer unpacked;
    {
        const std::unique_ptr<byte_source> plain = decompress(packed);
        threaded_source ahead(*plain);
        hashing_source hashed(ahead);
        unpacked = unpack_layer(hashed, made.path());
        check(hashed.finish(), expected.diff_id, "its content");
    }
    const digest actual = packed.finish();
    if (expected.content)
        check(actual, *expected.content, "its packed content");
    const fs::path target = images / "layers" / expected.diff_id.hex();
    std::error_code taken;
    fs::rename(made.path(), target, taken);
    if (taken)
        throw error(error_kind::internal,
            fmt::format("keep layer \"{}\": {}", expected.diff_id.text(), taken.message()));
    return {.bytes = unpacked.bytes, .implicit_folders = std::move(unpacked.implicit_folders)};
}

void settle_implicit_folders(const fs::path& layer, const std::vector<std::string>& implicit_folders,
    const std::vector<fs::path>& below) {
    tree_writer writer(layer);
    for (const std::string& folder : implicit_folders)
        for (const fs::path& each : below)
            if (writer.copy_folder_attributes(folder, each))
                break;
}

} // namespace engine
