#include "compose/model/error.hpp"

#include <array>
#include <utility>

namespace compose {

namespace {

constexpr std::array<std::pair<error_kind, std::string_view>, 7> names{{
    {error_kind::invalid, "invalid"},
    {error_kind::not_found, "not_found"},
    {error_kind::conflict, "conflict"},
    {error_kind::unauthorized, "unauthorized"},
    {error_kind::unavailable, "unavailable"},
    {error_kind::exhausted, "exhausted"},
    {error_kind::internal, "internal"},
}};

} // namespace

std::string_view to_string(error_kind kind) noexcept {
    for (const auto& [candidate, name] : names)
        if (candidate == kind)
            return name;
    return "internal";
}

error_kind error_kind_from(std::string_view name) noexcept {
    for (const auto& [kind, candidate] : names)
        if (candidate == name)
            return kind;
    return error_kind::internal;
}

} // namespace compose
