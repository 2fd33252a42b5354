#pragma once

#include "engine/project/plan.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace engine {

/// The process runs, or will without anybody asking.
bool is_up(run_state state) noexcept;

/// Keys of the volumes that the services that are brought up mount.
std::set<std::string> volumes_used(const up_request& wanted);
std::set<std::string> networks_used(const up_request& wanted);

/// The containers of each service, in the order of their numbers; `beside` the ones that come to take a place
/// or leave as well.
class containers_by_service {
  public:
    explicit containers_by_service(const observed_project& now, bool beside = false);

    const std::vector<const observed_container*>& of(const std::string& service) const;

  private:
    std::map<std::string, std::vector<const observed_container*>> found_;
    std::vector<const observed_container*> none_;
};

/// A plan while it is made: steps by what later ones wait for.
class plan_steps {
  public:
    /// Its index.
    std::size_t add(step next);

    /// Stop where it runs, and remove when `remove`. The index of the last step, or nothing when none was
    /// needed.
    std::optional<std::size_t> end(const observed_container& container, bool remove,
        const std::string& reason, const std::vector<std::size_t>& after);

    std::size_t size() const noexcept { return steps_.size(); }
    plan take() { return std::move(steps_); }

  private:
    plan steps_;
};

} // namespace engine
