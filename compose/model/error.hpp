#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace compose {

/// What went wrong, as far as a caller has to tell cases apart. Turned into an HTTP status in api/ and into
/// an exit code in compose/cli, and nowhere else.
enum class error_kind { invalid, not_found, conflict, unauthorized, unavailable, exhausted, internal };

/// The one error type of the project: thrown where the fault is found. The message is a sentence fragment
/// that names the object in quotes and says what the person can do; it never holds a secret.
class error : public std::runtime_error {
  public:
    error(error_kind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

    error_kind kind() const noexcept { return kind_; }

  private:
    error_kind kind_;
};

/// "invalid", "not_found" …: the name used on the wire.
std::string_view to_string(error_kind kind) noexcept;

/// The inverse; an unknown name is `internal`, as an older client may meet a newer daemon.
error_kind error_kind_from(std::string_view name) noexcept;

} // namespace compose
