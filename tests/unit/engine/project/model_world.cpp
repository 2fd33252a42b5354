#include "model_world.hpp"

#include "engine/project/definitions.hpp"
#include "engine/project/plan_steps.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace engine::model {

using compose::dependency_condition;

namespace {

constexpr const char* policies[] = {"no", "always", "on-failure", "on-failure:3", "unless-stopped"};
constexpr const char* names[] = {"a", "b", "c", "d", "e"};

compose::restart_policy parse(const std::string& policy) {
    if (policy == "always")
        return {.mode = compose::restart_mode::always};
    if (policy == "unless-stopped")
        return {.mode = compose::restart_mode::unless_stopped};
    if (policy == "on-failure")
        return {.mode = compose::restart_mode::on_failure};
    if (policy == "on-failure:3")
        return {.mode = compose::restart_mode::on_failure, .max_attempts = 3};
    return {};
}

std::string policy_of(const compose::restart_policy& policy) {
    for (const char* each : policies)
        if (parse(each) == policy)
            return each;
    return "?";
}

} // namespace

void wrong(const std::string& what) {
    throw std::logic_error(what);
}

void world::redefine() {
    compose::project fresh;
    fresh.name = "p";
    fresh.networks["default"].name = "p_default";
    fresh.volumes["data"].name = "p_data";
    std::vector<std::string> earlier;
    for (const char* name : names) {
        if (roll(25))
            continue;
        compose::service service;
        service.name = name;
        service.image = "image";
        service.networks["default"] = {};
        service.restart = parse(policies[pick(std::size(policies))]);
        service.scale = pick(10) == 0 ? 0 : 1 + pick(2);
        if (roll(40)) {
            compose::mount mount;
            mount.type = compose::mount_type::volume;
            mount.source = "data";
            mount.target = "/data";
            service.mounts.push_back(mount);
        }
        for (const std::string& dependency : earlier)
            if (roll(40)) {
                compose::dependency how;
                how.condition = static_cast<dependency_condition>(pick(3));
                how.restart = roll(30);
                how.required = !roll(20);
                service.depends_on[dependency] = how;
            }
        // One that is waited for to end well has nothing that brings it back after that.
        const auto former = wanted.services.find(name);
        if (former != wanted.services.end() && roll(50))
            service = former->second;
        std::erase_if(
            service.depends_on, [&](const auto& each) { return !fresh.services.contains(each.first); });
        if (former == wanted.services.end() || !(former->second == service))
            ++versions[name];
        fresh.services[name] = service;
        earlier.emplace_back(name);
    }
    if (fresh.services.empty())
        return redefine();
    for (const std::string& name : one_shots_of(fresh)) {
        compose::service& service = fresh.services.at(name);
        if (service.restart.mode == compose::restart_mode::always ||
            service.restart.mode == compose::restart_mode::unless_stopped) {
            service.restart = {};
            ++versions[name];
        }
    }
    wanted = fresh;
}

std::set<std::string> world::all_services() const {
    std::set<std::string> all;
    for (const auto& [name, service] : wanted.services)
        all.insert(name);
    return all;
}

/// The scope of what starts what is there, as check_dependencies() reads it.
std::set<std::string> world::of_starts() const {
    std::set<std::string> scope = all_services();
    scope.insert("if-up");
    return scope;
}

std::set<std::string> world::some_services() {
    std::set<std::string> some;
    for (const auto& [name, service] : wanted.services)
        if (roll(40))
            some.insert(name);
    return some.empty() ? all_services() : some;
}

std::map<std::string, std::string> world::hashes() const {
    std::map<std::string, std::string> all;
    for (const auto& [name, service] : wanted.services)
        all[name] = fmt::format("{}-{}", name, versions.at(name));
    return all;
}

observed_project world::observe() const {
    observed_project seen;
    for (const auto& [id, each] : entries) {
        observed_container container{.id = id,
            .name = each.record.name,
            .service = each.record.service,
            .number = each.record.number,
            .hash = each.record.hash,
            .image = "image-id",
            .definition = &each.record.service_definition(),
            .networks = {"p_default"},
            .state = each.state,
            .due =
                each.record.wanted && (each.state == run_state::created || each.state == run_state::exited),
            .health = each.state != run_state::running ? observed_health::none
                      : each.healthy                   ? observed_health::healthy
                                                       : observed_health::starting,
            .exit_code = std::nullopt};
        if (each.record.exit)
            container.exit_code = each.record.exit->code;
        seen.containers.push_back(std::move(container));
    }
    for (const std::string& name : networks)
        seen.networks[name] = network_of(wanted, "default");
    for (const std::string& name : volumes)
        seen.volumes[name] = volume_of(wanted, "data");
    seen.images["image"] = "image-id";
    return seen;
}

bool world::carry_out(
    const plan& all, std::size_t budget, const std::set<std::string>& scope, bool carry_on) {
    std::set<std::size_t> done;
    std::set<std::size_t> failed;
    fulfilled.clear();
    for (;;) {
        std::vector<std::size_t> ready;
        for (std::size_t index = 0; index < all.size(); ++index) {
            if (done.contains(index) || failed.contains(index))
                continue;
            bool all_done = true;
            bool held = false;
            for (const std::size_t before : all[index].after) {
                if (before >= index)
                    wrong("a step waits for a later one");
                all_done = all_done && done.contains(before);
                held = held || failed.contains(before);
            }
            if (held && all[index].kind == step_kind::await_condition && !all[index].required)
                done.insert(index); // it lapses
            else if (held)
                failed.insert(index);
            else if (all_done)
                ready.push_back(index);
        }
        if (ready.empty() && done.size() + failed.size() == all.size())
            return true;
        if (ready.empty())
            continue; // what lapsed has made others ready
        if (budget-- == 0)
            return false;
        const std::size_t next = ready[pick(static_cast<unsigned>(ready.size()))];
        (perform(all[next], scope, carry_on) ? done : failed).insert(next);
        ++steps;
    }
}

bool world::perform(const step& what, const std::set<std::string>& scope, bool carry_on) {
    switch (what.kind) {
    case step_kind::create_network:
        networks.insert(what.name);
        return true;
    case step_kind::create_volume:
        volumes.insert(what.name);
        return true;
    case step_kind::pull_image:
        wrong("the image is there");
    case step_kind::create_container: {
        if (!networks.contains("p_default"))
            wrong("a container is made before its network");
        for (const auto& [id, each] : entries)
            if (each.record.name == what.name)
                wrong("two containers are called " + what.name);
        entry fresh;
        fresh.record.id = fmt::format("id-{:06}", ++made);
        fresh.record.name = what.name;
        fresh.record.project = "p";
        fresh.record.service = what.service;
        fresh.record.number = what.number;
        fresh.record.hash = hashes().at(what.service);
        fresh.record.definition = wanted;
        fresh.should.policy = policy_of(wanted.services.at(what.service).restart);
        entries.emplace(fresh.record.id, fresh);
        return true;
    }
    case step_kind::update_container:
        wrong("no limits are there that could have changed");
    case step_kind::start_container: {
        check_dependencies(what.service, scope);
        for (auto& [id, each] : entries)
            if (each.record.name == what.name) {
                begin(each, !(carry_on || what.carry_on));
                return true;
            }
        wrong("there is no container to start: " + what.name);
    }
    case step_kind::await_container:
    case step_kind::take_place:
    case step_kind::watch_update:
        wrong("no service has an update policy");
    case step_kind::await_condition:
        return gate(what) && (fulfilled.emplace(what.service, what.condition), true);
    case step_kind::stop_container: {
        check_dependents(what.service, scope);
        entry& of = at(what.container);
        if (what.again) {
            of.record.wanted = true;
            of.should.ended_to_restart();
        } else {
            stopped_by_hand(of.record);
            of.should.stopped();
        }
        if (of.state == run_state::running)
            end(of, 143, now, what.again ? end_cause::restart : end_cause::itself);
        else if (of.state != run_state::created)
            of.state = run_state::exited;
        of.back.reset();
        return true;
    }
    case step_kind::remove_container:
        if (is_up(at(what.container).state))
            wrong("a container that runs is removed");
        entries.erase(what.container);
        return true;
    case step_kind::remove_network:
        for (const auto& [id, each] : entries)
            wrong("a network is removed before its container " + each.record.name);
        networks.erase(what.name);
        return true;
    case step_kind::remove_volume:
        volumes.erase(what.name);
        return true;
    }
    return false;
}

/// What is waited for comes true, where it can.
bool world::gate(const step& what) {
    bool holds = true;
    for (auto& [id, each] : entries) {
        if (each.record.service != what.service)
            continue;
        switch (what.condition) {
        case dependency_condition::started:
            break;
        case dependency_condition::healthy:
            each.healthy = each.state == run_state::running;
            holds = holds && each.healthy;
            break;
        case dependency_condition::completed_successfully:
            if (each.state == run_state::running) {
                each.should.ended(now, 0);
                end(each, 0, now);
            }
            holds =
                holds && each.state == run_state::exited && each.record.exit && each.record.exit->code == 0;
            break;
        }
    }
    return holds;
}

void world::begin(entry& of, bool by_hand) {
    if (is_up(of.state) && of.state != run_state::restarting)
        wrong("what runs is started: " + of.record.name);
    if (by_hand) {
        wanted_by_hand(of.record);
        of.should.started_by_hand(now);
    } else {
        of.record.wanted = true;
        of.should.starts(now);
    }
    run_begins(of.record);
    run_began(of.record, now, boot);
    of.state = run_state::running;
    of.began = now;
    of.healthy = false;
    of.back.reset();
}

/// The process has ended at `when`, which the daemon hears of now.
void world::end(entry& of, int code, moment when, end_cause cause) {
    const exit_record exit{
        .generation = of.record.generation, .code = code, .finished_at = when, .ran_for = when - of.began};
    const restart_decision decision = run_ended(of.record, exit, cause);
    of.state = decision.restart ? run_state::restarting : run_state::exited;
    of.back.reset();
    if (decision.restart)
        of.back = when + decision.delay;
}

void world::check_dependencies(const std::string& service, const std::set<std::string>& scope) const {
    const auto found = wanted.services.find(service);
    if (found == wanted.services.end())
        return;
    for (const auto& [name, how] : found->second.depends_on) {
        if (!how.required || !scope.contains(name) || !wanted.services.contains(name) ||
            fulfilled.contains({name, how.condition}))
            continue;
        for (const auto& [id, each] : entries) {
            if (each.record.service != name || each.record.number > wanted.services.at(name).scale)
                continue;
            if (scope.contains("if-up") && !is_up(each.state))
                continue; // what is not to run is not waited for
            const bool good = how.condition == dependency_condition::started ? each.should.has_run
                              : how.condition == dependency_condition::healthy
                                  ? each.state == run_state::running && each.healthy
                                  : each.state == run_state::exited && each.record.exit->code == 0;
            if (!good)
                wrong(fmt::format("{} is started although {} ({}) is not there for it (condition {})",
                    service, each.record.name, to_string(each.state), static_cast<int>(how.condition)));
        }
    }
}

/// `scope`: services that are to end; nothing of them that depends on `service` may run any more.
void world::check_dependents(const std::string& service, const std::set<std::string>& scope) const {
    for (const auto& [id, each] : entries) {
        const auto found = wanted.services.find(each.record.service);
        if (is_up(each.state) && scope.contains("end:" + each.record.service) &&
            found != wanted.services.end() && found->second.depends_on.contains(service) &&
            each.record.number <= found->second.scale)
            wrong(fmt::format("{} is ended before {}, which depends on it", service, each.record.name));
    }
}

} // namespace engine::model
