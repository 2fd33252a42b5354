#include "engine/system/routes.hpp"

#include "engine/system/file.hpp"

#include <arpa/inet.h>

#include <bit>
#include <sstream>
#include <string>

namespace engine {

std::vector<routed_subnet> routed_subnets() {
    std::vector<routed_subnet> routes;
    std::istringstream lines(read_file_if_there("/proc/net/route", 256U << 20U).value_or(""));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
        std::istringstream fields(line);
        std::string interface, destination, gateway, flags, references, use, metric, mask;
        fields >> interface >> destination >> gateway >> flags >> references >> use >> metric >> mask;
        if (mask.size() != 8 || destination.size() != 8)
            continue;
        // Written as the number that the address in network byte order is on this machine.
        const auto number = [](const std::string& hex) {
            return ntohl(static_cast<std::uint32_t>(std::stoul(hex, nullptr, 16)));
        };
        const auto length = static_cast<unsigned>(std::popcount(number(mask)));
        if (length > 0)
            routes.push_back({.base = number(destination), .length = length});
    }
    return routes;
}

} // namespace engine
