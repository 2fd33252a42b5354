#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

/// Who the process runs as, in numbers.
struct resolved_user {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> groups; // supplementary, sorted
    std::string home = "/";

    bool operator==(const resolved_user&) const = default;
};

/// Resolves "", "name", "uid", "name:group", "uid:gid" and mixtures against the texts of the container's own
/// /etc/passwd and /etc/group; never by the host's NSS (CVE-2019-14271). A number needs no entry.
/// Supplementary groups are those that list the user, unless a group was given, and `group_add`. Throws
/// error{invalid} naming what is not there.
resolved_user resolve_user(std::string_view user, const std::vector<std::string>& group_add,
    std::string_view passwd, std::string_view group);

} // namespace engine
