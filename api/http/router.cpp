#include "api/http/router.hpp"

#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>

namespace api {

namespace json = boost::json;

namespace {

std::vector<std::string> split(std::string_view path) {
    std::vector<std::string> segments;
    while (!path.empty()) {
        path.remove_prefix(path.starts_with('/') ? 1 : 0);
        const auto end = path.find('/');
        segments.emplace_back(path.substr(0, end));
        path.remove_prefix(end == std::string_view::npos ? path.size() : end);
    }
    return segments;
}

bool is_parameter(const std::string& segment) {
    return segment.starts_with('{') && segment.ends_with('}');
}

using parameters = std::map<std::string, std::string>;

std::optional<parameters> match(
    const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
    parameters found;
    for (std::size_t at = 0; at < pattern.size(); ++at) {
        if (is_parameter(pattern[at]) && pattern[at].ends_with("...}") && at < path.size()) {
            found[pattern[at].substr(1, pattern[at].size() - 5)] =
                fmt::format("{}", fmt::join(path.begin() + static_cast<std::ptrdiff_t>(at), path.end(), "/"));
            return found;
        }
        if (at >= path.size() || path[at].empty())
            return std::nullopt;
        if (is_parameter(pattern[at]))
            found[pattern[at].substr(1, pattern[at].size() - 2)] = path[at];
        else if (pattern[at] != path[at])
            return std::nullopt;
    }
    if (path.size() != pattern.size())
        return std::nullopt;
    return found;
}

} // namespace

void router::add(std::string method, std::string_view pattern, handler answer) {
    routes_.push_back({.method = std::move(method), .segments = split(pattern), .answer = std::move(answer)});
}

engine::task<> router::dispatch(exchange& request) const {
    const std::vector<std::string> path = split(request.path);
    // What has a GET has a HEAD (RFC 9110, 9.3.2); the connection leaves the body out.
    const std::string method = request.method == "HEAD" ? "GET" : request.method;
    std::vector<std::string> allowed;
    const route* chosen = nullptr;
    for (const route& candidate : routes_) {
        const auto found = match(candidate.segments, path);
        if (!found)
            continue;
        if (candidate.method != method) {
            allowed.push_back(candidate.method);
            continue;
        }
        request.parameters = *found;
        chosen = &candidate;
        break;
    }
    if (chosen == nullptr && !allowed.empty()) {
        request.reply_headers["Allow"] = fmt::format("{}", fmt::join(allowed, ", ")); // RFC 9110, 15.5.6
        const json::object what{{"kind", to_string(compose::error_kind::invalid)},
            {"message", fmt::format("\"{}\" does not take {}; it takes {}", request.path, request.method,
                            fmt::join(allowed, ", "))}};
        co_await request.send(405, "application/json", json::serialize(what));
        co_return;
    }
    if (chosen == nullptr)
        throw compose::error(compose::error_kind::not_found,
            fmt::format("\"{}\": there is nothing at this path", request.path));
    co_await chosen->answer(request);
}

std::vector<std::string> router::routes() const {
    std::vector<std::string> all;
    for (const route& each : routes_)
        all.push_back(fmt::format("{} /{}", each.method, fmt::join(each.segments, "/")));
    return all;
}

} // namespace api
