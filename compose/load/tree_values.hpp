#pragma once

#include "compose/load/node.hpp"
#include "compose/model/units.hpp"

#include <charconv>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Single values of a tree that has its long form, so what is there is of its kind.
namespace compose {

inline bool switched(const node& map, std::string_view key) {
    return map.text_at(key) == "true";
}

template <typename Number = std::int64_t>
std::optional<Number> number_in(const node& map, std::string_view key) {
    const std::string text = map.text_at(key);
    Number value{};
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    return text.empty() || failed != std::errc() ? std::nullopt : std::optional(value);
}

inline std::optional<std::chrono::nanoseconds> duration_in(const node& map, std::string_view key) {
    const std::string text = map.text_at(key);
    return text.empty() ? std::nullopt : parse_duration(text);
}

inline std::vector<std::string> texts_of(const node& list) {
    std::vector<std::string> result;
    for (const node& item : list.items)
        result.push_back(item.text);
    return result;
}

inline std::vector<std::string> texts_in(const node& map, std::string_view key) {
    const node* found = map.find(key);
    return found == nullptr ? std::vector<std::string>() : texts_of(*found);
}

inline std::map<std::string, std::string> options_in(const node& map, std::string_view key) {
    std::map<std::string, std::string> result;
    if (const node* found = map.find(key))
        for (const auto& [name, value] : found->entries)
            result[name] = value.text;
    return result;
}

inline std::optional<std::vector<std::string>> words_in(const node& map, std::string_view key) {
    const node* found = map.find(key);
    return found == nullptr || found->is_null() ? std::nullopt : std::optional(texts_of(*found));
}

} // namespace compose
