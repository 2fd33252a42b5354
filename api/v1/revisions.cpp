#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/encode/encode.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace api {

namespace json = boost::json;

namespace {

json::array view_of(const std::vector<compose::project_difference>& all) {
    json::array views;
    for (const compose::project_difference& each : all)
        views.push_back(json::object{{"kind", each.kind}, {"name", each.name}, {"change", each.change},
            {"details", json::array(each.details.begin(), each.details.end())}});
    return views;
}

/// `before`: the revision that this one took the place of, when it is still kept.
json::object view_of(const engine::revision& each, const engine::revision* before) {
    json::array steps;
    for (const engine::planned_step& step : each.steps)
        steps.push_back(json::object{{"action", step.action}, {"name", step.name}, {"reason", step.reason}});
    json::object view{{"revision", each.number}, {"created", each.created}, {"steps", std::move(steps)}};
    if (each.failed)
        view["failed"] = true;
    if (each.back_to != 0)
        view["back_to"] = each.back_to;
    if (each.user)
        view["user"] = *each.user;
    if (before != nullptr)
        view["differences"] = view_of(compose::differences(before->definition, each.definition));
    return view;
}

const engine::revision& pick(
    const std::string& project, const std::vector<engine::revision>& kept, std::uint64_t number) {
    const auto found = std::find_if(
        kept.begin(), kept.end(), [&](const engine::revision& each) { return each.number == number; });
    if (found == kept.end())
        throw compose::error(compose::error_kind::not_found,
            fmt::format("project \"{}\": revision {} is not kept; there are {} to {}", project, number,
                kept.empty() ? 0 : kept.front().number, kept.empty() ? 0 : kept.back().number));
    return *found;
}

engine::task<> list(exchange& request, daemon_parts parts) {
    const std::vector<engine::revision> kept =
        co_await parts.projects.revisions(request.parameters.at("project"));
    json::array all;
    for (std::size_t index = 0; index < kept.size(); ++index)
        all.push_back(view_of(kept[index], index == 0 ? nullptr : &kept[index - 1]));
    co_await send_json(request, 200, std::move(all));
}

engine::task<> get(exchange& request, daemon_parts parts) {
    const std::string project = request.parameters.at("project");
    const std::string text = request.parameters.at("revision");
    std::uint64_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc() || end != text.data() + text.size())
        throw compose::error(compose::error_kind::invalid,
            fmt::format("revision \"{}\": write the number of one, as `history` shows it", text));
    const std::vector<engine::revision> kept = co_await parts.projects.revisions(project);
    const engine::revision& found = pick(project, kept, number);
    json::object view = view_of(found, nullptr);
    view["definition"] = json::parse(compose::to_wire(found.definition));
    co_await send_json(request, 200, std::move(view));
}

engine::task<> diff(exchange& request, daemon_parts parts) {
    const std::string project = request.parameters.at("project");
    const auto from = request.query.number("from");
    const auto to = request.query.number("to");
    if (!from)
        throw compose::error(
            compose::error_kind::invalid, "diff: \"from\" is the number of a revision and must be there");
    const std::vector<engine::revision> kept = co_await parts.projects.revisions(project);
    const engine::revision& one = pick(project, kept, static_cast<std::uint64_t>(*from));
    const engine::revision& other = to ? pick(project, kept, static_cast<std::uint64_t>(*to)) : kept.back();
    json::object reply{{"from", one.number}, {"to", other.number},
        {"differences", view_of(compose::differences(one.definition, other.definition))}};
    co_await send_json(request, 200, std::move(reply));
}

/// The one that a rollback without a number means: the last that came up and had another definition than
/// there is now; the one before where there is none such.
std::uint64_t last_good(const std::vector<engine::revision>& kept, std::uint64_t newest) {
    const auto now = std::find_if(
        kept.begin(), kept.end(), [&](const engine::revision& each) { return each.number == newest; });
    for (auto each = kept.rbegin(); each != kept.rend(); ++each)
        if (each->number < newest && !each->failed &&
            (now == kept.end() || each->definition != now->definition))
            return each->number;
    return newest - 1;
}

engine::task<> rollback(exchange& request, daemon_parts parts) {
    std::optional<std::uint64_t> wanted;
    if (const auto number = request.query.number("revision"))
        wanted = static_cast<std::uint64_t>(*number);
    engine::up_options options{.remove_orphans = request.query.flag("remove_orphans"),
        .wait = request.query.flag("wait"),
        .user = request.peer_user};
    const std::string project = request.parameters.at("project");
    const std::vector<engine::revision> kept = co_await parts.projects.revisions(project);
    const engine::project_record* now = parts.projects.find(project);
    const std::uint64_t newest = now == nullptr ? 0 : now->revision;
    if (!wanted && newest < 2)
        throw compose::error(compose::error_kind::not_found,
            fmt::format("project \"{}\": there is nothing before revision {}", project, newest));
    const engine::revision& back_to = pick(project, kept, wanted.value_or(last_good(kept, newest)));
    const std::uint64_t number = back_to.number;
    std::shared_ptr<engine::operation> under_way =
        co_await parts.projects.up(back_to.definition, std::move(options));
    json::object first{{"revision", under_way->revision}, {"of", number}};
    co_await stream_operation(request, parts, std::move(under_way), std::move(first));
}

} // namespace

void add_revision_routes(router& to, const daemon_parts& parts) {
    to.add("GET", "/api/v1/projects/{project}/revisions",
        [parts](exchange& request) { return list(request, parts); });
    to.add("GET", "/api/v1/projects/{project}/revisions/{revision}",
        [parts](exchange& request) { return get(request, parts); });
    to.add("GET", "/api/v1/projects/{project}/diff",
        [parts](exchange& request) { return diff(request, parts); });
    to.add("POST", "/api/v1/projects/{project}/rollback",
        [parts](exchange& request) { return rollback(request, parts); });
}

} // namespace api
