#include "engine/image/reference.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

constexpr std::string_view default_registry = "docker.io";
constexpr std::size_t longest_name = 255; // distribution/reference, NameTotalLengthMax

bool is_registry(std::string_view first) {
    return first == "localhost" || first.find_first_of(".:") != std::string_view::npos;
}

bool is_component(std::string_view part) {
    const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    if (part.empty() || !alphanumeric(part.front()) || !alphanumeric(part.back()))
        return false;
    return std::all_of(part.begin(), part.end(),
        [&](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

bool is_repository(std::string_view text) {
    while (!text.empty()) {
        const auto slash = text.find('/');
        if (!is_component(text.substr(0, slash)))
            return false;
        if (slash == std::string_view::npos)
            return true;
        text.remove_prefix(slash + 1);
    }
    return false;
}

bool is_tag(std::string_view text) {
    const auto word = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
    return !text.empty() && text.size() <= 128 && word(static_cast<unsigned char>(text.front())) &&
           std::all_of(text.begin(), text.end(),
               [&](char c) { return word(static_cast<unsigned char>(c)) || c == '.' || c == '-'; });
}

bool is_host(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '.' || c == ':' || c == '-' || c == '[' || c == ']';
    });
}

} // namespace

std::string reference::name() const {
    std::string text = fmt::format("{}/{}", registry, repository);
    if (!tag.empty())
        text += ":" + tag;
    if (pinned)
        text += "@" + pinned->text();
    return text;
}

std::string reference::short_name() const {
    std::string text = name();
    if (registry != default_registry)
        return text;
    text = text.substr(default_registry.size() + 1);
    constexpr std::string_view library = "library/";
    return text.starts_with(library) ? text.substr(library.size()) : text;
}

reference parse_reference(std::string_view text) {
    const std::string_view whole = text;
    const auto fail = [&](std::string_view why) {
        throw error(error_kind::invalid, fmt::format("image name \"{}\": {}", whole.substr(0, 300), why));
    };
    reference made;
    if (const auto at = text.find('@'); at != std::string_view::npos) {
        made.pinned.emplace(text.substr(at + 1));
        text = text.substr(0, at);
    }
    const auto slash = text.rfind('/');
    if (const auto colon = text.rfind(':');
        colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
        made.tag = text.substr(colon + 1);
        text = text.substr(0, colon);
        if (!is_tag(made.tag))
            fail("the tag may have letters, digits and . _ - only");
    }
    const auto first = text.find('/');
    if (first != std::string_view::npos && is_registry(text.substr(0, first))) {
        made.registry = text.substr(0, first);
        made.repository = text.substr(first + 1);
        if (made.registry == "index.docker.io")
            made.registry = default_registry;
    } else {
        made.registry = default_registry;
        made.repository = text;
    }
    if (made.registry == default_registry && made.repository.find('/') == std::string::npos)
        made.repository = "library/" + made.repository;
    if (made.repository.size() > longest_name || !is_repository(made.repository) || !is_host(made.registry))
        fail("write [REGISTRY/]NAME[:TAG][@DIGEST], the name in lower case");
    if (made.tag.empty() && !made.pinned)
        made.tag = "latest";
    return made;
}

} // namespace engine
