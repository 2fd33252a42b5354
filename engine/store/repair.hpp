#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace engine {

/// What became of a table.
struct repaired_table {
    std::string name;
    std::size_t read = 0;      // records that the damaged file still gave
    std::size_t from_copy = 0; // and those from the copy, of the part that could not be read
    bool whole = false;        // nothing of it was damaged
};

struct repair_report {
    std::vector<repaired_table> tables;
    bool needed = false;                  // false: the file is whole, and left as it is
    std::filesystem::path damaged;        // where the damaged file is kept; empty: there was none
    std::filesystem::file_time_type copy; // when the copy was made; the least there is: there is none
};

/// Puts a store together again from what can be read of the damaged `file` and, for the part of a table that
/// cannot, from the copy of earlier (schema.hpp). Nothing is thrown away: the damaged file is kept beside the
/// new one. At any moment there is a whole file under the name. Blocks. Requires that no daemon runs.
/// Throws error{not_found} when there is neither a file nor a copy, error{invalid} when neither has anything
/// to read.
repair_report repair_store(const std::filesystem::path& file);

} // namespace engine
