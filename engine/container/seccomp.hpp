#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace boost::json {
class value;
} // namespace boost::json

namespace engine {

/// Converts the profile of containers-common (/usr/share/containers/seccomp.json, Docker's profile with
/// conditions) into the OCI form for one set of capabilities ("CAP_…") and this machine's architecture.
/// Deterministic: crun caches the compiled filter by these very bytes. Throws error{invalid} when the text is
/// no such profile.
std::string convert_seccomp_profile(std::string_view profile, const std::vector<std::string>& capabilities);

/// The host's profile, converted once for each set of capabilities.
class seccomp_profiles {
  public:
    /// A file that is not there leaves containers unconfined; said once in the log.
    explicit seccomp_profiles(const std::filesystem::path& file);
    ~seccomp_profiles();

    /// The OCI object, or null when there is no profile. Safe from several workers.
    std::shared_ptr<const boost::json::value> for_capabilities(
        const std::vector<std::string>& capabilities) const;

  private:
    std::string profile_;
    mutable std::mutex mutex_; // the one state that workers share: a cache of values
    mutable std::map<std::vector<std::string>, std::shared_ptr<const boost::json::value>> converted_;
};

} // namespace engine
