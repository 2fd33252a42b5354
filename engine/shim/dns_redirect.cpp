#include "engine/shim/dns_redirect.hpp"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

namespace engine {

namespace {

constexpr std::string_view table_name = "composed_dns";
constexpr std::string_view chain_name = "output";
constexpr std::uint32_t dns_address = 0x7f00000b; // 127.0.0.11
constexpr std::uint16_t dns_port = 53;

// Netlink messages by hand: a static program of some hundred kB has no room for libnftnl, and forking nft
// costs 2.7 ms a container.
class netlink_batch {
  public:
    void begin_message(std::uint16_t type, std::uint16_t flags, std::uint8_t family, std::uint16_t resource) {
        message_ = bytes_.size();
        nlmsghdr header{};
        header.nlmsg_type = type;
        header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
        header.nlmsg_seq = ++sequence_;
        append(&header, sizeof header);
        nfgenmsg generic{};
        generic.nfgen_family = family;
        generic.version = NFNETLINK_V0;
        generic.res_id = htons(resource);
        append(&generic, sizeof generic);
    }

    void end_message() {
        const auto length = static_cast<std::uint32_t>(bytes_.size() - message_);
        std::memcpy(bytes_.data() + message_ + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
    }

    void table_message(std::uint16_t type, std::uint16_t flags) {
        begin_message(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8U | type), flags, NFPROTO_IPV4, 0);
    }

    void text(std::uint16_t type, std::string_view value) {
        const std::string terminated(value);
        attribute(type, terminated.c_str(), terminated.size() + 1);
    }

    void big_endian(std::uint16_t type, std::uint32_t value) {
        const std::uint32_t wire = htonl(value);
        attribute(type, &wire, sizeof wire);
    }

    void attribute(std::uint16_t type, const void* data, std::size_t size) {
        nlattr header{};
        header.nla_type = type;
        header.nla_len = static_cast<std::uint16_t>(NLA_HDRLEN + size);
        append(&header, sizeof header);
        append(data, size);
        bytes_.resize(bytes_.size() + (NLA_ALIGN(size) - size));
    }

    std::size_t begin_nested(std::uint16_t type) {
        const std::size_t at = bytes_.size();
        nlattr header{};
        header.nla_type = static_cast<std::uint16_t>(type | NLA_F_NESTED);
        append(&header, sizeof header);
        return at;
    }

    void end_nested(std::size_t at) {
        const auto length = static_cast<std::uint16_t>(bytes_.size() - at);
        std::memcpy(bytes_.data() + at + offsetof(nlattr, nla_len), &length, sizeof length);
    }

    std::string take() { return std::move(bytes_); }

  private:
    void append(const void* data, std::size_t size) { bytes_.append(static_cast<const char*>(data), size); }

    std::string bytes_;
    std::size_t message_ = 0;
    std::uint32_t sequence_ = 0;
};

class rule_expressions {
  public:
    explicit rule_expressions(netlink_batch& batch) : batch_(batch) {}

    // Loads `length` bytes at `offset` of a header into register 1.
    void load(std::uint32_t base, std::uint32_t offset, std::uint32_t length) {
        const frame scope = begin("payload");
        batch_.big_endian(NFTA_PAYLOAD_DREG, NFT_REG_1);
        batch_.big_endian(NFTA_PAYLOAD_BASE, base);
        batch_.big_endian(NFTA_PAYLOAD_OFFSET, offset);
        batch_.big_endian(NFTA_PAYLOAD_LEN, length);
        end(scope);
    }

    void load_protocol() {
        const frame scope = begin("meta");
        batch_.big_endian(NFTA_META_DREG, NFT_REG_1);
        batch_.big_endian(NFTA_META_KEY, NFT_META_L4PROTO);
        end(scope);
    }

    void equals(const void* value, std::size_t size) {
        const frame scope = begin("cmp");
        batch_.big_endian(NFTA_CMP_SREG, NFT_REG_1);
        batch_.big_endian(NFTA_CMP_OP, NFT_CMP_EQ);
        data(NFTA_CMP_DATA, value, size);
        end(scope);
    }

    void immediate(std::uint32_t target, const void* value, std::size_t size) {
        const frame scope = begin("immediate");
        batch_.big_endian(NFTA_IMMEDIATE_DREG, target);
        data(NFTA_IMMEDIATE_DATA, value, size);
        end(scope);
    }

    // Writes the two bytes `value` at `offset` of the transport header, whose checksum at `checksum` follows.
    void rewrite(std::uint32_t offset, std::uint16_t value, std::uint32_t checksum) {
        immediate(NFT_REG_1, &value, sizeof value);
        const frame scope = begin("payload");
        batch_.big_endian(NFTA_PAYLOAD_SREG, NFT_REG_1);
        batch_.big_endian(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
        batch_.big_endian(NFTA_PAYLOAD_OFFSET, offset);
        batch_.big_endian(NFTA_PAYLOAD_LEN, sizeof value);
        batch_.big_endian(NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
        batch_.big_endian(NFTA_PAYLOAD_CSUM_OFFSET, checksum);
        end(scope);
    }

    void do_not_track() { end(begin("notrack")); }

  private:
    struct frame {
        std::size_t element;
        std::size_t inside;
    };

    frame begin(std::string_view name) {
        const std::size_t element = batch_.begin_nested(NFTA_LIST_ELEM);
        batch_.text(NFTA_EXPR_NAME, name);
        return {.element = element, .inside = batch_.begin_nested(NFTA_EXPR_DATA)};
    }

    void end(const frame& scope) {
        batch_.end_nested(scope.inside);
        batch_.end_nested(scope.element);
    }

    void data(std::uint16_t type, const void* value, std::size_t size) {
        const std::size_t outer = batch_.begin_nested(type);
        batch_.attribute(NFTA_DATA_VALUE, value, size);
        batch_.end_nested(outer);
    }

    netlink_batch& batch_;
};

void add_chain(netlink_batch& batch) {
    batch.table_message(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    batch.text(NFTA_CHAIN_TABLE, table_name);
    batch.text(NFTA_CHAIN_NAME, chain_name);
    const std::size_t hook = batch.begin_nested(NFTA_CHAIN_HOOK);
    batch.big_endian(NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
    batch.big_endian(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(NF_IP_PRI_RAW));
    batch.end_nested(hook);
    batch.text(NFTA_CHAIN_TYPE, "filter");
    batch.end_message();
}

// Where a port and the checksum stand in the transport header; the addresses, in that of IPv4.
struct protocol_layout {
    std::uint8_t number;
    std::uint32_t checksum;
};
constexpr protocol_layout udp_layout{IPPROTO_UDP, 6};
constexpr protocol_layout tcp_layout{IPPROTO_TCP, 16};

struct end_layout {
    std::uint32_t address;
    std::uint32_t port;
};
constexpr end_layout source_end{12, 0};
constexpr end_layout destination_end{16, 2};

// Of packets whose one end is the port `from` of the DNS address: that becomes `to`.
void add_rule(netlink_batch& batch, const protocol_layout& protocol, const end_layout& end,
    std::uint16_t from, std::uint16_t to) {
    const std::uint32_t address = htonl(dns_address);
    const std::uint16_t port = htons(from);
    batch.table_message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    batch.text(NFTA_RULE_TABLE, table_name);
    batch.text(NFTA_RULE_CHAIN, chain_name);
    const std::size_t list = batch.begin_nested(NFTA_RULE_EXPRESSIONS);
    rule_expressions rule(batch);
    rule.load(NFT_PAYLOAD_NETWORK_HEADER, end.address, 4);
    rule.equals(&address, sizeof address);
    rule.load_protocol();
    rule.equals(&protocol.number, sizeof protocol.number);
    rule.load(NFT_PAYLOAD_TRANSPORT_HEADER, end.port, 2);
    rule.equals(&port, sizeof port);
    rule.rewrite(end.port, htons(to), protocol.checksum);
    rule.do_not_track();
    batch.end_nested(list);
    batch.end_message();
}

// The kernel answers the whole batch; only errors matter, and the acknowledgement of the last rule.
int read_answer(int socket) {
    char answer[8192];
    const ssize_t got = ::recv(socket, answer, sizeof answer, 0);
    if (got < 0)
        return errno;
    auto length = static_cast<unsigned>(got);
    const auto* header = reinterpret_cast<const nlmsghdr*>(answer);
    for (; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
        if (header->nlmsg_type != NLMSG_ERROR)
            continue;
        nlmsgerr failure{};
        std::memcpy(&failure, NLMSG_DATA(header), sizeof failure);
        if (failure.error != 0)
            return -failure.error;
    }
    return 0;
}

} // namespace

std::string dns_redirect_batch(std::uint16_t udp_port, std::uint16_t tcp_port) {
    netlink_batch batch;
    batch.begin_message(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    batch.end_message();
    batch.table_message(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ACK);
    batch.text(NFTA_TABLE_NAME, table_name);
    batch.end_message();
    add_chain(batch);
    for (const auto& [protocol, port] : {std::pair(udp_layout, udp_port), std::pair(tcp_layout, tcp_port)}) {
        add_rule(batch, protocol, destination_end, dns_port, port);
        add_rule(batch, protocol, source_end, port, dns_port);
    }
    batch.begin_message(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    batch.end_message();
    return batch.take();
}

int install_dns_redirect(std::uint16_t udp_port, std::uint16_t tcp_port) {
    const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (socket < 0)
        return errno;
    const std::string batch = dns_redirect_batch(udp_port, tcp_port);
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    int result = 0;
    if (::sendto(socket, batch.data(), batch.size(), 0, reinterpret_cast<sockaddr*>(&kernel),
            sizeof kernel) != static_cast<ssize_t>(batch.size()))
        result = errno;
    if (result == 0)
        result = read_answer(socket);
    ::close(socket);
    return result;
}

} // namespace engine
