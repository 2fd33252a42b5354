#include "engine/network/host_names.hpp"

#include <fmt/format.h>

#include <cctype>
#include <cstdint>

namespace engine {

std::uint64_t stable_hash(std::string_view text) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001b3U;
    }
    return hash;
}

host_names::host_names(std::string_view instance)
    : instance_(instance), tag_(fmt::format("{:05x}", stable_hash(instance) & 0xfffffU)) {}

std::string host_names::bridge(std::string_view network_id) const {
    return fmt::format("b{}-{:08x}", tag_, stable_hash(network_id) & 0xffffffffU);
}

std::string host_names::veth(std::string_view container_id, unsigned index, pid_t pid) const {
    return fmt::format(
        "v{}-{:08x}", tag_, stable_hash(fmt::format("{}/{}/{}", container_id, index, pid)) & 0xffffffffU);
}

std::string host_names::alias() const {
    return "composed:" + instance_;
}

std::string host_names::table() const {
    std::string name = instance_;
    for (char& c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0)
            c = '_';
    return name;
}

bool host_names::is_bridge(std::string_view interface) const noexcept {
    return interface.size() == 15 && interface[0] == 'b' && interface.substr(1, 5) == tag_ &&
           interface[6] == '-';
}

bool host_names::is_ours(std::string_view interface) const noexcept {
    return is_bridge(interface) || (interface.size() == 15 && interface[0] == 'v' &&
                                       interface.substr(1, 5) == tag_ && interface[6] == '-');
}

} // namespace engine
