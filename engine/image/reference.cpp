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

bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// distribution/reference: letters and digits, separated by one '.', one or two '_', or any number of '-'.
bool is_component(std::string_view part) {
    if (part.empty() || !is_alphanumeric(part.front()) || !is_alphanumeric(part.back()))
        return false;
    for (std::size_t at = 0; at < part.size();) {
        const auto end =
            std::min(part.find_first_of("abcdefghijklmnopqrstuvwxyz0123456789", at), part.size());
        const std::string_view separator = part.substr(at, end - at);
        const bool valid = separator.empty() || separator == "." || separator == "_" || separator == "__" ||
                           separator.find_first_not_of('-') == std::string_view::npos;
        if (!valid)
            return false;
        at = end + 1;
    }
    return true;
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

bool is_port(std::string_view text) {
    return !text.empty() && text.size() <= 5 &&
           text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// A host name or an address, [in brackets] when it is of IPv6, with or without a port.
bool is_host(std::string_view text) {
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        const std::string_view address = text.substr(1, end == std::string_view::npos ? 0 : end - 1);
        const bool valid = !address.empty() &&
                           address.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
        const std::string_view rest = end == std::string_view::npos ? text : text.substr(end + 1);
        return valid && (rest.empty() || (rest.front() == ':' && is_port(rest.substr(1))));
    }
    const auto colon = text.find(':');
    if (colon != std::string_view::npos && !is_port(text.substr(colon + 1)))
        return false;
    std::string_view name = text.substr(0, colon);
    for (;;) {
        const auto dot = name.find('.');
        const std::string_view label = name.substr(0, dot);
        const auto word = [](unsigned char c) { return std::isalnum(c) != 0; };
        const bool valid = !label.empty() && word(static_cast<unsigned char>(label.front())) &&
                           word(static_cast<unsigned char>(label.back())) &&
                           std::all_of(label.begin(), label.end(),
                               [&](char c) { return word(static_cast<unsigned char>(c)) || c == '-'; });
        if (!valid || dot == std::string_view::npos)
            return valid;
        name.remove_prefix(dot + 1);
    }
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
    if (text.starts_with(library) && text.find('/', library.size()) == std::string::npos)
        return text.substr(library.size());
    // What begins like a registry would be taken for one.
    return is_registry(text.substr(0, text.find('/'))) ? name() : text;
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
