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

    /// The filter program that crun compiled for these capabilities, in base64; empty when none was learnt
    /// yet. With it crun need not compile, which is a third of the work of a start (libseccomp takes 4 ms).
    std::string compiled(const std::vector<std::string>& capabilities) const;

    /// Learns it from `file`, where crun leaves it in a container's state folder. A file that is not there
    /// teaches nothing.
    void learn(const std::vector<std::string>& capabilities, const std::filesystem::path& file) const;

    /// Whether containers are filtered at all.
    bool present() const noexcept { return !profile_.empty(); }

  private:
    std::string profile_;
    mutable std::mutex mutex_; // the one state that workers share: a cache of values
    mutable std::map<std::vector<std::string>, std::shared_ptr<const boost::json::value>> converted_;
    mutable std::map<std::vector<std::string>, std::string> compiled_;
};

} // namespace engine
