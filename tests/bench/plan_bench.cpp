// How long a plan takes that has nothing to do, for a thousand services that all run: `up` again on a large
// stack.
#include "compose/load/loader.hpp"
#include "engine/project/definitions.hpp"
#include "engine/project/plan.hpp"
#include "engine/project/project_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace {

constexpr unsigned services = 1000;
constexpr unsigned rounds = 21;
constexpr double asked_ms = 20;

compose::project stack() {
    std::string text = "services:\n";
    for (unsigned number = 0; number < services; ++number) {
        text += fmt::format(
            "  s{}:\n    image: app\n    environment: {{A: '1', B: '2'}}\n    ports: ['80']\n", number);
        if (number % 10 != 0)
            text += fmt::format("    depends_on: [s{}]\n", number - 1);
    }
    return compose::load_text(text, "bench");
}

engine::observed_project all_running(
    const compose::project& project, const std::map<std::string, std::string>& hashes) {
    engine::observed_project now;
    now.images = {{"app", "sha256:app"}};
    now.networks = {{"bench_default", engine::network_of(project, "default")}};
    for (const auto& [name, service] : project.services)
        now.containers.push_back({.id = "id-" + name,
            .name = engine::container_name_of(project, service, 1),
            .service = name,
            .hash = hashes.at(name),
            .image = "sha256:app",
            .definition = &service,
            .networks = {"bench_default"},
            .state = engine::run_state::running});
    return now;
}

} // namespace

int main() {
    const compose::project project = stack();
    const engine::observed_project now = all_running(project, engine::hashes_of(project));
    std::set<std::string> names;
    for (const auto& [name, service] : project.services)
        names.insert(name);
    std::vector<double> took;
    for (unsigned round = 0; round < rounds; ++round) {
        const auto start = std::chrono::steady_clock::now();
        const std::map<std::string, std::string> hashes = engine::hashes_of(project);
        const engine::plan steps =
            engine::plan_up({.project = project, .hashes = hashes, .services = names}, now);
        took.push_back(
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
        if (!steps.empty())
            return 1;
    }
    std::sort(took.begin(), took.end());
    const double median = took[rounds / 2];
    fmt::print("planning {} services with nothing to do: {:.1f} ms, hashes included (asked: at most {} ms)\n",
        services, median, asked_ms);
    return median <= asked_ms ? 0 : 1;
}
