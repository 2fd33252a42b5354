#include "compose/model/error.hpp"
#include "engine/container/cgroup_limits.hpp"
#include "engine/container/host_abilities.hpp"

#include <gmock/gmock.h>

namespace engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::int64_t mebibyte = 1 << 20;

host_abilities weak_host() {
    host_abilities host;
    host.cpus = 2;
    host.can_raise_limits = false;
    host.lowest_oom_score_adj = 0;
    host.hard_limit = [](const std::string&) { return 20'000; };
    return host;
}

TEST(fit_to_host, limits_are_lowered_where_they_cannot_be_raised) {
    container_spec spec;
    spec.rlimits = {
        {.name = "nofile", .soft = 100'000, .hard = -1}, {.name = "nproc", .soft = 10, .hard = 20}};
    EXPECT_THAT(fit_to_host(spec, weak_host()),
        ElementsAre(HasSubstr("ulimits.nofile: unlimited is lowered to 20000")));
    EXPECT_EQ(spec.rlimits[0], (resource_limit{"nofile", 20'000, 20'000}));
    EXPECT_EQ(spec.rlimits[1], (resource_limit{"nproc", 10, 20}));
}

TEST(fit_to_host, no_limit_of_open_files_is_above_the_kernels) {
    host_abilities host = weak_host();
    host.can_raise_limits = true;
    host.most_open_files = 1 << 20;
    container_spec spec;
    spec.rlimits = {
        {.name = "nofile", .soft = 100, .hard = 100'000'000}, {.name = "nproc", .soft = -1, .hard = -1}};
    EXPECT_THAT(fit_to_host(spec, host),
        ElementsAre(HasSubstr("ulimits.nofile: 100000000 is lowered to 1048576, fs.nr_open")));
    EXPECT_EQ(spec.rlimits[0], (resource_limit{"nofile", 100, 1 << 20}));
    EXPECT_EQ(spec.rlimits[1], (resource_limit{"nproc", -1, -1}));
}

TEST(fit_to_host, what_cgroup_2_does_not_know_is_taken_out) {
    container_spec spec;
    spec.oom_kill_disable = true;
    spec.limits.memory_swappiness = 10;
    spec.oom_score_adj = -500;
    EXPECT_THAT(fit_to_host(spec, weak_host()),
        ElementsAre(HasSubstr("mem_swappiness has no effect"), HasSubstr("oom_kill_disable has no effect"),
            HasSubstr("oom_score_adj: -500 is raised to 0")));
    EXPECT_EQ(spec.limits, compose::limits());
    EXPECT_FALSE(spec.oom_kill_disable);
    EXPECT_EQ(spec.oom_score_adj, 0);
    EXPECT_THAT(fit_to_host(spec, weak_host()), IsEmpty());
}

TEST(fit_to_host, processors_that_are_not_there_are_refused) {
    container_spec spec;
    spec.limits.cpuset = "0,4000-4001";
    EXPECT_THROW(fit_to_host(spec, weak_host()), compose::error);
}

TEST(changes_of_limits, nothing_changes_without_a_difference) {
    const compose::limits same{.memory = 64 * mebibyte, .nano_cpus = 500'000'000, .cpuset = "0"};
    for (const cgroup_mode mode : {cgroup_mode::unified, cgroup_mode::hybrid})
        EXPECT_THAT(changes_of_limits(same, same, mode), IsEmpty());
}

TEST(changes_of_limits, memory_with_swap_never_falls_below_memory_on_the_way) {
    const compose::limits less{.memory = 64 * mebibyte, .cpuset = {}};
    const compose::limits more{.memory = 128 * mebibyte, .cpuset = {}};
    const auto files = [](const std::vector<cgroup_write>& changes) {
        std::vector<std::string> names;
        for (const cgroup_write& each : changes)
            names.push_back(each.file + "=" + each.value);
        return names;
    };
    EXPECT_THAT(files(changes_of_limits(less, more, cgroup_mode::legacy)),
        ElementsAre("memory.memsw.limit_in_bytes=268435456", "memory.limit_in_bytes=134217728"));
    EXPECT_THAT(files(changes_of_limits(more, less, cgroup_mode::legacy)),
        ElementsAre("memory.limit_in_bytes=67108864", "memory.memsw.limit_in_bytes=134217728"));
    EXPECT_THAT(files(changes_of_limits(less, {}, cgroup_mode::legacy)),
        ElementsAre("memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=-1"));
    EXPECT_THAT(files(changes_of_limits(less, {}, cgroup_mode::unified)),
        ElementsAre("memory.max=max", "memory.swap.max=max"));
}

TEST(changes_of_limits, shares_and_times_are_converted_for_cgroup_2) {
    const compose::limits wanted{.nano_cpus = 1'500'000'000, .cpu_shares = 2048, .cpuset = "0-1", .pids = -1};
    EXPECT_THAT(changes_of_limits({}, wanted, cgroup_mode::unified),
        ElementsAre(cgroup_write{"cpu", "cpu.max", "150000 100000", "cpus"},
            cgroup_write{"cpu", "cpu.weight", "79", "cpu_shares"},
            cgroup_write{"cpuset", "cpuset.cpus", "0-1", "cpuset"}));
}

} // namespace
} // namespace engine
