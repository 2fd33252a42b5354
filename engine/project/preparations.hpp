#pragma once

#include "engine/project/container_manager.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace engine {

/// The service of a container that does step `index` of `pre_start` for `container` (id): the service's own
/// in all that the step does not say otherwise, without its ports, names and addresses on the networks, and
/// with the volumes and binds of that very container. A step with an image of its own has that image's
/// entrypoint. Pure.
compose::service preparation_of(compose::service from, std::size_t index, const std::string& container);

/// "web-pre_start-0", and for each container of its own where the step is per_replica: "web-pre_start-0-2".
/// By it the log of a step that has ended well is kept (former_logs.hpp).
std::string instance_of_step(const compose::service& of, unsigned index, unsigned number);

/// Ends and removes what prepares containers of the project that `meant` tells.
task<> end_preparations(container_manager& containers, std::string project,
    std::function<bool(const container_record& prepared)> meant);

/// `pre_start`: what must have ended well before a new container of a service starts, one step after the
/// other, each in a container of its own. A step of a service is done once for all its containers of one
/// definition and image, one with `per_replica` for each of them.
///
/// How many steps are done is in the container's record (container_record::prepared), durable before the
/// next begins. A step goes on when the daemon dies or the operation gives way to another: who prepares next
/// finds it by its record and awaits it. One that had ended well counts, any other is run again; so a step
/// that the host went down over runs twice. One that fails stays to be looked at until the next attempt.
/// One lives as long as its operation.
class preparer {
  public:
    preparer(engine_parts parts, container_manager& containers, std::string project,
        std::function<bool()> superseded)
        : parts_(parts), containers_(containers), project_(std::move(project)),
          superseded_(std::move(superseded)) {}

    /// The container goes in this operation: what it was prepared by does not count for a new one.
    void leaves(const std::string& id) { leaving_.insert(id); }

    /// Returns once the container may start. Throws error{unavailable} naming the step, its exit code and its
    /// last lines when it fails; error{conflict} when another operation takes over or the container goes.
    task<> prepare(std::string id);

  private:
    struct attempt {
        bool done = false;
        std::exception_ptr failure;
    };

    const container_view& at(const std::string& id) const;
    bool is_done_by_another(const container_record& record) const;
    const container_view* find(const container_record& record) const;
    task<> clear(std::string id);
    task<> share(std::string key, std::string id);
    task<> do_next(std::string id);
    task<std::string> begin(std::string id);
    void tell(const std::string& id, std::string status);
    task<> await_end(std::string id, std::shared_ptr<run_end> end);
    task<> judge(std::string id, std::string service, unsigned index);

    engine_parts parts_;
    container_manager& containers_;
    std::string project_;
    std::function<bool()> superseded_;
    std::map<std::string, std::shared_ptr<attempt>> under_way_;
    std::set<std::string> leaving_; // ids
};

} // namespace engine
