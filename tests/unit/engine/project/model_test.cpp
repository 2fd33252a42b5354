#include "model_world.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace engine::model {
namespace {

constexpr std::size_t no_end = 1'000'000;

/// One thing that happens; its name.
std::string something_happens(world& of) {
    // An operation is cut short by the daemon's death now and then.
    const bool cut = of.roll(15);
    const std::size_t budget = cut ? of.pick(12) : no_end;
    const auto whole = [&](bool done) {
        if (!done)
            of.daemon_dies(of.roll(30));
        return done;
    };
    switch (of.pick(14)) {
    case 0:
        of.redefine();
        [[fallthrough]];
    case 1: {
        const bool orphans = of.roll(70);
        const std::set<std::string> services = of.all_services();
        if (!whole(of.up(services, orphans, budget)))
            of.up(services, orphans, no_end, true); // it is carried on with
        of.check_nothing_to_do(services, orphans);
        return "up";
    }
    case 2: {
        const std::set<std::string> services = of.some_services();
        if (!whole(of.up(services, false, budget)))
            of.up(services, false, no_end, true);
        of.check_nothing_to_do(services, false);
        return "up of some";
    }
    case 3:
        whole(of.stop(of.some_services(), budget));
        return "stop";
    case 4:
        whole(of.start(of.some_services(), budget));
        return "start";
    case 5:
        whole(of.restart(of.some_services(), budget));
        return "restart";
    case 6: {
        const bool volumes = of.roll(50);
        if (of.roll(30) && !whole(of.down(volumes, budget)))
            of.down(volumes, no_end);
        return "down";
    }
    case 7:
    case 8:
        of.a_process_ends(static_cast<int>(of.pick(2)));
        return "an end";
    case 9:
    case 10:
        of.time_passes(milliseconds(1 + of.pick(20'000)));
        return "time";
    case 11:
        of.daemon_dies(of.roll(50));
        return "the daemon's death";
    case 12:
        of.power_goes();
        return "a power cut";
    default:
        of.shutdown();
        return "a shutdown";
    }
}

TEST(model_test, whatever_happens_the_rules_hold) {
    const char* given = std::getenv("COMPOSED_TEST_SEED");
    const unsigned seed =
        given == nullptr ? 20261123U : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
    const char* many = std::getenv("COMPOSED_TEST_WORLDS");
    const unsigned worlds = many == nullptr ? 2000U : static_cast<unsigned>(std::strtoul(many, nullptr, 10));
    std::size_t events = 0;
    std::size_t steps = 0;
    std::size_t restarts = 0;
    const auto began = std::chrono::steady_clock::now();
    for (unsigned number = 0; number < worlds; ++number) {
        world of(seed + number);
        of.redefine();
        std::string past;
        try {
            for (int count = 0; count < 200; ++count, ++events) {
                past += something_happens(of) + ", ";
                of.check();
            }
        } catch (const std::logic_error& failure) {
            FAIL() << "COMPOSED_TEST_SEED=" << seed + number << " COMPOSED_TEST_WORLDS=1: " << failure.what()
                   << "\nafter: " << past.substr(past.size() > 300 ? past.size() - 300 : 0);
        }
        steps += of.steps;
        restarts += of.restarts;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    fmt::print("{} events in {} worlds, {} steps of plans, {} restarts by themselves: {:.0f} events and "
               "{:.0f} steps a second, seed {}\n",
        events, worlds, steps, restarts, static_cast<double>(events) / took.count(),
        static_cast<double>(steps) / took.count(), seed);
}

} // namespace
} // namespace engine::model
