#include "engine/image/image_store.hpp"

#include "compose/model/error.hpp"
#include "engine/image/archive_reader.hpp"
#include "engine/image/byte_source.hpp"
#include "engine/image/image_puller.hpp"
#include "engine/image/layer_store.hpp"
#include "engine/image/layer_unpacker.hpp"
#include "engine/image/reference.hpp"
#include "engine/store/store.hpp"
#include "engine/system/async_mutex.hpp"
#include "engine/system/crash_point.hpp"
#include "engine/system/file.hpp"
#include "engine/system/identifier.hpp"
#include "engine/system/tree_writer.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <fcntl.h>
#include <malloc.h>

#include <algorithm>
#include <numeric>

namespace engine {

namespace fs = std::filesystem;
namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

constexpr int format_version = 1;
constexpr std::string_view image_prefix = "image:";
constexpr std::string_view name_prefix = "name:";

/// An image's record: present at once, for good once the file system was flushed. Until then it carries the
/// id of the boot, and is of no use in another one: a power cut may have left holes in its layers. So no pull
/// waits for a flush.
struct image_record {
    std::string config;
    std::vector<std::uint64_t> sizes; // of the layers, lowest first
    std::string boot;                 // empty: flushed
};

std::string encode(const image_record& from) {
    json::object object{
        {"v", format_version}, {"config", from.config}, {"sizes", json::value_from(from.sizes)}};
    if (!from.boot.empty())
        object["boot"] = from.boot;
    return json::serialize(object);
}

image_record decode_image(const json::value& from) {
    image_record made{.config = std::string(from.at("config").as_string()),
        .sizes = json::value_to<std::vector<std::uint64_t>>(from.at("sizes"))};
    if (const json::value* boot = from.as_object().if_contains("boot"))
        made.boot = boot->as_string();
    return made;
}

image image_of(const std::string& id, const image_record& record) {
    image_document document = parse_image_document(record.config);
    if (document.diff_ids.size() != record.sizes.size())
        throw error(error_kind::invalid,
            fmt::format("image \"{}\": its record has another number of layers than it", id));
    image made;
    made.id = id;
    made.config = std::move(document.config);
    made.layers = std::move(document.diff_ids);
    made.size = std::accumulate(record.sizes.begin(), record.sizes.end(), std::uint64_t{0});
    made.created = std::move(document.created);
    made.platform = std::move(document.platform);
    return made;
}

std::string image_key(const std::string& id) {
    return fmt::format("{}{}", image_prefix, id);
}

std::string name_key(const std::string& name) {
    return fmt::format("{}{}", name_prefix, name);
}

/// Ids may be cut short, to no less than people are shown.
bool is_short_of(const std::string& id, const std::string& text) {
    constexpr std::size_t shortest = 12;
    return text.size() >= shortest && digest(id).hex().starts_with(text);
}

} // namespace

struct image_store::implementation : std::enable_shared_from_this<image_store::implementation> {
    implementation(executors on, store& to, fs::path folder, image_settings wanted)
        : executors_(on), records(to), settings(std::move(wanted)), boot(boot_identifier()),
          layers(std::make_shared<layer_store>(on, std::move(folder))), flushing(on.io) {}

    void load();
    void load_name(const std::string& name, const json::object& from);
    void load_image(
        const std::string& id, const image_record& record, std::map<digest, std::uint64_t>& found);
    void name(const std::string& name, const std::string& id);
    void unname(const std::string& name);
    void keep(const std::string& id, const std::string& config);
    task<std::string> import(fs::path archive, archived_image from);
    task<std::vector<std::string>> import_all(fs::path file, fs::path into);
    task<> flush(std::shared_ptr<implementation> self, std::string id, image_record record);
    std::vector<digest> unused(std::vector<digest> of) const;

    executors executors_;
    store& records;
    image_settings settings;
    std::string boot;
    std::shared_ptr<layer_store> layers;
    async_mutex flushing;
    std::map<std::string, image> images;                                // by id
    std::map<std::string, std::string> names;                           // full name -> id
    std::map<std::string, std::chrono::system_clock::time_point> times; // of the naming, by full name
};

void image_store::implementation::load() {
    std::map<digest, std::uint64_t> found;
    for (const record& row : records.load(table::image)) {
        try {
            const json::value value = json::parse(row.value);
            if (row.key.starts_with(image_prefix))
                load_image(row.key.substr(image_prefix.size()), decode_image(value), found);
            else
                load_name(row.key.substr(name_prefix.size()), value.as_object());
        } catch (const std::exception& failure) {
            throw error(error_kind::invalid,
                fmt::format("read image \"{}\" from the store: {}", row.key, failure.what()));
        }
    }
    layers->adopt(found);
    for (auto entry = names.begin(); entry != names.end();) {
        const auto named = images.find(entry->second);
        if (named != images.end()) {
            named->second.names.push_back(parse_reference(entry->first).short_name());
            ++entry;
            continue;
        }
        spdlog::warn(
            "image \"{}\" was not written out when the host went down; it has to be pulled or loaded again",
            parse_reference(entry->first).short_name());
        records.erase(table::image, name_key(entry->first));
        entry = names.erase(entry);
    }
}

void image_store::implementation::load_name(const std::string& name, const json::object& from) {
    names[name] = from.at("id").as_string();
    if (const json::value* when = from.if_contains("named"))
        times[name] =
            std::chrono::system_clock::time_point(std::chrono::seconds(when->to_number<std::int64_t>()));
}

void image_store::implementation::load_image(
    const std::string& id, const image_record& record, std::map<digest, std::uint64_t>& found) {
    image made = image_of(id, record);
    const bool whole = std::all_of(
        made.layers.begin(), made.layers.end(), [&](const digest& each) { return layers->has_folder(each); });
    if (!whole || (!record.boot.empty() && record.boot != boot)) {
        records.erase(table::image, image_key(id));
        return;
    }
    for (std::size_t index = 0; index < made.layers.size(); ++index)
        found[made.layers[index]] = record.sizes[index];
    images.emplace(id, std::move(made));
    if (!record.boot.empty())
        spawn(executors_.io, "flush image " + id, flush(shared_from_this(), id, record));
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
    const auto now = std::chrono::system_clock::now();
    times[name] = now;
    const std::int64_t seconds =
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    records.put(table::image, name_key(name),
        json::serialize(json::object{{"v", format_version}, {"id", id}, {"named", seconds}}));
}

/// Records an image whose layers are all there.
void image_store::implementation::keep(const std::string& id, const std::string& config) {
    if (images.contains(id))
        return;
    image_record record{.config = config, .boot = boot};
    for (const digest& each : parse_image_document(config).diff_ids)
        record.sizes.push_back(layers->size(each));
    images.emplace(id, image_of(id, record));
    records.put(table::image, image_key(id), encode(record));
    spawn(executors_.io, "flush image " + id, flush(shared_from_this(), id, record));
}

task<> image_store::implementation::flush(
    std::shared_ptr<implementation> self, std::string id, image_record record) {
    // One at a time: ten images at once would take every worker for as long as the disk needs.
    const auto turn = co_await self->flushing.lock();
    auto work = [folder = self->layers->folder()] { flush_file_system(folder); };
    co_await blocking(self->executors_.workers, work);
    if (!self->images.contains(id))
        co_return;
    record.boot.clear();
    self->records.put(table::image, image_key(id), encode(record));
}

task<std::string> image_store::implementation::import(fs::path archive, archived_image from) {
    const std::string id = sha256_of(from.config).text();
    const image_document document = parse_image_document(from.config);
    if (document.diff_ids.size() != from.layers.size())
        throw error(
            error_kind::invalid, fmt::format("archive: an image has {} layers, its configuration names {}",
                                     from.layers.size(), document.diff_ids.size()));
    if (from.layers.size() > most_layers)
        throw error(
            error_kind::invalid, fmt::format("archive: {} layers are more than the {} that can be mounted",
                                     from.layers.size(), most_layers));
    const auto hold = layers->hold(document.diff_ids);
    for (std::size_t index = 0; index < from.layers.size(); ++index) {
        const digest diff_id = document.diff_ids[index];
        const std::string file = from.layers[index];
        std::function<task<imported_layer>()> make = [this, diff_id, archive, file] {
            const auto source = std::make_shared<file_source>(open_inside(archive, file), file);
            return layers->import(source, expected_layer{.diff_id = diff_id, .content = std::nullopt});
        };
        co_await layers->add(diff_id, std::move(make));
    }
    co_await layers->settle(document.diff_ids);
    keep(id, from.config);
    for (const std::string& each : from.names)
        name(parse_reference(each).name(), id);
    co_await records.durable();
    co_return id;
}

std::vector<digest> image_store::implementation::unused(std::vector<digest> of) const {
    for (const auto& [id, each] : images)
        for (const digest& kept : each.layers)
            std::erase(of, kept);
    return of;
}

image_store::image_store(executors on, store& records, fs::path folder, image_settings settings)
    : implementation_(std::make_shared<implementation>(on, records, std::move(folder), std::move(settings))) {
    implementation_->load();
}

image_store::~image_store() {
    implementation_->layers->stop();
}

std::optional<image> image_store::find(const std::string& name_or_id) const {
    const implementation& self = *implementation_;
    if (const auto exact = self.images.find(name_or_id); exact != self.images.end())
        return exact->second;
    for (const auto& [id, each] : self.images)
        if (is_short_of(id, name_or_id))
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

bool is_for(const image& picture, const std::string& platform) {
    if (platform.empty() || picture.platform.empty())
        return true;
    const image_platform wanted = parse_platform(platform);
    const image_platform has = parse_platform(picture.platform);
    return wanted.os == has.os && wanted.architecture == has.architecture &&
           (wanted.variant.empty() || has.variant.empty() || wanted.variant == has.variant);
}

std::vector<fs::path> image_store::layer_folders(const image& of) const {
    // The layer of a step that changed nothing is in many images several times, and overlayfs takes a folder
    // once (ELOOP): of equal ones the uppermost hides all that is below it.
    std::vector<fs::path> folders;
    for (auto layer = of.layers.rbegin(); layer != of.layers.rend(); ++layer)
        if (std::find(of.layers.rbegin(), layer, *layer) == layer)
            folders.push_back(implementation_->layers->path(*layer));
    return folders;
}

task<std::vector<std::string>> image_store::implementation::import_all(fs::path file, fs::path into) {
    auto work = [file, into] {
        file_source whole(open_file(file, O_RDONLY), file);
        const std::unique_ptr<byte_source> plain = decompress(whole);
        unpack_layer(*plain, into);
        return read_archive(into);
    };
    const std::vector<archived_image> found = co_await blocking(executors_.workers, work);
    std::vector<std::string> loaded;
    for (const archived_image& each : found) {
        const std::string id = co_await import(into, each);
        if (each.names.empty())
            loaded.push_back(id);
        for (const std::string& name : each.names)
            loaded.push_back(parse_reference(name).short_name());
    }
    co_return loaded;
}

task<std::vector<std::string>> image_store::load_archive(fs::path file) {
    const auto self = implementation_;
    auto unpacked = std::make_unique<temporary_folder>(self->layers->folder());
    std::vector<std::string> loaded;
    std::exception_ptr failure;
    try {
        loaded = co_await self->import_all(std::move(file), unpacked->path());
    } catch (...) {
        failure = std::current_exception();
    }
    // As large as the image: not to be removed on this thread.
    auto clean = [unpacked = std::shared_ptr(std::move(unpacked))]() mutable { unpacked.reset(); };
    co_await blocking(self->executors_.workers, clean);
    if (failure)
        std::rethrow_exception(failure);
    co_return loaded;
}

task<image> image_store::pull(std::string name, pull_options options, pull_progress_callback progress) {
    const auto self = implementation_;
    const reference what = parse_reference(name);
    const image_platform platform =
        options.platform.empty() ? host_platform() : parse_platform(options.platform);
    const fetched_image fetched = co_await fetch_image(
        self->executors_.io, self->layers, what, platform, self->settings, std::move(progress));
    const std::string id = sha256_of(fetched.config).text();
    crash_point("pull: all layers are there");
    self->keep(id, fetched.config);
    self->name(what.name(), id);
    const image pulled = self->images.at(id);
    co_await self->records.durable();
    crash_point("pull: its record is durable");
    // The buffers of a pull are spread over the arenas of all workers, which keep them (mallopt(3)).
    auto give_back = [] { return ::malloc_trim(0); };
    co_await blocking(self->executors_.workers, give_back);
    co_return pulled;
}

std::optional<std::chrono::system_clock::time_point> image_store::named_at(const std::string& text) const {
    const auto found = implementation_->times.find(parse_reference(text).name());
    return found == implementation_->times.end() ? std::nullopt : std::optional(found->second);
}

task<std::string> image_store::resolve(std::string name) {
    const auto self = implementation_;
    const reference found =
        co_await resolve_image(self->executors_.io, parse_reference(name), self->settings);
    co_return found.name();
}

void image_store::implementation::unname(const std::string& name) {
    const auto entry = names.find(name);
    std::erase(images.at(entry->second).names, parse_reference(name).short_name());
    records.erase(table::image, name_key(name));
    times.erase(name);
    names.erase(entry);
}

task<> image_store::remove(std::string name_or_id, std::set<std::string> used) {
    const auto self = implementation_;
    const std::optional<image> found = find(name_or_id);
    if (!found)
        throw error(
            error_kind::not_found, fmt::format("image \"{}\": there is none of that name", name_or_id));
    const std::string id = found->id;
    const bool by_id = name_or_id == id || is_short_of(id, name_or_id);
    std::vector<std::string> meant;
    for (const auto& [name, target] : self->names)
        if (target == id && (by_id || name == parse_reference(name_or_id).name()))
            meant.push_back(name);
    const bool whole = meant.size() == found->names.size();
    if (whole && used.contains(id))
        throw error(error_kind::conflict,
            fmt::format("remove image \"{}\": containers use it; remove them first", name_or_id));
    for (const std::string& name : meant)
        self->unname(name);
    if (whole) {
        self->records.erase(table::image, image_key(id));
        self->images.erase(id);
    }
    co_await self->records.durable();
    if (whole)
        co_await self->layers->collect(self->unused(found->layers));
}

} // namespace engine
