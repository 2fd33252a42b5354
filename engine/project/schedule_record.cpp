#include "engine/project/schedule_record.hpp"

#include <boost/json.hpp>

namespace engine {

namespace json = boost::json;
using std::chrono::milliseconds;
using clock = std::chrono::system_clock;

namespace {

std::string text_in(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value == nullptr ? std::string() : std::string(value->as_string());
}

json::object to_json(const scheduled_run& run) {
    json::object object{{"due", run.due}};
    for (const auto& [key, text] : {std::pair("started", &run.started), std::pair("finished", &run.finished),
             std::pair("error", &run.error)})
        if (!text->empty())
            object[key] = *text;
    if (run.exit_code != 0)
        object["exit_code"] = run.exit_code;
    if (run.skipped != 0)
        object["skipped"] = run.skipped;
    return object;
}

scheduled_run run_in(const json::object& object) {
    scheduled_run run{.due = text_in(object, "due"),
        .started = text_in(object, "started"),
        .finished = text_in(object, "finished"),
        .exit_code = 0,
        .error = text_in(object, "error")};
    if (const json::value* code = object.if_contains("exit_code"))
        run.exit_code = code->to_number<int>();
    if (const json::value* skipped = object.if_contains("skipped"))
        run.skipped = skipped->to_number<unsigned>();
    return run;
}

} // namespace

json::object to_json(const schedule_states& states) {
    json::object all;
    for (const auto& [service, state] : states) {
        json::array runs;
        for (const scheduled_run& each : state.runs)
            runs.push_back(to_json(each));
        all[service] = json::object{{"when", state.when}, {"active", state.active},
            {"after", std::chrono::duration_cast<milliseconds>(state.after.time_since_epoch()).count()},
            {"runs", std::move(runs)}};
    }
    return all;
}

schedule_states schedules_in(const json::object& object) {
    schedule_states states;
    for (const auto& member : object) {
        const json::object& from = member.value().as_object();
        schedule_state& state = states[member.key()];
        state.when = text_in(from, "when");
        state.active = from.at("active").as_bool();
        state.after = clock::time_point(milliseconds(from.at("after").to_number<std::int64_t>()));
        for (const json::value& each : from.at("runs").as_array())
            state.runs.push_back(run_in(each.as_object()));
    }
    return states;
}

void activate(schedule_state& state, const std::string& when, clock::time_point now) {
    if (state.active && state.when == when)
        return;
    state.active = true;
    state.when = when;
    state.after = now;
}

void add_run(schedule_state& state, scheduled_run run) {
    state.runs.push_back(std::move(run));
    if (state.runs.size() > scheduled_runs_kept)
        state.runs.erase(state.runs.begin());
}

} // namespace engine
