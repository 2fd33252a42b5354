#include "engine/project/shutdown.hpp"

#include <algorithm>

namespace engine {

using std::chrono::nanoseconds;

std::vector<nanoseconds> chains_of(const plan& steps, const std::vector<nanoseconds>& graces) {
    std::vector<nanoseconds> waiting(steps.size(), nanoseconds(0)); // for each: the longest chain behind it
    std::vector<nanoseconds> chains(steps.size());
    for (std::size_t index = steps.size(); index-- > 0;) { // a step waits for earlier ones only
        chains[index] = graces[index] + waiting[index];
        for (const std::size_t before : steps[index].after)
            waiting[before] = std::max(waiting[before], chains[index]);
    }
    return chains;
}

nanoseconds share_of(nanoseconds grace, nanoseconds chain, nanoseconds left) {
    if (chain <= left)
        return grace;
    if (left <= nanoseconds(0))
        return nanoseconds(0);
    const double part = static_cast<double>(grace.count()) / static_cast<double>(chain.count());
    return nanoseconds(static_cast<std::int64_t>(static_cast<double>(left.count()) * part));
}

} // namespace engine
