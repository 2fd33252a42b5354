#pragma once

#include "engine/system/task.hpp"

#include <filesystem>
#include <memory>

namespace engine {

/// Tells of what is written, made or moved in a folder. All of one io_context share an inotify instance: the
/// kernel gives a user no more than 128 (fs.inotify.max_user_instances), and a host has more containers.
///
/// Level-triggered, and no change is lost between two waits. Used on the engine's thread only.
class folder_watch {
  public:
    /// Throws error naming the folder when it is not there or the kernel watches no more.
    folder_watch(boost::asio::io_context& io, const std::filesystem::path& folder);
    ~folder_watch();
    folder_watch(const folder_watch&) = delete;
    folder_watch& operator=(const folder_watch&) = delete;

    /// Resumes when something has changed since the last time it did, or after cancel().
    task<> changed();

    /// Wakes who waits in changed(), for good.
    void cancel();

  private:
    struct subscription;
    class hub;
    std::shared_ptr<subscription> subscription_;
};

} // namespace engine
