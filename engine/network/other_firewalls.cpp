#include "engine/network/other_firewalls.hpp"

#include "compose/model/error.hpp"
#include "engine/network/firewall.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <nftables/libnftables.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace engine {

namespace json = boost::json;

namespace {

std::string text_at(const json::object& object, std::string_view key) {
    const json::value* found = object.if_contains(key);
    return found != nullptr && found->is_string() ? std::string(found->as_string()) : std::string();
}

/// Calls `take` with each object of a kind ("chain", "rule") of a listing (libnftables-json(5)).
template <typename Take>
void each_of(std::string_view listing, std::string_view kind, Take take) {
    const json::value parsed = json::parse(listing);
    for (const json::value& item : parsed.as_object().at("nftables").as_array())
        if (const json::value* found = item.as_object().if_contains(kind))
            take(found->as_object());
}

/// A rule without a condition that drops or rejects, whatever it counts and logs.
bool closes_all(const json::object& rule) {
    const json::value* expressions = rule.if_contains("expr");
    if (expressions == nullptr)
        return false;
    bool closes = false;
    for (const json::value& each : expressions->as_array()) {
        if (!each.is_object() || each.as_object().size() != 1)
            return false;
        const std::string_view kind = each.as_object().begin()->key();
        if (kind == "drop" || kind == "reject")
            closes = true;
        else if (kind != "counter" && kind != "log")
            return false;
    }
    return closes;
}

bool is_beside(const json::object& chain, const closing_chain& other) {
    return text_at(chain, "family") == other.family && text_at(chain, "table") == other.table;
}

/// Where those whose chains have an order of their own come to what is closed by default: ufw behind all
/// rules of the user, firewalld with its zones.
bool begins_to_close(firewall_owner owner, const json::object& rule) {
    const json::value* expressions = rule.if_contains("expr");
    if (expressions == nullptr)
        return false;
    for (const json::value& each : expressions->as_array()) {
        const json::value* jump = each.is_object() ? each.as_object().if_contains("jump") : nullptr;
        if (jump == nullptr)
            continue;
        const std::string target = text_at(jump->as_object(), "target");
        if (owner == firewall_owner::firewalld ||
            (owner == firewall_owner::ufw && target.ends_with("-reject-forward")))
            return true;
    }
    return false;
}

firewall_owner owner_of(const closing_chain& chain, std::string_view chains_json) {
    if (chain.table == "firewalld")
        return firewall_owner::firewalld;
    bool docker = false;
    bool ufw = false;
    each_of(chains_json, "chain", [&](const json::object& each) {
        if (!is_beside(each, chain))
            return;
        const std::string name = text_at(each, "name");
        docker = docker || name == "DOCKER-USER" || name == "DOCKER";
        ufw = ufw || name == "ufw-user-forward" || name == "ufw6-user-forward";
    });
    if (ufw)
        return firewall_owner::ufw;
    return docker ? firewall_owner::dockerd : firewall_owner::administrator;
}

/// dockerd up to 27 keeps strangers off its bridges by its policy alone, which our rule comes before.
constexpr std::string_view isolation_chain = "DOCKER-ISOLATION-STAGE-2";

struct passing_rule {
    std::string comment;
    std::string text;
};

std::vector<passing_rule> rules_for(const closing_chain& chain, std::string_view name) {
    const auto marked = [](std::uint32_t mark) {
        return fmt::format("meta mark & {0:#x} == {0:#x} counter", mark);
    };
    std::vector<passing_rule> rules;
    if (chain.isolates)
        rules.push_back({fmt::format("{} isolated", name),
            fmt::format("{} jump {}", marked(mark_of_ours), isolation_chain)});
    rules.push_back({std::string(name), marked(mark_of_ours) + " accept"});
    if (chain.owner == firewall_owner::dockerd)
        rules.push_back({fmt::format("{} published", name), marked(mark_of_entering) + " accept"});
    return rules;
}

bool is_named(std::string_view comment, std::string_view name) {
    return comment == name || comment.starts_with(fmt::format("{} ", name));
}

} // namespace

std::string describe(const closing_chain& chain) {
    switch (chain.owner) {
    case firewall_owner::dockerd:
        return "dockerd";
    case firewall_owner::ufw:
        return "ufw";
    case firewall_owner::firewalld:
        return "firewalld";
    case firewall_owner::administrator:
        break;
    }
    return fmt::format("table {} {}", chain.family, chain.table);
}

std::string opening(const closing_chain& chain, std::string_view protocol, unsigned port) {
    if (chain.owner == firewall_owner::ufw)
        return fmt::format("ufw route allow proto {} from any to any port {}", protocol, port);
    return fmt::format(
        "nft insert rule {} {} {} ct status dnat accept", chain.family, chain.table, chain.name);
}

closing_chain read_chain(std::string_view chain_json, std::string_view chains_json, std::string_view name) {
    closing_chain chain;
    each_of(chain_json, "chain", [&](const json::object& each) {
        chain.family = text_at(each, "family");
        chain.table = text_at(each, "table");
        chain.name = text_at(each, "name");
        chain.closes = text_at(each, "policy") == "drop";
    });
    chain.owner = owner_of(chain, chains_json);
    each_of(chains_json, "chain", [&](const json::object& each) {
        if (is_beside(each, chain) && text_at(each, "name") == isolation_chain)
            chain.isolates = true;
    });
    std::vector<std::string> comments;
    std::string last; // handle of the last rule that is not ours, where it closes
    each_of(chain_json, "rule", [&](const json::object& rule) {
        const std::string handle = std::to_string(rule.at("handle").to_number<std::uint64_t>());
        if (const std::string comment = text_at(rule, "comment"); is_named(comment, name)) {
            chain.ours.push_back(handle);
            comments.push_back(comment);
            return;
        }
        last = closes_all(rule) ? handle : "";
        if (chain.before.empty() && begins_to_close(chain.owner, rule))
            chain.before = handle;
    });
    chain.closes = chain.closes || !last.empty();
    if (chain.before.empty())
        chain.before = last;
    const std::vector<passing_rule> wanted = rules_for(chain, name);
    chain.passed = std::equal(wanted.begin(), wanted.end(), comments.begin(), comments.end(),
        [](const passing_rule& rule, const std::string& comment) { return rule.comment == comment; });
    return chain;
}

std::string passage(const closing_chain& chain, std::string_view name) {
    if (chain.passed || !chain.closes)
        return {};
    const std::string where = fmt::format("{} {} {}", chain.family, chain.table, chain.name);
    const std::string place = chain.before.empty()
                                  ? "add rule " + where
                                  : fmt::format("insert rule {} position {}", where, chain.before);
    std::string commands;
    for (const std::string& handle : chain.ours)
        commands += fmt::format("delete rule {} handle {}\n", where, handle);
    for (const passing_rule& rule : rules_for(chain, name))
        commands += fmt::format("{} {} comment \"{}\"\n", place, rule.text, rule.comment);
    return commands;
}

void other_firewalls::deleter::operator()(nft_ctx* context) const noexcept {
    ::nft_ctx_free(context);
}

other_firewalls::other_firewalls(std::string name)
    : name_(std::move(name)), context_(::nft_ctx_new(NFT_CTX_DEFAULT)) {
    if (!context_)
        throw compose::error(compose::error_kind::exhausted, "open nftables: out of memory");
    ::nft_ctx_buffer_error(context_.get());
    ::nft_ctx_buffer_output(context_.get());
    ::nft_ctx_output_set_flags(context_.get(), NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_HANDLE);
}

other_firewalls::~other_firewalls() = default;

std::string other_firewalls::run(const std::string& command) {
    if (::nft_run_cmd_from_buffer(context_.get(), command.c_str()) == 0)
        return ::nft_ctx_get_output_buffer(context_.get());
    const char* words = ::nft_ctx_get_error_buffer(context_.get());
    throw compose::error(
        compose::error_kind::internal, fmt::format("\"{}\": {}", command.substr(0, command.find('\n')),
                                           words == nullptr ? "refused" : words));
}

std::vector<closing_chain> other_firewalls::look() try {
    const std::string all = run("list chains");
    std::vector<std::string> forwarding;
    each_of(all, "chain", [&](const json::object& each) {
        const std::string family = text_at(each, "family");
        if (text_at(each, "hook") == "forward" && text_at(each, "type") == "filter" &&
            (family == "ip" || family == "ip6" || family == "inet"))
            forwarding.push_back(
                fmt::format("{} {} {}", family, text_at(each, "table"), text_at(each, "name")));
    });
    std::vector<closing_chain> found;
    for (const std::string& each : forwarding) {
        closing_chain read = read_chain(run("list chain " + each), all, name_);
        if (read.closes || !read.ours.empty())
            found.push_back(std::move(read));
    }
    return found;
} catch (const std::exception& failure) {
    throw compose::error(
        compose::error_kind::internal, fmt::format("read the firewalls of others: {}", failure.what()));
}

std::vector<closing_chain> other_firewalls::pass() {
    std::vector<closing_chain> found = look();
    for (const closing_chain& each : found)
        if (const std::string commands = passage(each, name_); !commands.empty())
            run(commands);
    std::erase_if(found, [](const closing_chain& each) { return !each.closes; });
    return found;
}

void other_firewalls::leave() {
    for (const closing_chain& each : look())
        for (const std::string& handle : each.ours)
            run(fmt::format("delete rule {} {} {} handle {}", each.family, each.table, each.name, handle));
}

} // namespace engine
