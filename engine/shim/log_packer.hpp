#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace engine {

/// What a compressed log file was before, written into its gzip header (extra field "cL"): a reader that is
/// in the middle of the file knows by that which one it has become.
struct log_origin {
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t modified = 0; // ns since 1970

    bool operator==(const log_origin&) const = default;
};

/// The origin of an open file that is not compressed.
log_origin origin_of(int fd);

/// That of a gzip file of ours; zeros for another. The file's position stays.
log_origin packed_origin_of(int fd);

/// Compresses the files FILE.1, FILE.2 … of a log that have been rotated away into FILE.1.gz …, one at a time
/// in a child of the lowest priority: the container never waits for it.
///
/// The child writes FILE.gz.tmp; whole, it becomes FILE.N.gz and FILE.N goes. A crash leaves FILE.N, which
/// the next one compresses, and the temporary file, which it overwrites. The child dies with its parent.
class log_packer {
  public:
    /// `max_files`: of the log, with the one that is written.
    void open(std::string file, unsigned max_files);

    /// All files have moved on by one.
    void rotated();

    /// True when the child was ours.
    bool on_exit(pid_t pid, int status);

  private:
    std::string numbered(unsigned number) const { return file_ + "." + std::to_string(number); }
    void begin();

    std::string file_; // empty: nothing is compressed
    unsigned max_files_ = 1;
    pid_t child_ = -1;
    unsigned number_ = 0; // of the file that is being compressed, as it is called now
};

} // namespace engine
