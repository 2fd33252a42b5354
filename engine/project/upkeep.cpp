#include "engine/project/upkeep.hpp"

#include "compose/model/error.hpp"
#include "engine/network/network_manager.hpp"
#include "engine/store/store.hpp"
#include "engine/system/folder_watch.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <set>

namespace engine {

namespace {

constexpr auto round = std::chrono::seconds(10);          // for what the kernel does not tell
constexpr auto settling = std::chrono::milliseconds(200); // a volume being removed on purpose is gone by then

} // namespace

struct upkeep::implementation {
    implementation(engine_parts with, container_manager& all) : parts(with), containers(all) {}

    void tell(const network_repair& repair);
    task<> check_volumes();
    static task<> watch_volumes(std::shared_ptr<implementation> self);
    static task<> go_round(std::shared_ptr<implementation> self);
    static task<> expire_logs(std::shared_ptr<implementation> self);

    engine_parts parts;
    container_manager& containers;
};

void upkeep::implementation::tell(const network_repair& repair) {
    event what;
    what.kind = "firewall";
    what.status = "Repaired";
    what.detail = repair.what;
    if (const container_view* container = containers.find(repair.container)) {
        what.kind = "container";
        what.name = container->record.name;
        what.id = repair.container;
        what.project = container->record.project;
        what.service = container->record.service;
    } else if (const network_record* network = parts.networks.find(repair.network)) {
        what.kind = "network";
        what.name = repair.network;
        what.project = network->definition.project;
    }
    spdlog::warn("put right: {}{}: {}", what.kind, what.name.empty() ? "" : " " + what.name, what.detail);
    parts.events.add(std::move(what));
}

task<> upkeep::implementation::check_volumes() {
    const std::vector<volume_record> changed = co_await parts.volumes.check();
    for (const volume_record& each : changed) {
        const std::string& name = each.definition.name;
        event what;
        what.kind = "volume";
        what.name = name;
        what.project = each.definition.project;
        if (parts.volumes.is_missing(name)) {
            what.status = "Error";
            what.detail = missing_volume(name, parts.volumes.path(name));
            spdlog::error("{}", what.detail);
        } else {
            what.status = "Repaired";
            what.detail = "its folder is back";
        }
        parts.events.add(std::move(what));
    }
}

task<> upkeep::implementation::watch_volumes(std::shared_ptr<implementation> self) {
    folder_watch folder(self->parts.on.io, self->parts.volumes.folder());
    boost::asio::steady_timer pause(self->parts.on.io);
    for (;;) {
        co_await folder.changed();
        pause.expires_after(settling);
        co_await pause.async_wait(boost::asio::use_awaitable);
        co_await self->check_volumes();
    }
}

task<> upkeep::implementation::go_round(std::shared_ptr<implementation> self) {
    boost::asio::steady_timer pause(self->parts.on.io);
    for (;;) {
        co_await self->check_volumes();
        co_await self->parts.records.refresh_copy();
        pause.expires_after(round);
        co_await pause.async_wait(boost::asio::use_awaitable);
    }
}

task<> upkeep::implementation::expire_logs(std::shared_ptr<implementation> self) {
    constexpr auto pause_between = std::chrono::hours(1);
    boost::asio::steady_timer pause(self->parts.on.io);
    for (;;) {
        auto expire = [kept = self->containers.runtime().replaced_logs()] { kept.expire(); };
        co_await blocking(self->parts.on.workers, expire);
        pause.expires_after(pause_between);
        co_await pause.async_wait(boost::asio::use_awaitable);
    }
}

upkeep::upkeep(engine_parts parts, container_manager& containers)
    : implementation_(std::make_shared<implementation>(parts, containers)) {}

upkeep::~upkeep() = default;

void upkeep::start() {
    const auto self = implementation_;
    self->parts.networks.guard([self](const network_repair& repair) { self->tell(repair); });
    spawn(self->parts.on.io, "watch the volumes", implementation::watch_volumes(self));
    spawn(self->parts.on.io, "remove old logs", implementation::expire_logs(self));
    spawn(self->parts.on.io, "look after the volumes", implementation::go_round(self));
}

} // namespace engine
