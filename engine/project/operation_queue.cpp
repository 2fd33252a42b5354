#include "engine/project/operation_queue.hpp"

#include "compose/model/error.hpp"
#include "engine/system/async_mutex.hpp"
#include "engine/system/blocking.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <optional>
#include <utility>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

struct queued {
    std::string project;
    operation_kind kind = operation_kind::up;
    bool by_itself = false;
    std::optional<operation_kind> superseded_by;
};

struct lane {
    explicit lane(boost::asio::io_context& io) : turn(io) {}

    async_mutex turn;
    std::list<std::shared_ptr<queued>> operations; // under way and waiting
    unsigned under_way = 0;                        // those beside the queue included
};

} // namespace

std::string_view to_string(operation_kind kind) noexcept {
    switch (kind) {
    case operation_kind::up:
        return "up";
    case operation_kind::start:
        return "start";
    case operation_kind::restart:
        return "restart";
    case operation_kind::stop:
        return "stop";
    case operation_kind::down:
        return "down";
    case operation_kind::remove:
        return "rm";
    }
    return "unknown";
}

bool takes_over(operation_kind next, bool new_definition, operation_kind under_way, bool by_itself) noexcept {
    const bool brings_up = under_way == operation_kind::up || under_way == operation_kind::start ||
                           under_way == operation_kind::restart;
    switch (next) {
    case operation_kind::up:
        return brings_up && (new_definition || by_itself);
    case operation_kind::stop:
    case operation_kind::down:
        return brings_up;
    case operation_kind::restart:
        return brings_up && under_way != operation_kind::restart;
    case operation_kind::start:
    case operation_kind::remove:
        return by_itself && brings_up;
    }
    return false;
}

struct operation_queue::implementation : std::enable_shared_from_this<implementation> {
    implementation(boost::asio::io_context& on, event_log& log, notifier& wakes)
        : io(on), events(log), changed(wakes) {}

    lane& lane_of(const std::string& project) {
        std::unique_ptr<lane>& found = lanes[project];
        if (!found)
            found = std::make_unique<lane>(io);
        return *found;
    }

    static task<> in_turn(std::shared_ptr<implementation> self, std::shared_ptr<queued> mine, work what);
    static task<> carry_out(
        std::shared_ptr<implementation> self, std::shared_ptr<operation> of, std::function<task<>()> what);

    boost::asio::io_context& io;
    event_log& events;
    notifier& changed;
    std::map<std::string, std::unique_ptr<lane>> lanes; // by project; they stay, small as they are
};

namespace {

error superseded_error(const queued& of) {
    return {error_kind::conflict, fmt::format("project \"{}\": this `{}` has given way to a later `{}`",
                                      of.project, to_string(of.kind), to_string(*of.superseded_by))};
}

} // namespace

task<> operation_queue::implementation::in_turn(
    std::shared_ptr<implementation> self, std::shared_ptr<queued> mine, work what) {
    lane& way = self->lane_of(mine->project);
    std::exception_ptr failure;
    {
        const auto turn = co_await way.turn.lock();
        std::function<bool()> superseded = [mine] { return mine->superseded_by.has_value(); };
        try {
            if (!superseded())
                co_await what(superseded);
        } catch (...) {
            failure = std::current_exception();
        }
        way.operations.remove(mine);
    }
    if (mine->superseded_by)
        throw superseded_error(*mine);
    if (failure)
        std::rethrow_exception(failure);
}

task<> operation_queue::implementation::carry_out(
    std::shared_ptr<implementation> self, std::shared_ptr<operation> of, std::function<task<>()> what) {
    std::exception_ptr failure;
    try {
        co_await what();
    } catch (...) {
        failure = std::current_exception();
    }
    of->finish(failure);
    --self->lane_of(of->project).under_way;
    self->events.wake();
    self->changed.notify_all();
}

operation_queue::operation_queue(boost::asio::io_context& io, event_log& events, notifier& changed)
    : implementation_(std::make_shared<implementation>(io, events, changed)) {}

operation_queue::~operation_queue() = default;

std::shared_ptr<operation> operation_queue::begin(
    const std::string& project, operation_kind kind, bool new_definition, work what) {
    const auto self = implementation_;
    const auto mine = std::make_shared<queued>(
        queued{.project = project, .kind = kind, .by_itself = false, .superseded_by = std::nullopt});
    lane& way = self->lane_of(project);
    for (const std::shared_ptr<queued>& other : way.operations)
        if (!other->superseded_by && takes_over(kind, new_definition, other->kind, other->by_itself))
            other->superseded_by = kind;
    way.operations.push_back(mine);
    self->changed.notify_all(); // one that waits sees that it is superseded
    auto under_way = begin_beside(
        project, [self, mine, what = std::move(what)] { return implementation::in_turn(self, mine, what); });
    under_way->given_way = [mine] { return mine->superseded_by.has_value(); };
    return under_way;
}

std::shared_ptr<operation> operation_queue::begin_by_itself(
    const std::string& project, operation_kind kind, work what) {
    const auto self = implementation_;
    const auto mine = std::make_shared<queued>(
        queued{.project = project, .kind = kind, .by_itself = true, .superseded_by = std::nullopt});
    self->lane_of(project).operations.push_back(mine);
    auto under_way = begin_beside(
        project, [self, mine, what = std::move(what)] { return implementation::in_turn(self, mine, what); });
    under_way->given_way = [mine] { return mine->superseded_by.has_value(); };
    return under_way;
}

std::shared_ptr<operation> operation_queue::begin_beside(
    const std::string& project, std::function<task<>()> what) {
    const auto self = implementation_;
    auto under_way = std::make_shared<operation>(self->io, project, self->events.next_sequence());
    ++self->lane_of(project).under_way;
    spawn(self->io, "project " + project, implementation::carry_out(self, under_way, std::move(what)));
    return under_way;
}

bool operation_queue::busy(const std::string& project) const {
    const auto found = implementation_->lanes.find(project);
    return found != implementation_->lanes.end() && found->second->under_way > 0;
}

} // namespace engine
