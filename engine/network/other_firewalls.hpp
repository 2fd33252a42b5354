#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct nft_ctx;

namespace engine {

/// Who else closes what is forwarded on this host.
enum class firewall_owner { dockerd, ufw, firewalld, administrator };

/// A base chain of another program that drops or rejects what none of its rules has let through.
struct closing_chain {
    std::string family;
    std::string table;
    std::string name;
    firewall_owner owner = firewall_owner::administrator;
    bool closes = false;           // now; one that no longer does may still have a rule of ours
    std::string before;            // handle of the rule where closing begins; empty: behind the last rule
    bool isolates = false;         // dockerd's chain that keeps others off its bridges is there
    std::vector<std::string> ours; // handles of the rules that bear our name
    bool passed = false;           // those are what they should be

    bool operator==(const closing_chain&) const = default;
};

/// "ufw", "table inet filter": as messages call it.
std::string describe(const closing_chain& chain);

/// How a person opens `port` (inside the container) of `protocol` there.
std::string opening(const closing_chain& chain, std::string_view protocol, unsigned port);

/// What `nft -j -a list chain` says of a chain on the forward hook and `nft -j list chains` of all. `name`:
/// what our rules bear as their comment.
closing_chain read_chain(std::string_view chain_json, std::string_view chains_json, std::string_view name);

/// What nft is told so that `chain` lets ours through; empty where it does.
std::string passage(const closing_chain& chain, std::string_view name);

/// Lets our traffic through the packet filters of others: an accept in our table does not overrule a drop in
/// theirs (nft(8)). One rule with our comment, for packets with our mark, goes to the end of each of their
/// chains on the forward hook that would drop or reject them, so what they close by a rule stays closed. What
/// comes from outside to a published port passes where dockerd alone has closed, which does it as a router's
/// safety; where a person has (ufw, a policy of their own), it is theirs to open. firewalld lets translated
/// packets through by itself; its zones have no common end, so our rule comes before them.
///
/// Every call blocks and is one transaction a chain. The rules outlive the daemon; leave() takes them away.
class other_firewalls {
  public:
    /// `name`: that of this instance on the host.
    explicit other_firewalls(std::string name);
    ~other_firewalls();

    /// Looks at all chains and adds what is missing. Returns those that close. Throws error{internal} with
    /// nft's words.
    std::vector<closing_chain> pass();

    /// Takes our rules out of the tables of others.
    void leave();

  private:
    std::string run(const std::string& command);
    std::vector<closing_chain> look();

    struct deleter {
        void operator()(nft_ctx* context) const noexcept;
    };
    std::string name_;
    std::unique_ptr<nft_ctx, deleter> context_;
};

} // namespace engine
