#include "engine/network/firewall.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>
#include <nftables/libnftables.h>

#include <string_view>

namespace engine {

namespace {

// What the chains do, probe by probe, is in tests/e2e/firewall_test.py. `%` stands for the table's name.
//
// The guard in raw_prerouting: our bridges have route_localnet set, so that 127.0.0.1:PORT of the host can be
// translated to a container; without the guard a container could forge 127.0.0.1 as a destination and reach
// what listens on the host's loopback alone (CVE-2020-8558).
constexpr std::string_view skeleton = R"(
table ip %
delete table ip %
table ip % {
  set bridges   { type ifname; }
  set internal  { type ifname; }
  set hairpin   { type ifname . ifname; }
  set members   { type ipv4_addr . ifname; flags interval; }
  set natted    { type ipv4_addr; flags interval; }
  map pub_any   { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map pub_addr  { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }

  chain raw_prerouting {
    type filter hook prerouting priority raw; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 counter drop comment "route_localnet guard"
  }
  chain publish {
    dnat ip to ip daddr . meta l4proto . th dport map @pub_addr
    dnat ip to meta l4proto . th dport map @pub_any
  }
  chain prerouting { type nat hook prerouting priority dstnat; fib daddr type local jump publish; }
  chain output     { type nat hook output     priority -100; fib daddr type local jump publish; }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ct status dnat oifname @bridges fib saddr type local masquerade comment "host to published port"
    ct status dnat ip saddr . oifname @members masquerade comment "same-bridge hairpin"
    ip saddr @natted oifname != @bridges masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    iifname @internal oifname != @internal drop
    oifname @internal iifname != @internal drop
    oifname @bridges ct status dnat accept
    iifname . oifname @hairpin accept
    oifname @bridges counter drop comment "isolation and unpublished ports"
  }
}
)";

std::string replace_all(std::string_view text, char what, std::string_view with) {
    std::string result;
    for (const char c : text)
        c == what ? result.append(with) : result.append(1, c);
    return result;
}

std::string network_elements(std::string_view verb, std::string_view table, const firewall_network& network) {
    std::string text = fmt::format("{} element ip {} bridges {{ {} }}\n", verb, table, network.bridge);
    text +=
        fmt::format("{} element ip {} hairpin {{ {} . {} }}\n", verb, table, network.bridge, network.bridge);
    // By source: where br_netfilter passes bridged packets through here, they have no incoming interface.
    text += fmt::format(
        "{} element ip {} members {{ {} . {} }}\n", verb, table, to_string(network.subnet), network.bridge);
    // An internal network has no way out, so nothing of it is translated.
    if (network.internal)
        text += fmt::format("{} element ip {} internal {{ {} }}\n", verb, table, network.bridge);
    else
        text += fmt::format("{} element ip {} natted {{ {} }}\n", verb, table, to_string(network.subnet));
    return text;
}

std::string port_element(std::string_view verb, std::string_view table, const firewall_port& entry) {
    const published_port& port = entry.port;
    const bool any = port.host.value == 0;
    std::string key = fmt::format("{} . {}", to_string(port.protocol), port.port);
    if (!any)
        key = fmt::format("{} . {}", to_string(port.host), key);
    const bool adding = verb == "add";
    const std::string value =
        adding ? fmt::format(" : {} . {}", to_string(entry.container), port.target) : std::string();
    return fmt::format(
        "{} element ip {} {} {{ {}{} }}\n", verb, table, any ? "pub_any" : "pub_addr", key, value);
}

} // namespace

void firewall::deleter::operator()(nft_ctx* context) const noexcept {
    ::nft_ctx_free(context);
}

firewall::firewall(std::string table) : table_(std::move(table)), context_(::nft_ctx_new(NFT_CTX_DEFAULT)) {
    if (!context_)
        throw compose::error(compose::error_kind::exhausted, "open nftables: out of memory");
    ::nft_ctx_buffer_error(context_.get());
    ::nft_ctx_buffer_output(context_.get());
}

firewall::~firewall() = default;

std::string firewall::render(const firewall_state& state) const {
    std::string text = replace_all(skeleton, '%', table_);
    for (const firewall_network& network : state.networks)
        text += network_elements("add", table_, network);
    for (const firewall_port& port : state.ports)
        text += port_element("add", table_, port);
    return text;
}

void firewall::load(const firewall_state& state) {
    run(render(state));
}

void firewall::add_network(const firewall_network& network) {
    run(network_elements("add", table_, network));
}

void firewall::remove_network(const firewall_network& network) {
    run(network_elements("delete", table_, network));
}

void firewall::add_ports(const std::vector<firewall_port>& ports) {
    std::string text;
    for (const firewall_port& port : ports)
        text += port_element("add", table_, port);
    run(text);
}

void firewall::remove_ports(const std::vector<firewall_port>& ports) {
    std::string text;
    for (const firewall_port& port : ports)
        text += port_element("delete", table_, port);
    run(text);
}

void firewall::unload() {
    run(fmt::format("table ip {0}\ndelete table ip {0}\n", table_));
}

void firewall::run(const std::string& commands) {
    if (commands.empty())
        return;
    if (::nft_run_cmd_from_buffer(context_.get(), commands.c_str()) == 0)
        return;
    const char* words = ::nft_ctx_get_error_buffer(context_.get());
    throw compose::error(compose::error_kind::internal,
        fmt::format("change firewall table \"{}\": {}", table_, words == nullptr ? "refused" : words));
}

} // namespace engine
