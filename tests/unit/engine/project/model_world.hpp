#pragma once

#include "engine/project/container_life.hpp"
#include "engine/project/plan.hpp"
#include "model_rules.hpp"

#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

namespace engine::model {

/// Something is not as the rules say: throws std::logic_error.
[[noreturn]] void wrong(const std::string& what);

/// A host without a kernel and with a clock that is set: it does what container_manager and project_manager
/// do by the engine's own decisions (container_life, plan_*), and keeps beside each container what the rules
/// say of it. Each step is checked against what its place in the order promises.
class world {
  public:
    explicit world(unsigned seed) : chance(seed) {}

    /// Another definition of the project, at random.
    void redefine();

    // What a person does. Each carries its plan out in a random order that the plan allows; `budget` steps at
    // most, as if the daemon died then: false when it did.
    bool up(const std::set<std::string>& services, bool remove_orphans, std::size_t budget,
        bool carry_on = false);
    bool stop(const std::set<std::string>& services, std::size_t budget);
    bool start(const std::set<std::string>& services, std::size_t budget);
    bool restart(const std::set<std::string>& services, std::size_t budget);
    bool down(bool volumes, std::size_t budget);

    // What happens by itself.
    void a_process_ends(int code);
    void time_passes(milliseconds time);
    /// The daemon dies and comes back; processes may end meanwhile.
    void daemon_dies(bool processes_end);
    void power_goes();
    /// All containers end in order, then the host comes back.
    void shutdown();

    /// Everything is as the rules say; throws std::logic_error saying what is not.
    void check() const;
    /// After an `up` of `services` that came to its end, planning again gives nothing to do.
    void check_nothing_to_do(const std::set<std::string>& services, bool remove_orphans) const;

    std::set<std::string> some_services();
    std::set<std::string> all_services() const;
    bool roll(unsigned percent) { return chance() % 100 < percent; }
    unsigned pick(unsigned below) { return static_cast<unsigned>(chance() % below); }

    std::size_t steps = 0; // carried out so far
    std::size_t restarts = 0;

  private:
    struct entry {
        container_record record;
        run_state state = run_state::created;
        moment began;
        bool healthy = false;
        std::optional<moment> back;
        rules should;
    };

    observed_project observe() const;
    std::map<std::string, std::string> hashes() const;
    bool carry_out(const plan& all, std::size_t budget, const std::set<std::string>& scope, bool carry_on);
    bool perform(const step& what, const std::set<std::string>& scope, bool carry_on);
    bool gate(const step& what);
    void begin(entry& of, bool by_hand);
    void end(entry& of, int code, moment when, end_cause cause = end_cause::itself);
    void check_dependencies(const std::string& service, const std::set<std::string>& scope) const;
    void check_dependents(const std::string& service, const std::set<std::string>& scope) const;
    void start_due();
    bool depends(const std::string& service) const;
    void follow(const std::string& service);
    std::set<std::string> of_starts() const;
    entry& at(const std::string& id) { return entries.at(id); }

    std::minstd_rand chance;
    moment now = moment(std::chrono::hours(400'000));
    std::string boot = "boot-0";
    unsigned boots = 0;
    unsigned made = 0; // containers ever
    compose::project wanted;
    std::map<std::string, unsigned> versions; // of definitions, by service
    std::map<std::string, entry> entries;     // by id
    std::set<std::string> networks;
    std::set<std::string> volumes;
    std::set<std::pair<std::string, compose::dependency_condition>>
        fulfilled; // conditions, in the plan under way
};

} // namespace engine::model
