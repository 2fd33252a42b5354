#pragma once

#include "compose/model/error.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace compose {

/// Where a node stands in the files. Lines and columns count from 1; 0 where there is no place to name.
struct position {
    std::shared_ptr<const std::string> file;
    int line = 0;
    int column = 0;
};

/// One thing that is wrong with a file.
struct diagnostic {
    position at;
    std::string path;     // services.web.ports[1]; empty for the whole file
    std::string message;  // what is wrong and what is allowed
    bool warning = false; // what it says has no effect, but all goes on
    /// The top-level key whose names this is about: there is none of them as is said here, or not all of them
    /// are known because of it. Empty: of none; in_any_section: of any.
    std::string section = {};
};

inline constexpr std::string_view in_any_section = "*";

/// "compose.yaml:4:7: services.web.prots: unknown key, did you mean \"ports\"?"
std::string to_string(const diagnostic& wrong);

/// What was told first, and of the rest what does not merely follow from it (a service whose image is no
/// image has none), once. In the order of the files.
std::vector<diagnostic> without_consequences(std::vector<diagnostic> first, std::vector<diagnostic> rest);

/// All that is wrong with the files, a line each in what().
class load_error : public error {
  public:
    explicit load_error(std::vector<diagnostic> found);

    const std::vector<diagnostic>& diagnostics() const noexcept { return diagnostics_; }

  private:
    std::vector<diagnostic> diagnostics_;
};

/// Throws a load_error with this one diagnostic.
[[noreturn]] void throw_load_error(position at, std::string path, std::string message);

} // namespace compose
