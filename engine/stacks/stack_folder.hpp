#pragma once

#include "engine/project/project_manager.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace engine {

/// The stacks that nobody brings up by hand: each ROOT/NAME/compose.yaml is the project NAME, brought up when
/// the daemon starts and whenever a file beside it changes, taken down (its volumes stay) when the file goes
/// away. A definition that is the project's already is left to what runs and to the restart policies.
///
/// Owns nothing durable: what belongs to it is told by where a project's file lies. A file that is wrong
/// changes nothing; it is told in the log, as an event and by problem_of(), and tried again when it changes.
/// An `up` that fails (a registry that does not answer, a port that is taken) is tried again every half a
/// minute, but not one whose update has failed, before the file changes. Only what is certainly not there any
/// more is taken down: not what cannot be read, and nothing for a root in which this daemon has never seen a
/// stack, as its disk may not be mounted.
class stack_folder {
  public:
    /// An empty `root`: there are none.
    stack_folder(executors on, project_manager& projects, event_log& events, std::filesystem::path root);
    ~stack_folder();

    /// Once, after the projects were recovered.
    void start();

    /// The file that a project is managed by; empty for one that was brought up by hand.
    std::string file_of(const project_record& project) const;

    /// Why the project's file could not be followed; empty when it was.
    std::string problem_of(const std::string& project) const;

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
