#pragma once

#include <string>
#include <string_view>

namespace compose {

/// What a person did that a YAML parser stumbled over. Lines and columns count from 0.
struct yaml_fault {
    int line = 0;
    int column = 0;
    std::string message; // what is wrong and what to write
};

/// Says what is behind a parser's `message` about a place in `text`: where that is seen from the lines around
/// it, at the line that is to be changed.
yaml_fault explain_yaml_fault(std::string_view text, yaml_fault found);

} // namespace compose
