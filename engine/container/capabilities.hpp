#pragma once

#include <string>
#include <vector>

namespace engine {

/// The capabilities of a container's first process, each as "CAP_…", sorted. Begins with Docker's default
/// fourteen, or all of the kernel's when `privileged`; ALL in `add` or `drop` means every one; `drop` is done
/// before single names of `add` as Docker does. Throws error{invalid} for an unknown name.
std::vector<std::string> effective_capabilities(
    const std::vector<std::string>& add, const std::vector<std::string>& drop, bool privileged);

} // namespace engine
