#include "engine/image/image_puller.hpp"

#include "compose/model/error.hpp"
#include "engine/image/chunk_queue.hpp"
#include "engine/image/registry.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>

namespace engine {

using compose::error;
using compose::error_kind;
using namespace std::chrono_literals;

namespace {

constexpr auto progress_interval = 100ms;
constexpr std::size_t short_id = 12; // digits, as everywhere

/// What the coroutines of one image share.
struct pull_state {
    pull_state(boost::asio::io_context& context, std::shared_ptr<layer_store> store, registry source)
        : io(context), layers(std::move(store)), from(std::move(source)), changed(context) {}

    boost::asio::io_context& io;
    std::shared_ptr<layer_store> layers;
    registry from;
    notifier changed;
    std::size_t under_way = 0;
    std::set<std::shared_ptr<chunk_queue>> queues;
    std::uint64_t received = 0; // bytes of all layers, for those who look on
    std::uint64_t expected = 0;
    std::exception_ptr failure; // the first
};

/// Tells of one layer, not more often than somebody can read.
class layer_reporter {
  public:
    layer_reporter(std::shared_ptr<pull_state> image, const descriptor& layer, pull_progress_callback to)
        : image_(std::move(image)), to_(std::move(to)), last_{.layer = layer.id.hex().substr(0, short_id),
                                                            .state = "downloading",
                                                            .current = 0,
                                                            .total = layer.size} {}

    /// Bytes from now on count in the image's sum: the layer was not here.
    void begin() { image_->expected += last_.total; }

    void received(std::uint64_t bytes) {
        image_->received += bytes - last_.current;
        last_.current = bytes;
        const auto now = std::chrono::steady_clock::now();
        if (bytes == last_.total)
            last_.state = "extracting";
        else if (now - told_ < progress_interval)
            return;
        told_ = now;
        tell();
    }

    void end(std::string state) {
        last_.state = std::move(state);
        last_.current = last_.total;
        tell();
    }

  private:
    void tell() {
        last_.image_current = image_->received;
        last_.image_total = image_->expected;
        if (to_)
            to_(last_);
    }

    std::shared_ptr<pull_state> image_;
    pull_progress_callback to_;
    pull_progress last_;
    std::chrono::steady_clock::time_point told_;
};

/// The first failure ends all the others.
void give_up(pull_state& state, std::exception_ptr failure) {
    if (!state.failure)
        state.failure = std::move(failure);
    for (const auto& queue : state.queues)
        queue->stop();
}

task<> download(std::shared_ptr<pull_state> state, descriptor layer, std::shared_ptr<chunk_queue> queue,
    std::shared_ptr<layer_reporter> reporter) {
    try {
        std::function<void(std::uint64_t)> received = [reporter](
                                                          std::uint64_t bytes) { reporter->received(bytes); };
        co_await state->from.blob(layer, queue, std::move(received));
    } catch (const error&) {
        // The reader of the queue is told, and throws it.
    }
}

task<imported_layer> make_layer(std::shared_ptr<pull_state> state, descriptor layer, digest diff_id,
    std::shared_ptr<layer_reporter> reporter) {
    if (state->failure)
        std::rethrow_exception(state->failure);
    const auto queue = std::make_shared<chunk_queue>();
    state->queues.insert(queue);
    spawn(state->io, "download layer " + layer.id.text(), download(state, layer, queue, reporter));
    expected_layer expected{.diff_id = std::move(diff_id), .content = layer.id};
    std::exception_ptr failure;
    imported_layer made;
    try {
        made = co_await state->layers->import(queue, std::move(expected));
    } catch (const error&) {
        failure = std::current_exception();
    }
    state->queues.erase(queue);
    if (failure)
        std::rethrow_exception(failure);
    co_return made;
}

task<> fetch_layer(
    std::shared_ptr<pull_state> state, descriptor layer, digest diff_id, pull_progress_callback progress) {
    const auto reporter = std::make_shared<layer_reporter>(state, layer, std::move(progress));
    try {
        const bool there = state->layers->contains(diff_id);
        if (!there)
            reporter->begin();
        std::function<task<imported_layer>()> make = [state, layer, diff_id, reporter] {
            return make_layer(state, layer, diff_id, reporter);
        };
        co_await state->layers->add(diff_id, std::move(make));
        reporter->end(there ? "exists" : "done");
    } catch (...) {
        give_up(*state, std::current_exception());
    }
    --state->under_way;
    state->changed.notify_all();
}

task<> fetch_layers(std::shared_ptr<pull_state> state, image_manifest manifest, std::vector<digest> diff_ids,
    pull_progress_callback progress) {
    // The largest first: the last to end decides.
    std::vector<std::size_t> order(manifest.layers.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
        return manifest.layers[left].size > manifest.layers[right].size;
    });
    state->under_way = order.size();
    for (const std::size_t index : order)
        spawn(state->io, "fetch layer " + diff_ids[index].text(),
            fetch_layer(state, manifest.layers[index], diff_ids[index], progress));
    while (state->under_way > 0)
        co_await state->changed.wait();
    if (state->failure)
        std::rethrow_exception(state->failure);
}

task<image_manifest> find_manifest(
    std::shared_ptr<pull_state> state, reference what, image_platform platform) {
    const std::string wanted = what.pinned ? what.pinned->text() : what.tag;
    registry_document document = co_await state->from.manifest(wanted);
    for (int depth = 0; depth < 3; ++depth) {
        const auto parsed = parse_manifest(document.text, document.content_type);
        if (const auto* manifest = std::get_if<image_manifest>(&parsed))
            co_return *manifest;
        const descriptor best = choose(std::get<image_index>(parsed), platform).manifest;
        document = co_await state->from.manifest(best.id.text());
    }
    throw error(error_kind::invalid, "image index: indexes lie in indexes too deep");
}

task<fetched_image> fetch_from(std::shared_ptr<pull_state> state, reference what, image_platform platform,
    pull_progress_callback progress) {
    image_manifest manifest = co_await find_manifest(state, what, platform);
    fetched_image fetched;
    fetched.config = co_await state->from.blob_text(manifest.config, config_limit);
    const image_document document = parse_image_document(fetched.config);
    fetched.layers = document.diff_ids;
    if (fetched.layers.size() != manifest.layers.size())
        throw error(error_kind::invalid, fmt::format("the manifest has {} layers, the configuration {}",
                                             manifest.layers.size(), fetched.layers.size()));
    fetched.hold = state->layers->hold(fetched.layers);
    co_await fetch_layers(state, std::move(manifest), fetched.layers, std::move(progress));
    co_await state->layers->settle(fetched.layers);
    co_return fetched;
}

/// What the first address of the registry that has it gives: `ask` begins a task for a repository there. An
/// lvalue that outlives the task, for the same reason as that of blocking().
template <typename Result, typename Ask>
task<Result> ask_registry(
    boost::asio::io_context& io, std::string verb, reference what, image_settings settings, Ask& ask) {
    http_settings wanted{.insecure = settings.insecure};
    const auto client = std::make_shared<http_client>(io, std::move(wanted));
    std::vector<std::string> unreachable;
    std::vector<std::string> said;
    error_kind kind = error_kind::unavailable;
    for (const std::string& address : registry_addresses(what.registry, settings)) {
        try {
            Result found = co_await ask(registry(io, client, address, what.repository));
            co_return found;
        } catch (const error& failure) {
            if (failure.kind() == error_kind::unavailable) {
                unreachable.emplace_back(failure.what());
                continue;
            }
            kind = failure.kind();
            said.emplace_back(failure.what());
        }
    }
    // What a server says outweighs that another one, or the same over https, cannot be reached.
    throw error(kind, fmt::format("{} \"{}\": {}", verb, what.short_name(),
                          fmt::join(said.empty() ? unreachable : said, "; ")));
}

task<std::string> digest_of_manifest(registry from, std::string tag) {
    const registry_document document = co_await from.manifest(std::move(tag));
    co_return sha256_of(document.text).text();
}

} // namespace

task<fetched_image> fetch_image(boost::asio::io_context& io, std::shared_ptr<layer_store> layers,
    reference what, image_platform platform, image_settings settings, pull_progress_callback progress) {
    auto ask = [&](registry from) {
        return fetch_from(
            std::make_shared<pull_state>(io, layers, std::move(from)), what, platform, progress);
    };
    co_return co_await ask_registry<fetched_image>(io, "pull", what, std::move(settings), ask);
}

task<reference> resolve_image(boost::asio::io_context& io, reference what, image_settings settings) {
    if (!what.pinned) {
        auto ask = [&](registry from) { return digest_of_manifest(std::move(from), what.tag); };
        const std::string found =
            co_await ask_registry<std::string>(io, "resolve", what, std::move(settings), ask);
        what.pinned = digest(found);
    }
    co_return what;
}

} // namespace engine
