#include "engine/system/open_connections.hpp"

#include "engine/system/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace engine {

namespace {

/// include/net/tcp_states.h, those in which one end may still have something to say.
constexpr unsigned established = 1;
constexpr unsigned syn_received = 3;
constexpr unsigned fin_wait_1 = 4;
constexpr unsigned close_wait = 8;
constexpr unsigned last_ack = 9;
constexpr unsigned listening = 10;
constexpr unsigned closing = 11;

bool is_open(unsigned state) {
    return state == established || state == syn_received || state == fin_wait_1 || state == close_wait ||
           state == last_ack || state == closing;
}

constexpr std::string_view of_loopback = "0100007F:";
constexpr std::string_view of_loopback6 = "00000000000000000000000001000000:";
constexpr std::string_view of_mapped_loopback = "0000000000000000FFFF00000100007F:";

} // namespace

std::size_t open_connections(pid_t process) {
    std::set<std::string> served;    // ports, in the table's digits
    std::vector<std::string> opened; // local ports of connections
    for (const std::string_view table : {"tcp", "tcp6"}) {
        const auto text = read_file_if_there(fmt::format("/proc/{}/net/{}", process, table), 64U << 20U);
        std::istringstream lines(text.value_or(""));
        std::string line;
        std::getline(lines, line);
        while (std::getline(lines, line)) {
            std::istringstream fields(line);
            std::string slot;
            std::string local;
            std::string remote;
            unsigned state = 0;
            fields >> slot >> local >> remote >> std::hex >> state;
            std::string port = local.substr(std::min(local.rfind(':'), local.size()));
            const bool own = remote.starts_with(of_loopback) || remote.starts_with(of_loopback6) ||
                             remote.starts_with(of_mapped_loopback);
            if (state == listening)
                served.insert(std::move(port));
            else if (is_open(state) && !own) // its health check is no client
                opened.push_back(std::move(port));
        }
    }
    std::size_t count = 0;
    for (const std::string& port : opened)
        count += served.count(port);
    return count;
}

} // namespace engine
