#pragma once

#include "engine/project/event.hpp"
#include "engine/project/operation.hpp"
#include "engine/system/task.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace engine {

enum class operation_kind { up, start, restart, stop, down, remove };

/// "up", "start" …: as the commands are called.
std::string_view to_string(operation_kind kind) noexcept;

/// Whether `next` makes an operation under way give up what it waits for, instead of waiting for its end.
/// What brings up may wait for a condition that never comes, so whoever asks for something else takes over;
/// what ends containers is bounded and always finished. Two of a kind are done one after the other: neither
/// caller sees the other's as a failure. `new_definition`: `next` is an `up` of another definition.
/// `by_itself`: nobody waits for what is under way, so whoever asks for the same need not wait for it.
bool takes_over(
    operation_kind next, bool new_definition, operation_kind under_way, bool by_itself = false) noexcept;

/// What is done to stacks, in order: of one stack one operation runs at a time, of several stacks at the same
/// time. Whoever asked for one may go away, it carries on. Engine state: used on the engine's thread only.
class operation_queue {
  public:
    /// What an operation does once it has its turn; `superseded` tells when a later one has taken over.
    using work = std::function<task<>(std::function<bool()> superseded)>;

    /// `changed` wakes those that wait for a condition, and whoever watches busy().
    operation_queue(boost::asio::io_context& io, event_log& events, notifier& changed);
    ~operation_queue();

    std::shared_ptr<operation> begin(
        const std::string& project, operation_kind kind, bool new_definition, work what);

    /// One that nobody has asked for: it takes nothing over.
    std::shared_ptr<operation> begin_by_itself(const std::string& project, operation_kind kind, work what);

    /// One that neither waits for its turn nor takes over from another.
    std::shared_ptr<operation> begin_beside(const std::string& project, std::function<task<>()> what);

    /// Whether anything is under way or waits for its turn.
    bool busy(const std::string& project) const;

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
