#include "engine/image/image_store.hpp"

#include "compose/model/error.hpp"
#include "engine/image/archive_reader.hpp"
#include "engine/image/byte_source.hpp"
#include "engine/image/layer_unpacker.hpp"
#include "engine/image/reference.hpp"
#include "engine/store/store.hpp"
#include "engine/system/file.hpp"
#include "engine/system/identifier.hpp"
#include "engine/system/tree_writer.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <fcntl.h>

#include <algorithm>

namespace engine {

namespace fs = std::filesystem;
namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

constexpr int format_version = 1;
constexpr std::string_view image_prefix = "image:";
constexpr std::string_view name_prefix = "name:";

/// A folder for something half made: gone with the object unless it was kept.
class temporary_folder {
  public:
    explicit temporary_folder(const fs::path& beside)
        : path_(beside / ("tmp-" + random_identifier().substr(0, 16))) {
        fs::create_directories(path_);
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    ~temporary_folder() { remove_tree(path_); }

    const fs::path& path() const noexcept { return path_; }

  private:
    fs::path path_;
};

struct finished_layer {
    digest id;
    std::uint64_t size = 0;
    std::vector<std::string> implicit_folders;
};

/// One layer of an unpacked archive into layers/; blocks.
finished_layer import_layer(
    const fs::path& archive, const std::string& layer, const digest& expected, const fs::path& images) {
    const fs::path target = images / "layers" / expected.hex();
    if (fs::exists(target))
        return {.id = expected};
    const temporary_folder made(images);
    fs::permissions(made.path(), fs::perms(0755));
    const fs::path file = archive / layer;
    unique_fd opened = open_inside(archive, layer);
    const std::uint64_t size = fs::file_size(fmt::format("/proc/self/fd/{}", opened.get()));
    file_source compressed(std::move(opened), layer, 0, size);
    const std::unique_ptr<byte_source> plain = decompress(compressed);
    hashing_source hashed(*plain);
    unpacked_layer unpacked = unpack_layer(hashed, made.path());
    const digest actual = hashed.finish();
    if (actual != expected)
        throw error(error_kind::invalid,
            fmt::format("layer \"{}\": its content is {}, the image says {}; the archive is damaged", layer,
                actual.text(), expected.text()));
    std::error_code taken;
    fs::rename(made.path(), target, taken);
    // Somebody else made the same layer meanwhile: equal content, either will do.
    if (taken && !fs::exists(target))
        throw error(
            error_kind::internal, fmt::format("keep layer \"{}\": {}", expected.text(), taken.message()));
    return {.id = expected, .size = unpacked.bytes, .implicit_folders = std::move(unpacked.implicit_folders)};
}

/// Folders that a layer has only because something is in them look as the layer below has them: without that,
/// an upper layer with one file in /tmp would take the sticky bit from it. Blocks.
void settle_implicit_folders(
    const fs::path& images, const std::vector<digest>& chain, const finished_layer& layer) {
    if (layer.implicit_folders.empty())
        return;
    tree_writer writer(images / "layers" / layer.id.hex());
    const auto own = std::find(chain.begin(), chain.end(), layer.id);
    for (const std::string& folder : layer.implicit_folders)
        for (auto below = own; below != chain.begin();) {
            --below;
            const fs::path candidate = images / "layers" / below->hex() / folder;
            if (std::error_code none; fs::is_directory(fs::symlink_status(candidate, none))) {
                writer.copy_folder_attributes(folder, candidate);
                break;
            }
        }
}

} // namespace

struct image_store::implementation {
    implementation(executors on, store& to, fs::path where, image_settings wanted)
        : executors_(on), records(to), folder(std::move(where)), settings(std::move(wanted)) {}

    void load();
    void add(const std::string& id, const std::string& config, std::uint64_t size);
    void name(const std::string& name, const std::string& id);
    task<std::string> import(fs::path archive, archived_image from);
    task<> collect(std::vector<digest> layers);

    executors executors_;
    store& records;
    fs::path folder;
    image_settings settings;
    std::map<std::string, image> images;      // by id
    std::map<std::string, std::string> names; // full name -> id
};

void image_store::implementation::load() {
    fs::create_directories(folder / "layers");
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().filename().native().starts_with("tmp-"))
            remove_tree(entry.path());
    for (const record& row : records.load(table::image)) {
        try {
            const json::value value = json::parse(row.value);
            if (row.key.starts_with(image_prefix))
                add(row.key.substr(image_prefix.size()), std::string(value.at("config").as_string()),
                    value.at("size").to_number<std::uint64_t>());
            else
                names[row.key.substr(name_prefix.size())] = value.at("id").as_string();
        } catch (const std::exception& failure) {
            throw error(error_kind::invalid,
                fmt::format("read image \"{}\" from the store: {}", row.key, failure.what()));
        }
    }
    for (const auto& [name, id] : names)
        if (const auto found = images.find(id); found != images.end())
            found->second.names.push_back(parse_reference(name).short_name());
}

void image_store::implementation::add(const std::string& id, const std::string& config, std::uint64_t size) {
    image_document document = parse_image_document(config);
    image made;
    made.id = id;
    made.config = std::move(document.config);
    made.layers = std::move(document.diff_ids);
    made.size = size;
    made.created = document.created;
    made.platform = document.platform;
    images.insert_or_assign(id, std::move(made));
}

void image_store::implementation::name(const std::string& name, const std::string& id) {
    const std::string shown = parse_reference(name).short_name();
    if (const auto before = names.find(name); before != names.end() && before->second != id)
        if (const auto other = images.find(before->second); other != images.end())
            std::erase(other->second.names, shown);
    names[name] = id;
    std::vector<std::string>& all = images.at(id).names;
    if (std::find(all.begin(), all.end(), shown) == all.end())
        all.push_back(shown);
    records.put(table::image, fmt::format("{}{}", name_prefix, name),
        json::serialize(json::object{{"v", format_version}, {"id", id}}));
}

task<std::string> image_store::implementation::import(fs::path archive, archived_image from) {
    const std::string id = sha256_of(from.config).text();
    const image_document document = parse_image_document(from.config);
    if (document.diff_ids.size() != from.layers.size())
        throw error(
            error_kind::invalid, fmt::format("archive: an image has {} layers, its configuration names {}",
                                     from.layers.size(), document.diff_ids.size()));
    auto work = [archive, from, images = folder, chain = document.diff_ids] {
        std::uint64_t size = 0;
        std::vector<finished_layer> layers;
        for (std::size_t index = 0; index < chain.size(); ++index)
            layers.push_back(import_layer(archive, from.layers[index], chain[index], images));
        for (const finished_layer& layer : layers) {
            settle_implicit_folders(images, chain, layer);
            size += layer.size;
        }
        flush_file_system(images);
        return size;
    };
    const std::uint64_t size = co_await blocking(executors_.workers, work);
    if (!images.contains(id)) {
        add(id, from.config, size);
        json::object value{{"v", format_version}, {"config", from.config}, {"size", size}};
        records.put(table::image, fmt::format("{}{}", image_prefix, id), json::serialize(value));
    }
    for (const std::string& each : from.names)
        name(parse_reference(each).name(), id);
    co_await records.durable();
    co_return id;
}

image_store::image_store(executors on, store& records, fs::path folder, image_settings settings)
    : implementation_(std::make_shared<implementation>(on, records, std::move(folder), std::move(settings))) {
    implementation_->load();
}

image_store::~image_store() = default;

std::optional<image> image_store::find(const std::string& name_or_id) const {
    const implementation& self = *implementation_;
    if (const auto exact = self.images.find(name_or_id); exact != self.images.end())
        return exact->second;
    const bool hex =
        name_or_id.size() >= 12 && name_or_id.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (hex)
        for (const auto& [id, each] : self.images)
            if (id.substr(7).starts_with(name_or_id))
                return each;
    std::string name;
    try {
        name = parse_reference(name_or_id).name();
    } catch (const error&) {
        return std::nullopt; // no name, so none of that name
    }
    const auto named = self.names.find(name);
    if (named == self.names.end())
        return std::nullopt;
    return self.images.at(named->second);
}

std::vector<image> image_store::list() const {
    std::vector<image> all;
    for (const auto& [id, each] : implementation_->images)
        all.push_back(each);
    return all;
}

std::vector<fs::path> image_store::layer_folders(const image& of) const {
    std::vector<fs::path> folders;
    for (auto layer = of.layers.rbegin(); layer != of.layers.rend(); ++layer)
        folders.push_back(implementation_->folder / "layers" / layer->hex());
    return folders;
}

task<std::vector<std::string>> image_store::load_archive(fs::path file) {
    const auto self = implementation_;
    const auto unpacked = std::make_shared<temporary_folder>(self->folder);
    auto work = [file, folder = unpacked->path()] {
        unique_fd opened = open_file(file, O_RDONLY);
        const std::uint64_t size = fs::file_size(file);
        file_source whole(std::move(opened), file, 0, size);
        const std::unique_ptr<byte_source> plain = decompress(whole);
        unpack_layer(*plain, folder);
        return read_archive(folder);
    };
    const std::vector<archived_image> found = co_await blocking(self->executors_.workers, work);
    std::vector<std::string> loaded;
    for (const archived_image& each : found) {
        const std::string id = co_await self->import(unpacked->path(), each);
        if (each.names.empty())
            loaded.push_back(id);
        for (const std::string& name : each.names)
            loaded.push_back(parse_reference(name).short_name());
    }
    co_return loaded;
}

task<image> image_store::pull(std::string reference, pull_options, pull_progress_callback) {
    throw error(error_kind::unavailable,
        fmt::format(
            "pull \"{}\": this build cannot reach registries yet; load the image with: compose load -i FILE",
            reference));
    co_return image();
}

task<> image_store::remove(std::string name_or_id, std::set<std::string> used) {
    const auto self = implementation_;
    const auto found = find(name_or_id);
    if (!found)
        throw error(
            error_kind::not_found, fmt::format("image \"{}\": there is none of that name", name_or_id));
    if (used.contains(found->id))
        throw error(error_kind::conflict,
            fmt::format("remove image \"{}\": containers use it; remove them first", name_or_id));
    image& whole = self->images.at(found->id);
    const bool by_id = found->id.find(name_or_id) != std::string::npos;
    for (auto entry = self->names.begin(); entry != self->names.end();) {
        const bool meant =
            entry->second == found->id && (by_id || entry->first == parse_reference(name_or_id).name());
        if (!meant) {
            ++entry;
            continue;
        }
        std::erase(whole.names, parse_reference(entry->first).short_name());
        self->records.erase(table::image, fmt::format("{}{}", name_prefix, entry->first));
        entry = self->names.erase(entry);
    }
    if (whole.names.empty()) {
        self->records.erase(table::image, fmt::format("{}{}", image_prefix, found->id));
        self->images.erase(found->id);
    }
    co_await self->records.durable();
    if (!self->images.contains(found->id))
        co_await self->collect(found->layers);
}

task<> image_store::implementation::collect(std::vector<digest> layers) {
    for (const auto& [id, each] : images)
        for (const digest& kept : each.layers)
            std::erase(layers, kept);
    auto work = [layers, images_folder = folder] {
        for (const digest& each : layers) {
            // Renamed first: a layer is there as a whole or not at all.
            const fs::path trash = images_folder / ("tmp-" + each.hex());
            std::error_code gone;
            fs::rename(images_folder / "layers" / each.hex(), trash, gone);
            remove_tree(trash);
        }
    };
    co_await blocking(executors_.workers, work);
}

} // namespace engine
