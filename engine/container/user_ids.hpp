#pragma once

#include <cstdint>
#include <string_view>

namespace engine {

/// Ids of the host that containers have as 0, 1, … for users and groups alike.
struct user_id_range {
    std::uint32_t first = 0;
    std::uint32_t count = 0;

    bool operator==(const user_id_range&) const = default;
};

/// `userns_remap` of composed.yaml: "FIRST:COUNT", or the name of a user who has a range in subuid(5) and the
/// same one in subgid(5), whose texts are given. Throws error{invalid} saying what to write: fewer than
/// 65,536 ids would leave files of images without an owner, and a range that begins below 65,536 would be
/// people and services of the host.
user_id_range parse_user_ids(std::string_view text, std::string_view subuid, std::string_view subgid);

} // namespace engine
