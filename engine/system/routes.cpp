#include "engine/system/routes.hpp"

#include "engine/system/fd.hpp"
#include "engine/system/file.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <bit>
#include <cstring>
#include <memory>
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

std::vector<host_address> host_addresses() {
    ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0)
        throw_errno("list", "addresses of this host");
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, &::freeifaddrs);
    std::vector<host_address> addresses;
    for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
        if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET)
            continue;
        sockaddr_in address{};
        std::memcpy(&address, each->ifa_addr, sizeof(address));
        sockaddr_in mask{};
        mask.sin_addr.s_addr = INADDR_NONE;
        if (each->ifa_netmask != nullptr)
            std::memcpy(&mask, each->ifa_netmask, sizeof(mask));
        addresses.push_back({.address = ntohl(address.sin_addr.s_addr),
            .length = static_cast<unsigned>(std::popcount(mask.sin_addr.s_addr)),
            .interface = each->ifa_name});
    }
    return addresses;
}

} // namespace engine
