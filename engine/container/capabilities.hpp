#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace engine {

/// The capabilities of a container's first process, each as "CAP_…", sorted. Begins with Docker's default
/// fourteen, or all of the kernel's when `privileged`; ALL in `add` or `drop` means every one; `drop` is done
/// before single names of `add` as Docker does. `grantable` is a bit each that there is to give
/// (grantable_capabilities()); ALL and `privileged` leave the others out, as a runtime that asks for one more
/// fails altogether. Throws error{invalid} for an unknown name.
std::vector<std::string> effective_capabilities(const std::vector<std::string>& add,
    const std::vector<std::string>& drop, bool privileged, std::uint64_t grantable = ~std::uint64_t{0});

/// The bounding set of this process, bit by number: a virtual machine or an outer container may have taken
/// some away.
std::uint64_t grantable_capabilities();

} // namespace engine
