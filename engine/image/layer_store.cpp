#include "engine/image/layer_store.hpp"

#include "compose/model/error.hpp"
#include "engine/image/chunk_queue.hpp"
#include "engine/system/crash_point.hpp"
#include "engine/system/identifier.hpp"
#include "engine/system/notifier.hpp"
#include "engine/system/tree_writer.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

namespace engine {

namespace fs = std::filesystem;

/// Who makes which layer.
struct layer_store::turns {
    explicit turns(boost::asio::io_context& io) : changed(io) {}

    std::set<digest> under_way;
    notifier changed;
};

class layer_store::pin {
  public:
    pin(std::multiset<digest>& held, std::vector<digest> layers) : held_(held), layers_(std::move(layers)) {
        held_.insert(layers_.begin(), layers_.end());
    }
    pin(const pin&) = delete;
    pin& operator=(const pin&) = delete;
    ~pin() {
        for (const digest& each : layers_)
            held_.erase(held_.find(each));
    }

  private:
    std::multiset<digest>& held_;
    std::vector<digest> layers_;
};

layer_store::layer_store(executors on, fs::path folder)
    : executors_(on), folder_(std::move(folder)), turns_(std::make_shared<turns>(on.io)),
      threads_(most_at_once) {
    fs::create_directories(folder_ / "layers");
    remove_temporary_folders(folder_);
}

layer_store::~layer_store() {
    stop();
}

void layer_store::stop() {
    for (const auto& each : transfers_)
        each->stop();
    threads_.join();
}

fs::path layer_store::path(const digest& layer) const {
    return folder_ / "layers" / layer.hex();
}

bool layer_store::has_folder(const digest& layer) const {
    std::error_code none;
    return fs::is_directory(path(layer), none);
}

void layer_store::adopt(const std::map<digest, std::uint64_t>& layers) {
    sizes_ = layers;
    std::set<std::string> known;
    for (const auto& [layer, size] : layers)
        known.insert(layer.hex());
    // Of a pull that a crash has cut short, or not flushed before a power cut: nobody can tell whether they
    // are whole.
    for (const auto& entry : fs::directory_iterator(folder_ / "layers"))
        if (!known.contains(entry.path().filename().native()))
            remove_tree(entry.path());
}

std::shared_ptr<layer_store::pin> layer_store::hold(std::vector<digest> layers) {
    return std::make_shared<pin>(held_, std::move(layers));
}

namespace {

/// One of those who may make a layer now; the next one's turn comes when it goes.
class turn {
  public:
    turn(std::set<digest>& under_way, notifier& changed, digest layer)
        : under_way_(under_way), changed_(changed), layer_(std::move(layer)) {
        under_way_.insert(layer_);
    }
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;
    ~turn() {
        under_way_.erase(layer_);
        changed_.notify_all();
    }

  private:
    std::set<digest>& under_way_;
    notifier& changed_;
    digest layer_;
};

} // namespace

task<> layer_store::add(digest layer, std::function<task<imported_layer>()> make) {
    const std::shared_ptr<turns> line = turns_;
    while (line->under_way.contains(layer) || (!contains(layer) && line->under_way.size() >= most_at_once))
        co_await line->changed.wait();
    if (contains(layer))
        co_return;
    const turn mine(line->under_way, line->changed, layer);
    imported_layer made = co_await make();
    crash_point("pull: a layer is unpacked");
    sizes_[layer] = made.bytes;
    if (!made.implicit_folders.empty())
        unsettled_[layer] = std::move(made.implicit_folders);
}

task<imported_layer> layer_store::import(std::shared_ptr<byte_source> content, expected_layer expected) {
    auto work = [content, expected, folder = folder_] { return import_layer(*content, expected, folder); };
    imported_layer made = co_await blocking(threads_, work);
    co_return made;
}

task<imported_layer> layer_store::import(std::shared_ptr<chunk_queue> content, expected_layer expected) {
    // Out of the list however this ends; the thread itself holds on to the queue.
    struct listed {
        std::set<std::shared_ptr<chunk_queue>>& list;
        std::shared_ptr<chunk_queue> queue;
        ~listed() {
            queue->stop();
            list.erase(queue);
        }
    };
    transfers_.insert(content);
    const listed guard{.list = transfers_, .queue = content};
    auto work = [content, expected, folder = folder_] {
        queue_source source(*content);
        return import_layer(source, expected, folder);
    };
    imported_layer made = co_await blocking(threads_, work);
    co_return made;
}

task<> layer_store::settle(std::vector<digest> chain) {
    struct job {
        fs::path layer;
        std::vector<std::string> folders;
        std::vector<fs::path> below; // nearest first
    };
    std::vector<job> jobs;
    std::vector<fs::path> below;
    for (const digest& each : chain) {
        if (const auto found = unsettled_.find(each); found != unsettled_.end())
            jobs.push_back({.layer = path(each), .folders = found->second, .below = below});
        below.insert(below.begin(), path(each));
    }
    if (jobs.empty())
        co_return;
    // Lowest first: what an upper layer copies from is settled by then.
    auto work = [jobs] {
        for (const job& each : jobs)
            settle_implicit_folders(each.layer, each.folders, each.below);
    };
    co_await blocking(threads_, work);
    for (const digest& each : chain)
        unsettled_.erase(each);
}

task<> layer_store::collect(std::vector<digest> layers) {
    std::vector<fs::path> trash;
    for (const digest& each : layers) {
        if (held_.contains(each) || sizes_.erase(each) == 0)
            continue;
        unsettled_.erase(each);
        // Renamed at once, so that whoever wants the layer from here on makes it anew.
        trash.push_back(folder_ / ("tmp-" + random_identifier().substr(0, 16)));
        std::error_code gone;
        fs::rename(path(each), trash.back(), gone);
    }
    if (trash.empty())
        co_return;
    auto work = [trash] {
        for (const fs::path& each : trash)
            remove_tree(each);
    };
    co_await blocking(executors_.workers, work);
}

} // namespace engine
