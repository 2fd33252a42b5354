#pragma once

#include <chrono>
#include <filesystem>
#include <set>
#include <string>

namespace engine {

/// For how long a container's log is shown after another has taken its place.
constexpr std::chrono::hours former_log_kept{24};

/// Logs of containers that others have taken the place of: STATE/former/PROJECT/INSTANCE, of each instance
/// (SERVICE-NUMBER) the last one, until it is too old or the project goes. Owns that folder, and is nothing
/// but its path. What a crash leaves half moved is finished by the next keep(). Blocks.
class former_logs {
  public:
    explicit former_logs(std::filesystem::path folder) : folder_(std::move(folder)) {}

    /// Moves the log `file`, with what was rotated away, here in the place of the one before. Nothing where
    /// there is none.
    void keep(
        const std::filesystem::path& file, const std::string& project, const std::string& instance) const;

    /// The log that was kept; empty: none that is to be shown.
    std::filesystem::path find(const std::string& project, const std::string& instance) const;

    void forget(const std::string& project) const;
    void forget_all_but(const std::set<std::string>& projects) const;

    /// Removes what is too old.
    void expire() const;

  private:
    std::filesystem::path folder_;
};

} // namespace engine
