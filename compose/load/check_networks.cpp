#include "compose/load/check.hpp"

#include "compose/model/nearest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <map>
#include <netinet/in.h>
#include <optional>
#include <string_view>
#include <sys/socket.h>

#include <arpa/inet.h>

namespace compose {

namespace {

struct address {
    int family = AF_INET;
    std::array<std::uint8_t, 16> bytes{};

    bool operator==(const address&) const = default;
};

std::optional<address> parse_address(const std::string& text) {
    for (const int family : {AF_INET, AF_INET6})
        if (address parsed{.family = family}; ::inet_pton(family, text.c_str(), parsed.bytes.data()) == 1)
            return parsed;
    return std::nullopt;
}

class prefix {
  public:
    static std::optional<prefix> parse(const std::string& text) {
        const auto slash = std::min(text.find('/'), text.size());
        const auto base = parse_address(text.substr(0, slash));
        unsigned length = 0;
        if (!base || slash == text.size())
            return std::nullopt;
        const char* const end = text.data() + text.size();
        const auto [rest, failed] = std::from_chars(text.data() + slash + 1, end, length);
        if (failed != std::errc() || rest != end || length > bits_of(base->family))
            return std::nullopt;
        return prefix(*base, length);
    }

    bool contains(const address& one) const {
        return one.family == base_.family && with(one, false) == first();
    }
    bool contains(const prefix& other) const { return other.length_ >= length_ && contains(other.base_); }

    /// The address of the network itself, which no host can have.
    address first() const { return with(base_, false); }
    /// Of IPv4 the one that means all hosts.
    address last() const { return with(base_, true); }
    bool has_broadcast() const { return base_.family == AF_INET && bits_of(base_.family) - length_ > 1; }

    /// What is the gateway where nobody says otherwise.
    address second() const {
        address made = first();
        made.bytes.at(bits_of(base_.family) / 8 - 1) |= 1U;
        return made;
    }

    /// Without bits of a host.
    bool is_of_network() const { return base_ == first(); }
    /// There are a gateway and a container in it.
    bool has_room() const { return bits_of(base_.family) - length_ > 1; }

    /// As the network is written.
    std::string text() const {
        std::array<char, INET6_ADDRSTRLEN> digits{};
        ::inet_ntop(base_.family, first().bytes.data(), digits.data(), digits.size());
        return fmt::format("{}/{}", digits.data(), length_);
    }

  private:
    prefix(const address& base, unsigned length) : base_(base), length_(length) {}

    static unsigned bits_of(int family) { return family == AF_INET ? 32 : 128; }

    /// With all bits of the host set, or none.
    address with(address of, bool bits) const {
        for (unsigned bit = length_; bit < bits_of(base_.family); ++bit) {
            const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
            std::uint8_t& byte = of.bytes.at(bit / 8);
            byte = static_cast<std::uint8_t>(bits ? byte | mask : byte & ~mask);
        }
        return of;
    }

    address base_;
    unsigned length_;
};

void check_gateway(
    const std::string& key, const ipam_pool& pool, const prefix& subnet, const report_fault& fail) {
    const auto gateway = parse_address(pool.gateway);
    if (!gateway)
        return fail(key, fmt::format("\"{}\" is no IP address", pool.gateway));
    if (!subnet.contains(*gateway))
        return fail(key, fmt::format("gateway {} is not in its subnet {}", pool.gateway, pool.subnet));
    if (*gateway == subnet.first() && subnet.has_broadcast())
        fail(key, fmt::format("{} is the address of the network {} itself; give another of it", pool.gateway,
                      pool.subnet));
    else if (*gateway == subnet.last() && subnet.has_broadcast())
        fail(key,
            fmt::format("{} is the broadcast address of {}; give another of it", pool.gateway, pool.subnet));
}

void check_pool(const std::string& path, const ipam_pool& pool, const report_fault& fail) {
    if (pool.subnet.empty()) {
        for (const auto& [key, is_given] : {std::pair("gateway", !pool.gateway.empty()),
                 {"ip_range", !pool.ip_range.empty()}, {"aux_addresses", !pool.aux_addresses.empty()}})
            if (is_given)
                fail(fmt::format("{}.{}", path, key),
                    "needs the subnet that it is in: write that beside it, like subnet: 172.28.0.0/16");
        return;
    }
    const auto subnet = prefix::parse(pool.subnet);
    if (!subnet)
        return fail(path + ".subnet", fmt::format("\"{}\" is no subnet like 172.28.0.0/16", pool.subnet));
    if (!subnet->is_of_network())
        fail(path + ".subnet",
            fmt::format("{} is an address in a subnet: write {}", pool.subnet, subnet->text()));
    if (!subnet->has_room())
        fail(path + ".subnet", fmt::format("{} has no room for a gateway and a container", pool.subnet));
    if (!pool.gateway.empty())
        check_gateway(path + ".gateway", pool, *subnet, fail);
    const auto range = prefix::parse(pool.ip_range);
    if (!pool.ip_range.empty() && !range)
        fail(path + ".ip_range", fmt::format("\"{}\" is no range like 172.28.5.0/24", pool.ip_range));
    else if (range && !subnet->contains(*range))
        fail(path + ".ip_range",
            fmt::format("ip_range {} is not in its subnet {}", pool.ip_range, pool.subnet));
    else if (range && !range->is_of_network())
        fail(path + ".ip_range",
            fmt::format("{} is an address in a range: write {}", pool.ip_range, range->text()));
    const auto given = parse_address(pool.gateway);
    for (const auto& [name, text] : pool.aux_addresses) {
        const std::string key = fmt::format("{}.aux_addresses.{}", path, name);
        const auto reserved = parse_address(text);
        if (!reserved)
            fail(key, fmt::format("\"{}\" is no IP address", text));
        else if (!subnet->contains(*reserved))
            fail(key, fmt::format("{} is not in its subnet {}", text, pool.subnet));
        else if (*reserved == given.value_or(subnet->second()))
            fail(key, fmt::format("{} is the gateway's{}; leave it out, or give another", text,
                          given ? "" : " where none is given"));
    }
}

bool has_blank(const std::string& text) {
    return text.empty() || std::any_of(text.begin(), text.end(),
                               [](unsigned char c) { return std::isgraph(c) == 0 && c < 0x80; });
}

bool has_control(const std::string& text) {
    return std::any_of(text.begin(), text.end(), [](unsigned char c) { return std::iscntrl(c) != 0; });
}

/// Nothing can be bound to them.
std::string why_no_host_address(const address& of) {
    const unsigned first = of.bytes[0];
    if (of.family == AF_INET6 && first == 0xfe && (of.bytes[1] & 0xc0U) == 0x80)
        return "a link-local address, which is another on each interface";
    if (of.family == AF_INET6 ? first == 0xff : first >= 224 && first < 240)
        return "the address of a group (multicast), which no host has";
    if (of == parse_address("255.255.255.255"))
        return "the broadcast address";
    return {};
}

/// IFNAMSIZ with its zero, and what the kernel refuses.
std::string why_no_interface(const std::string& name) {
    if (name == "lo")
        return "\"lo\" is the loopback, which the container has already; choose another name";
    if (name.empty() || name.size() > 15 || name == "." || name == ".." ||
        name.find_first_of("/: \t") != std::string::npos)
        return fmt::format("{:?} is no name of an interface (up to 15 characters)", name);
    return {};
}

/// "net.ipv4.conf.IFNAME.log_martians=1,…"
void check_sysctls(const std::string& key, const std::string& text, const report_fault& fail) {
    std::size_t begin = 0;
    do {
        const auto end = std::min(text.find(',', begin), text.size());
        const std::string each = text.substr(begin, end - begin);
        const std::string name = each.substr(0, each.find('='));
        if (name.size() == each.size() || !name.starts_with("net.") ||
            name.find("IFNAME") == std::string::npos || name.find('/') != std::string::npos ||
            name.find("..") != std::string::npos)
            fail(key,
                fmt::format("\"{}\" is no sysctl of an interface; write net.ipv4.conf.IFNAME.NAME=VALUE, "
                            "with IFNAME as it stands, several with commas",
                    each));
        begin = end + 1;
    } while (begin < text.size());
}

/// resolv.conf(5), of glibc and musl.
constexpr std::array<std::string_view, 16> resolver_options{"attempts", "debug", "edns0", "inet6",
    "ip6-bytestring", "ip6-dotint", "ndots", "no-aaaa", "no-check-names", "no-ip6-dotint", "no-reload",
    "no-tld-query", "rotate", "single-request", "single-request-reopen", "timeout"};
constexpr std::array<std::string_view, 2> more_resolver_options{"trust-ad", "use-vc"};

class network_checker {
  public:
    network_checker(const project& in, const service& of, const report_fault& fail, const report_fault& warn)
        : project_(in), of_(of), fail_(fail), warn_(warn) {}

    void run() {
        for (const auto& [key, how] : of_.networks)
            endpoint("networks." + key, key, how);
        if (of_.scale > 1 && !of_.mac_address.empty())
            fail_("mac_address", for_one());
        ports();
        for (std::size_t index = 0; index < of_.expose.size(); ++index)
            if (!is_port(of_.expose[index]))
                fail_(fmt::format("expose[{}]", index),
                    fmt::format("\"{}\" is no port; write PORT[-PORT][/PROTOCOL], like 8080 or 53/udp",
                        of_.expose[index]));
        for (std::size_t index = 0; index < of_.dns_search.size(); ++index)
            name(fmt::format("dns_search[{}]", index), of_.dns_search[index],
                "has a blank, so resolvers take it for several; write each domain as an item of its own");
        for (std::size_t index = 0; index < of_.dns_opt.size(); ++index)
            resolver_option(fmt::format("dns_opt[{}]", index), of_.dns_opt[index]);
    }

  private:
    std::string for_one() const {
        return fmt::format(
            "is for one container, but there are {} of this service; leave it out, or set scale: 1",
            of_.scale);
    }

    void name(const std::string& key, const std::string& text, std::string_view blank) {
        if (has_control(text))
            fail_(key, fmt::format("{:?} has a character that no name has", text));
        else if (has_blank(text))
            warn_(key, fmt::format("{:?} {}", text, text.empty() ? "says nothing; leave it out" : blank));
    }

    void endpoint(const std::string& path, const std::string& key, const service_network& how) {
        for (std::size_t index = 0; index < how.aliases.size(); ++index)
            name(fmt::format("{}.aliases[{}]", path, index), how.aliases[index],
                "has a blank, so nobody can ask for it; write each name as an item of its own");
        const auto network = project_.networks.find(key);
        const bool no_ipv6 =
            network != project_.networks.end() && !network->second.external && !network->second.enable_ipv6;
        for (std::size_t index = 0; index < how.link_local_ips.size(); ++index)
            if (no_ipv6 && how.link_local_ips[index].find(':') != std::string::npos)
                fail_(fmt::format("{}.link_local_ips[{}]", path, index), without_ipv6(key));
        if (no_ipv6 && !how.ipv6_address.empty())
            fail_(path + ".ipv6_address", without_ipv6(key));
        for (const auto& [member, text] : {std::pair("mac_address", &how.mac_address),
                 {"ipv4_address", &how.ipv4_address}, {"ipv6_address", &how.ipv6_address}})
            if (of_.scale > 1 && !text->empty())
                fail_(fmt::format("{}.{}", path, member), for_one());
        fixed_address(path + ".ipv4_address", how.ipv4_address, key);
        fixed_address(path + ".ipv6_address", how.ipv6_address, key);
        interfaces(path, how);
        if (const auto sysctls = how.driver_opts.find("com.docker.network.endpoint.sysctls");
            sysctls != how.driver_opts.end())
            check_sysctls(path + ".driver_opts.com.docker.network.endpoint.sysctls", sysctls->second, fail_);
    }

    /// One that the network's own definition has no room for is known before anything is made.
    void fixed_address(const std::string& path, const std::string& text, const std::string& key) {
        const auto network = project_.networks.find(key);
        const auto wanted = parse_address(text);
        if (network == project_.networks.end() || network->second.external || !wanted)
            return;
        for (const ipam_pool& pool : network->second.pools) {
            const auto subnet = prefix::parse(pool.subnet);
            if (!subnet || subnet->first().family != wanted->family)
                continue;
            const std::string of = fmt::format("networks.{}", key);
            if (!subnet->contains(*wanted))
                fail_(path, fmt::format("{} is not in {}, the subnet of {}", text, pool.subnet, of));
            else if (*wanted == parse_address(pool.gateway).value_or(subnet->second()))
                fail_(
                    path, fmt::format("{} is the gateway of {}; give another of {}", text, of, pool.subnet));
            else if (*wanted == subnet->first() || (*wanted == subnet->last() && subnet->has_broadcast()))
                fail_(path, fmt::format("{} is the {} {}; give another", text,
                                *wanted == subnet->first() ? "address of the network itself:"
                                                           : "broadcast address of",
                                pool.subnet));
            for (const auto& [name, reserved] : pool.aux_addresses)
                if (parse_address(reserved) == wanted)
                    fail_(path, fmt::format("{} is what {}.ipam.config has for {} under aux_addresses", text,
                                    of, name));
        }
    }

    static std::string without_ipv6(const std::string& network) {
        return fmt::format("the network has no IPv6; set networks.{}.enable_ipv6: true", network);
    }

    void interfaces(const std::string& path, const service_network& how) {
        const std::string option = "com.docker.network.endpoint.ifname";
        const auto other = how.driver_opts.find(option);
        const bool has_other = other != how.driver_opts.end();
        if (has_other && !how.interface_name.empty() && how.interface_name != other->second)
            fail_(fmt::format("{}.driver_opts.{}", path, option),
                fmt::format("is \"{}\", and interface_name is \"{}\"; write one of them", other->second,
                    how.interface_name));
        if (how.interface_name.empty() && !has_other)
            return;
        const bool own = !how.interface_name.empty();
        const std::string key =
            own ? path + ".interface_name" : fmt::format("{}.driver_opts.{}", path, option);
        const std::string& name = own ? how.interface_name : other->second;
        if (const std::string why = why_no_interface(name); !why.empty())
            return fail_(key, why);
        if (const auto [twin, fresh] = interfaces_.emplace(name, path); !fresh)
            fail_(key, fmt::format("\"{}\" is the interface of {} already; each has a name of its own", name,
                           twin->second));
    }

    void ports() {
        for (std::size_t index = 0; index < of_.ports.size(); ++index) {
            const port& each = of_.ports[index];
            const auto host = parse_address(each.host_ip);
            in6_addr six{};
            if (host && host->family == AF_INET6)
                std::copy(host->bytes.begin(), host->bytes.end(), std::begin(six.s6_addr));
            if (host && host->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six)) {
                std::array<char, INET_ADDRSTRLEN> four{};
                ::inet_ntop(AF_INET, host->bytes.data() + 12, four.data(), four.size());
                fail_(fmt::format("ports[{}].host_ip", index),
                    fmt::format("\"{}\" is an IPv4 address written as one of IPv6; write {}", each.host_ip,
                        four.data()));
            }
            if (const std::string why = host ? why_no_host_address(*host) : std::string(); !why.empty())
                fail_(fmt::format("ports[{}].host_ip", index),
                    fmt::format(
                        "\"{}\" is {}; name another address of this host, or none", each.host_ip, why));
            if (!each.mode.empty() && each.mode != "ingress" && each.mode != "host")
                warn_(fmt::format("ports[{}].mode", index),
                    fmt::format("\"{}\" has no effect; there are ingress and host{}", each.mode,
                        did_you_mean(each.mode, {"ingress", "host"})));
        }
    }

    static bool is_port(const std::string& text) {
        const auto slash = std::min(text.find('/'), text.size());
        const std::string protocol = slash == text.size() ? "tcp" : text.substr(slash + 1);
        const std::string numbers = text.substr(0, slash);
        const auto dash = std::min(numbers.find('-'), numbers.size());
        const auto number = [](const std::string& digits) {
            unsigned value = 0;
            const char* const end = digits.data() + digits.size();
            return std::from_chars(digits.data(), end, value).ptr == end && value <= 65535 ? value : 0;
        };
        const unsigned first = number(numbers.substr(0, dash));
        const unsigned last = dash == numbers.size() ? first : number(numbers.substr(dash + 1));
        return first > 0 && last >= first && (protocol == "tcp" || protocol == "udp" || protocol == "sctp");
    }

    void resolver_option(const std::string& key, const std::string& text) {
        if (has_control(text))
            return fail_(key, fmt::format("{:?} has a character that no option has", text));
        std::vector<std::string_view> known(resolver_options.begin(), resolver_options.end());
        known.insert(known.end(), more_resolver_options.begin(), more_resolver_options.end());
        const auto colon = std::min(text.find(':'), text.size());
        const std::string name = text.substr(0, colon);
        const std::string value = text.substr(std::min(colon + 1, text.size()));
        if (std::find(known.begin(), known.end(), name) == known.end()) {
            const std::string meant = did_you_mean(name, known);
            return warn_(key, fmt::format("resolvers do not know \"{}\" and pass over it{}", text,
                                  meant.empty() ? "; see resolv.conf(5)" : meant));
        }
        const bool counts = name == "ndots" || name == "timeout" || name == "attempts";
        const bool is_number = !value.empty() && value.find_first_not_of("0123456789") == std::string::npos;
        if (counts && !is_number)
            warn_(key, fmt::format("resolvers pass over \"{}\"; write a number, like {}:2", text, name));
        else if (!counts && colon != text.size())
            warn_(key, fmt::format("resolvers pass over \"{}\"; {} takes no value", text, name));
    }

    const project& project_;
    const service& of_;
    const report_fault& fail_;
    const report_fault& warn_;
    std::map<std::string, std::string> interfaces_; // the endpoint of each name
};

} // namespace

void check_network_use(
    const project& in, const service& of, const report_fault& fail, const report_fault& warn) {
    network_checker(in, of, fail, warn).run();
}

void check_pools(const network& of, const report_fault& fail) {
    for (std::size_t index = 0; index < of.pools.size(); ++index)
        check_pool(fmt::format("ipam.config[{}]", index), of.pools[index], fail);
}

} // namespace compose
