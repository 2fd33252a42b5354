#include "engine/project/handover.hpp"

#include <algorithm>
#include <charconv>

namespace engine {

namespace {

unsigned number_in(std::string_view text) noexcept {
    unsigned value = 0; // of what is no number, which is told when the container starts
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

} // namespace

holdings::holdings(std::string name, const compose::service* definition) : name_(std::move(name)) {
    if (definition == nullptr)
        return;
    for (const compose::port& port : definition->ports) {
        const std::string_view published = port.published;
        const std::size_t dash = published.find('-');
        const unsigned first = number_in(published.substr(0, dash));
        const unsigned last = dash == std::string_view::npos ? first : number_in(published.substr(dash + 1));
        if (first != 0)
            ports_.push_back({.protocol = port.protocol, .first = first, .last = last});
    }
    for (const auto& [key, how] : definition->networks)
        for (const std::string* address : {&how.ipv4_address, &how.ipv6_address})
            if (!address->empty())
                addresses_.insert(*address);
}

bool holdings::clash_with(const holdings& other) const {
    if (name_ == other.name_)
        return true;
    for (const port_span& mine : ports_)
        if (std::any_of(other.ports_.begin(), other.ports_.end(), [&](const port_span& each) {
                return each.protocol == mine.protocol && each.first <= mine.last && mine.first <= each.last;
            }))
            return true;
    return std::any_of(addresses_.begin(), addresses_.end(),
        [&](std::string_view each) { return other.addresses_.contains(each); });
}

} // namespace engine
