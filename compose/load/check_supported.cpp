#include "compose/load/check.hpp"

#include "compose/model/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstring>
#include <map>
#include <set>
#include <string_view>

namespace compose {

bool is_address(const std::string& text) {
    in6_addr parsed{};
    return ::inet_pton(AF_INET, text.c_str(), &parsed) == 1 ||
           ::inet_pton(AF_INET6, text.c_str(), &parsed) == 1;
}

namespace {

bool is_letter_or_digit(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

bool is_container_name(const std::string& name) {
    return name.size() > 1 && is_letter_or_digit(name[0]) &&
           std::all_of(name.begin(), name.end(),
               [](char c) { return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-'; });
}

/// What goes into /etc/hosts and to sethostname(2), which takes 64 bytes.
bool is_host_name(const std::string& name) {
    return !name.empty() && name.size() <= HOST_NAME_MAX && std::all_of(name.begin(), name.end(), [](char c) {
        return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-';
    });
}

/// As Docker takes it: a number, or a name with SIG or without, in any case.
bool is_signal(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(),
        [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    if (name.starts_with("SIG"))
        name.erase(0, 3);
    if (name.starts_with("RTM") && (name.substr(3).starts_with("IN") || name.substr(3).starts_with("AX")))
        return true; // with its offset, which the engine reads
    if (name.find_first_not_of("0123456789") == std::string::npos)
        return !name.empty() && name.size() < 3 && std::stoi(name) >= 1 && std::stoi(name) <= 64;
    for (int number = 1; number < NSIG; ++number)
        if (const char* known = ::sigabbrev_np(number); known != nullptr && name == known)
            return true;
    return false;
}

class support_checker {
  public:
    support_checker(const project& of, const place_lookup& place, std::vector<diagnostic>& wrong)
        : project_(of), place_(place), wrong_(wrong) {}

    void run() {
        for (const auto& [name, service] : project_.services) {
            path_ = "services." + name;
            image(service);
            process(service);
            names(service);
            networks(service);
            ports(service);
            mounts(service);
            health(service);
            log(service);
        }
        path_.clear();
        for (const auto& [key, volume] : project_.volumes)
            if (!volume.driver.empty() && volume.driver != "local")
                fail("volumes." + key + ".driver",
                    "\"{}\" is not supported; there is local, which takes type, o "
                    "and device as driver_opts",
                    volume.driver);
        for (const auto& [key, network] : project_.networks) {
            if (network.enable_ipv6 || !network.enable_ipv4)
                fail("networks." + key, "enable_ipv6, and enable_ipv4 switched off, are not supported yet");
            if (network.pools.size() > 1)
                fail("networks." + key + ".ipam.config", "a bridge has one IPv4 subnet; {} are given",
                    network.pools.size());
        }
    }

  private:
    /// `key`: below the service, or of the project when there is none.
    template <typename... Values>
    void fail(std::string_view key, fmt::format_string<Values...> message, Values&&... values) {
        std::string path = path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
        wrong_.push_back({.at = place_(path),
            .path = path,
            .message = fmt::format(message, std::forward<Values>(values)...)});
    }

    void image(const service& of) {
        if (of.image.empty())
            fail("image", "is missing; images are not built yet by this version of composed");
        if (!of.pull_policy.empty() && of.pull_policy != "missing" && of.pull_policy != "never")
            fail("pull_policy", "\"{}\" is not supported yet; there are missing and never", of.pull_policy);
    }

    void process(const service& of) {
        if (!of.stop_signal.empty() && !is_signal(of.stop_signal))
            fail("stop_signal", "\"{}\" is no signal; write a name like SIGTERM or a number", of.stop_signal);
        for (const auto& [dependency, how] : of.depends_on)
            if (how.restart)
                fail("depends_on." + dependency + ".restart", "is not supported yet");
    }

    void names(const service& of) {
        if (!of.container_name.empty() && !is_container_name(of.container_name))
            fail("container_name",
                "\"{}\" is no name for a container; it has letters, digits, _ . -, a letter or digit first",
                of.container_name);
        for (const auto& [key, name] :
            {std::pair("hostname", &of.hostname), std::pair("domainname", &of.domainname)})
            if (!name->empty() && !is_host_name(*name))
                fail(key, "{:?} is no name for a host; it has up to {} letters, digits, _ . -", *name,
                    HOST_NAME_MAX);
        for (const std::string& entry : of.extra_hosts) {
            const auto equals = std::min(entry.find('='), entry.size());
            const std::string address = entry.substr(std::min(equals + 1, entry.size()));
            if (!is_host_name(entry.substr(0, equals)))
                fail("extra_hosts", "{:?} is no name for a host", entry.substr(0, equals));
            if (address != "host-gateway" && !is_address(address))
                fail("extra_hosts", "\"{}\" is neither an IP address nor host-gateway", address);
        }
    }

    void networks(const service& of) {
        if (!of.network_mode.empty() && of.network_mode != "host" && of.network_mode != "none")
            fail("network_mode", "\"{}\" is not supported yet; there are host and none", of.network_mode);
        for (const auto& [key, how] : of.networks)
            if (!how.ipv4_address.empty() && !is_address(how.ipv4_address))
                fail("networks." + key + ".ipv4_address", "\"{}\" is no IP address", how.ipv4_address);
        for (const std::string& server : of.dns)
            if (!is_address(server))
                fail("dns", "\"{}\" is no IP address", server);
    }

    void ports(const service& of) {
        std::map<std::string, std::set<std::string>> taken; // addresses by port
        for (const port& each : of.ports) {
            if (each.published.empty() || each.published.find('-') != std::string::npos)
                continue; // of a range the first that is free
            const std::string name = fmt::format("{}/{}", each.published, each.protocol);
            const std::string address = each.host_ip.empty() ? "0.0.0.0" : each.host_ip;
            std::set<std::string>& addresses = taken[name];
            if (addresses.contains(address) || addresses.contains("0.0.0.0") ||
                (address == "0.0.0.0" && !addresses.empty()))
                fail("ports", "port {} is published twice", name);
            addresses.insert(address);
        }
    }

    void mounts(const service& of) {
        for (const mount& each : of.mounts) {
            if (!each.target.starts_with('/'))
                fail("volumes", "the target \"{}\" must be an absolute path", each.target);
            if (each.type == mount_type::image || each.type == mount_type::cluster)
                fail("volumes", "type {} is not supported; there are bind, volume and tmpfs",
                    each.type == mount_type::image ? "image" : "cluster");
        }
    }

    void health(const service& of) {
        if (!of.health || of.health->test.empty())
            return;
        const std::string& kind = of.health->test.front();
        if (kind != "NONE" && kind != "CMD" && kind != "CMD-SHELL")
            fail("healthcheck.test", "\"{}\" is no kind of test; there are CMD, CMD-SHELL and NONE", kind);
        else if (kind != "NONE" && of.health->test.size() < 2)
            fail("healthcheck.test", "{} needs something to run after it", kind);
    }

    void log(const service& of) {
        static const std::set<std::string_view> without_effect{
            "compress", "env", "env-regex", "labels", "labels-regex", "max-buffer-size", "mode", "tag"};
        if (!of.log)
            return;
        const std::string& driver = of.log->driver;
        if (!driver.empty() && driver != "json-file" && driver != "local" && driver != "none")
            fail("logging.driver", "\"{}\" is not supported; use json-file, local or none", driver);
        for (const auto& [option, value] : of.log->options) {
            if (option == "max-size") {
                const auto bytes = parse_bytes(value);
                if (!bytes || *bytes <= 0)
                    fail("logging.options.max-size", "\"{}\" is no size; write a number with k, m or g",
                        value);
            } else if (option == "max-file") {
                unsigned count = 0;
                const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), count);
                if (failure != std::errc() || end != value.data() + value.size() || count < 1 ||
                    count > most_log_files)
                    fail("logging.options.max-file", "\"{}\" is no number from 1 to {}", value,
                        most_log_files);
            } else if (!without_effect.contains(option)) {
                fail("logging.options." + option, "there is no such option; there are max-size and max-file");
            }
        }
    }

    const project& project_;
    const place_lookup& place_;
    std::vector<diagnostic>& wrong_;
    std::string path_; // of the service that is looked at
};

} // namespace

void check_supported(const project& of, const place_lookup& place, std::vector<diagnostic>& wrong) {
    support_checker(of, place, wrong).run();
}

} // namespace compose
