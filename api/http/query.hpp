#pragma once

#include <chrono>
#include <concepts>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace api {

/// %41 → A; a broken escape stays as it is. `plus` turns + into a space, as in a query.
std::string percent_decode(std::string_view text, bool plus = false);
/// Everything but letters, digits and -._~ is escaped.
std::string percent_encode(std::string_view text);

/// What a request asks for, as it is written: a path and a query whose values are escaped here.
class target {
  public:
    explicit target(std::string path) : text_(std::move(path)) {}

    target& with(std::string_view name, std::string_view value);
    target& with(std::string_view name, const char* value) { return with(name, std::string_view(value)); }
    /// true is 1, false is 0.
    template <std::integral Number>
    target& with(std::string_view name, Number value) {
        return with(name, std::string_view(std::to_string(+value)));
    }

    const std::string& text() const noexcept { return text_; }

  private:
    std::string text_;
    bool has_query_ = false;
};

/// The part of a request target after '?', decoded.
class query {
  public:
    query() = default;
    explicit query(std::string_view text);

    bool has(const std::string& name) const { return values_.contains(name); }
    std::string text(const std::string& name, std::string otherwise = {}) const;
    /// 1, true, yes and the bare name are true; 0, false and no are false. Throws error{invalid} for anything
    /// else.
    bool flag(const std::string& name, bool otherwise = false) const;
    /// Throws error{invalid} for what is no number of at least 0.
    std::optional<long> number(const std::string& name) const;
    /// Seconds since the epoch, with a fraction where there is one. Throws error{invalid} for anything else.
    std::optional<std::chrono::system_clock::time_point> time(const std::string& name) const;
    /// Comma-separated; empty parts are left out.
    std::set<std::string> list(const std::string& name) const;

  private:
    std::map<std::string, std::string> values_;
};

} // namespace api
