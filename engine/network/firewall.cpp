#include "engine/network/firewall.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>
#include <nftables/libnftables.h>

#include <string_view>
#include <utility>

namespace engine {

namespace {

// What the chains do, probe by probe, is in tests/e2e/firewall_test.py and ipv6_test.py. Words in capitals
// stand for what differs between the two families, and TABLE for the table's name.
//
// The guard in raw_prerouting: our bridges have route_localnet set, so that 127.0.0.1:PORT of the host can be
// translated to a container; without the guard a container could forge 127.0.0.1 as a destination and reach
// what listens on the host's loopback alone (CVE-2020-8558).
//
// The forward chain comes before those of others and marks what is ours: see other_firewalls. What a
// container sends to a published port is marked there too: where br_netfilter has bridged packets pass
// postrouting, they have no incoming interface. It bears this host's address then, for the answer has to come
// back this way, and does not by itself where the two share a network: the one where the port leads to, or
// another.
//
// What the shims' proxies take arrives at this host and is not forwarded: the input chain keeps internal
// networks from it, as the forward chain keeps them from what is translated.
//
// No set has intervals: nft reads such a set whole for each element that it adds, which with many networks is
// what takes the time.
constexpr std::string_view skeleton = R"(
table FAMILY TABLE
delete table FAMILY TABLE
table FAMILY TABLE {
  set bridges   { type ifname; }
  set internal  { type ifname; }
  set hairpin   { type ifname . ifname; }
  set natted    { type ifname; }
  set proxied_any  { type inet_proto . inet_service; }
  set proxied_addr { type ADDRESS . inet_proto . inet_service; }
  set open      { type ADDRESS . inet_proto . inet_service; }
  map pub_any   { type inet_proto . inet_service : ADDRESS . inet_service; }
  map pub_addr  { type ADDRESS . inet_proto . inet_service : ADDRESS . inet_service; }

  chain raw_prerouting {
    type filter hook prerouting priority raw; policy accept;
    iifname != "lo" FAMILY daddr LOOPBACK counter drop comment "route_localnet guard"
  }
  chain publish {
    dnat FAMILY to FAMILY daddr . meta l4proto . th dport map @pub_addr
    dnat FAMILY to meta l4proto . th dport map @pub_any
  }
  chain prerouting { type nat hook prerouting priority dstnat; fib daddr type local jump publish; }
  chain output     { type nat hook output     priority -100; PROXIED fib daddr type local jump publish; }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ct status dnat oifname @bridges fib saddr type local masquerade comment "host to published port"
    ct status dnat oifname @bridges meta mark & HAIRPIN != 0 masquerade comment "container to published port"
    iifname @natted oifname != @bridges masquerade
  }
  chain input {
    type filter hook input priority filter - 10; policy accept;
    iifname @internal meta l4proto . th dport @proxied_any drop
    iifname @internal FAMILY daddr . meta l4proto . th dport @proxied_addr drop
  }
  chain forward {
    type filter hook forward priority filter - 10; policy accept;
    ct state established,related iifname @bridges OURS accept
    ct state established,related oifname @bridges OURS accept
    ct state established,related accept
    iifname @internal oifname != @internal drop
    oifname @internal iifname != @internal drop
    oifname @bridges iifname @bridges ct status dnat meta mark set meta mark | HAIRPIN OURS accept
    oifname @bridges ct status dnat ENTERING accept
    iifname . oifname @hairpin OURS accept
    oifname @bridges iifname @bridges FAMILY daddr . meta l4proto . th dport @open OURS accept
    oifname @bridges FAMILY daddr . meta l4proto . th dport @open ENTERING accept
    oifname @bridges counter drop comment "isolation and unpublished ports"
    iifname @bridges OURS
  }
}
)";

struct address_family {
    std::string_view name;
    std::string_view address;
    std::string_view loopback;
    std::string_view proxied; // what the shims' proxies take: ::1 cannot be translated, nothing routes it
};

constexpr address_family four{.name = "ip", .address = "ipv4_addr", .loopback = "127.0.0.0/8", .proxied = {}};
constexpr address_family six{
    .name = "ip6", .address = "ipv6_addr", .loopback = "::1", .proxied = "ip6 daddr ::1 return;"};

std::string skeleton_of(const address_family& family, std::string_view table) {
    const std::string ours = fmt::format("meta mark set meta mark | {:#x}", mark_of_ours);
    const std::string hairpin = fmt::format("{:#x}", mark_of_hairpin);
    const std::string entering = fmt::format("meta mark set meta mark | {:#x}", mark_of_entering);
    // The table's name last: it may be any word.
    const std::pair<std::string_view, std::string_view> words[]{{"FAMILY", family.name},
        {"ADDRESS", family.address}, {"LOOPBACK", family.loopback}, {"PROXIED", family.proxied},
        {"OURS", ours}, {"ENTERING", entering}, {"HAIRPIN", hairpin}, {"TABLE", table}};
    std::string text(skeleton);
    for (const auto& [word, with] : words)
        for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + with.size()))
            text.replace(at, word.size(), with);
    return text;
}

/// Elements of one family's sets and maps, added or deleted.
class element_writer {
  public:
    element_writer(std::string_view verb, std::string_view table) : verb_(verb), table_(table) {}

    void network(const firewall_network& network, bool with_ipv6) {
        of_network(four, network, network.masquerade);
        // A bridge without IPv6 is known to that table too: nothing of it is let through there.
        if (with_ipv6)
            of_network(six, network, network.masquerade6);
    }

    void port(const firewall_port& entry) {
        const published_port& port = entry.port;
        if (port.host == entry.container)
            return element(std::holds_alternative<ipv4_address>(port.host) ? four : six, "open",
                fmt::format("{} . {} . {}", to_string(port.host), to_string(port.protocol), port.target));
        const bool any = is_any(port.host);
        std::string key = fmt::format("{} . {}", to_string(port.protocol), port.port);
        if (!any)
            key = fmt::format("{} . {}", to_string(port.host), key);
        const bool proxied = port.host.index() != entry.container.index();
        if (verb_ == "add" && !proxied)
            key += fmt::format(" : {} . {}", to_string(entry.container), port.target);
        element(std::holds_alternative<ipv4_address>(port.host) ? four : six,
            fmt::format("{}_{}", proxied ? "proxied" : "pub", any ? "any" : "addr"), key);
    }

    std::string take() { return std::move(text_); }

  private:
    void element(const address_family& family, std::string_view set, std::string_view value) {
        text_ += fmt::format("{} element {} {} {} {{ {} }}\n", verb_, family.name, table_, set, value);
    }

    void of_network(const address_family& family, const firewall_network& network, bool masquerade) {
        const std::string bridge = fmt::format("\"{}\"", network.bridge);
        element(family, "bridges", bridge);
        element(family, "hairpin", fmt::format("{} . {}", bridge, bridge));
        if (network.internal)
            element(family, "internal", bridge);
        // An internal network has no way out, so nothing of it is translated.
        if (!network.internal && masquerade)
            element(family, "natted", bridge);
    }

    std::string_view verb_;
    std::string_view table_;
    std::string text_;
};

} // namespace

void firewall::deleter::operator()(nft_ctx* context) const noexcept {
    ::nft_ctx_free(context);
}

firewall::firewall(std::string table, bool ipv6)
    : table_(std::move(table)), ipv6_(ipv6), context_(::nft_ctx_new(NFT_CTX_DEFAULT)) {
    if (!context_)
        throw compose::error(compose::error_kind::exhausted, "open nftables: out of memory");
    ::nft_ctx_buffer_error(context_.get());
    ::nft_ctx_buffer_output(context_.get());
}

firewall::~firewall() = default;

std::string firewall::render(const firewall_state& state) const {
    std::string text = skeleton_of(four, table_);
    if (ipv6_)
        text += skeleton_of(six, table_);
    element_writer elements("add", table_);
    for (const firewall_network& network : state.networks)
        elements.network(network, ipv6_);
    for (const firewall_port& port : state.ports)
        elements.port(port);
    return text + elements.take();
}

void firewall::load(const firewall_state& state) {
    apply(render(state));
}

std::string firewall::adding(const firewall_network& network) const {
    element_writer elements("add", table_);
    elements.network(network, ipv6_);
    return elements.take();
}

std::string firewall::removing(const firewall_network& network) const {
    element_writer elements("delete", table_);
    elements.network(network, ipv6_);
    return elements.take();
}

std::string firewall::adding(const std::vector<firewall_port>& ports) const {
    element_writer elements("add", table_);
    for (const firewall_port& port : ports)
        elements.port(port);
    return elements.take();
}

std::string firewall::removing(const std::vector<firewall_port>& ports) const {
    element_writer elements("delete", table_);
    for (const firewall_port& port : ports)
        elements.port(port);
    return elements.take();
}

void firewall::unload() {
    std::string text = fmt::format("table ip {0}\ndelete table ip {0}\n", table_);
    if (ipv6_)
        text += fmt::format("table ip6 {0}\ndelete table ip6 {0}\n", table_);
    apply(text);
}

void firewall::apply(const std::string& commands) {
    if (commands.empty())
        return;
    if (::nft_run_cmd_from_buffer(context_.get(), commands.c_str()) == 0)
        return;
    const char* words = ::nft_ctx_get_error_buffer(context_.get());
    throw compose::error(compose::error_kind::internal,
        fmt::format("change firewall table \"{}\": {}", table_, words == nullptr ? "refused" : words));
}

} // namespace engine
