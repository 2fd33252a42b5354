#pragma once

#include "compose/model/project.hpp"
#include "engine/project/plan.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

/// A step of the plan that led to a revision, for people.
struct planned_step {
    std::string action; // "create container"
    std::string name;
    std::string reason;
};

/// What an `up` made the definition of its project (table::revision, key NAME/00000008). The last 20 are
/// kept. The steps are there once the plan was made: when the images that were missing are here.
struct revision {
    std::uint64_t number = 0;
    std::string created;          // RFC 3339
    std::optional<unsigned> user; // uid of who asked for it, where the socket tells
    compose::project definition;
    std::vector<planned_step> steps;
    std::uint64_t back_to = 0; // it is that one again, by itself, as an update had failed; 0: it is not
    bool failed = false;       // its `up` ended with an error: a rollback passes it over
};

std::string encode(const revision& value);
/// Throws error{invalid} naming the record when the text is none.
revision decode_revision(std::string_view key, std::string_view text);

std::vector<planned_step> planned(const plan& steps);

/// The last before `newest` whose `up` has come to a good end; null when there is none among them.
const revision* last_come_up(const std::vector<revision>& kept, std::uint64_t newest);

/// NAME/00000008: in the order of their numbers.
std::string revision_key(const std::string& project, std::uint64_t revision);

} // namespace engine
