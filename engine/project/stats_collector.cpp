#include "engine/project/stats_collector.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <map>
#include <utility>
#include <vector>

namespace engine {

namespace {

constexpr auto interval = std::chrono::seconds(1);

struct watched_container {
    std::shared_ptr<usage_reader> reader; // with a worker while a round is under way
    container_usage usage;
};

/// What a worker does in one round.
struct sampling {
    std::string id;
    std::uint64_t generation = 0;
    std::shared_ptr<usage_reader> reader; // null: to be opened
    container_cgroup cgroup;
    pid_t pid = 0;
    usage_sample sample;
};

} // namespace

double container_usage::cpu_percent() const noexcept {
    const std::chrono::duration<double> passed = now.time - before.time;
    const std::chrono::duration<double> used = now.cpu - before.cpu;
    return whole && passed.count() > 0 ? used.count() / passed.count() * 100 : 0;
}

struct stats_collector::implementation : std::enable_shared_from_this<implementation> {
    implementation(executors with, container_manager& all) : on(with), containers(all), sampled(with.io) {}

    std::vector<sampling> due() const;
    void take(std::vector<sampling> done);
    static task<> sample(std::shared_ptr<implementation> self);

    executors on;
    container_manager& containers;
    std::map<std::string, unsigned> watchers;       // by project
    std::map<std::string, watched_container> known; // by id
    std::uint64_t round = 0;
    bool running = false;
    notifier sampled;
};

std::vector<sampling> stats_collector::implementation::due() const {
    std::vector<sampling> all;
    for (const container_view* each : containers.all()) {
        if (!each->run || !watchers.contains(each->record.project))
            continue;
        sampling one{.id = each->record.id,
            .generation = each->run->generation,
            .reader = nullptr,
            .cgroup = containers.runtime().cgroup(each->record.id),
            .pid = each->run->pid,
            .sample = {}};
        const auto found = known.find(one.id);
        if (found != known.end() && found->second.usage.generation == one.generation)
            one.reader = found->second.reader;
        all.push_back(std::move(one));
    }
    return all;
}

void stats_collector::implementation::take(std::vector<sampling> done) {
    std::map<std::string, watched_container> still;
    for (sampling& each : done) {
        watched_container& now = still[each.id];
        const auto found = known.find(each.id);
        if (found != known.end() && found->second.usage.generation == each.generation) {
            now.usage.before = found->second.usage.now;
            now.usage.whole = true;
        }
        now.usage.generation = each.generation;
        now.usage.now = each.sample;
        now.reader = std::move(each.reader);
    }
    known = std::move(still);
    ++round;
    sampled.notify_all();
}

task<> stats_collector::implementation::sample(std::shared_ptr<implementation> self) {
    boost::asio::steady_timer timer(self->on.io);
    auto next = std::chrono::steady_clock::now();
    while (!self->watchers.empty()) {
        std::vector<sampling> all = self->due();
        auto read = [&all] {
            for (sampling& each : all) {
                if (!each.reader)
                    each.reader = std::make_shared<usage_reader>(each.cgroup, each.pid);
                each.sample = each.reader->read();
            }
        };
        co_await blocking(self->on.workers, read);
        self->take(std::move(all));
        next = std::max(next + interval, std::chrono::steady_clock::now());
        timer.expires_at(next);
        co_await timer.async_wait(boost::asio::use_awaitable);
    }
    self->known.clear();
    self->running = false;
}

stats_collector::stats_collector(executors on, container_manager& containers)
    : implementation_(std::make_shared<implementation>(on, containers)) {}

stats_collector::~stats_collector() = default;

std::shared_ptr<void> stats_collector::watch(const std::string& project) {
    const auto self = implementation_;
    ++self->watchers[project];
    if (!std::exchange(self->running, true))
        spawn(self->on.io, "stats", implementation::sample(self));
    return {nullptr, [self, project](void*) {
                const auto found = self->watchers.find(project);
                if (--found->second == 0)
                    self->watchers.erase(found);
            }};
}

const container_usage* stats_collector::of(const std::string& id) const {
    const auto found = implementation_->known.find(id);
    return found == implementation_->known.end() ? nullptr : &found->second.usage;
}

std::uint64_t stats_collector::round() const noexcept {
    return implementation_->round;
}

notifier& stats_collector::sampled() {
    return implementation_->sampled;
}

} // namespace engine
