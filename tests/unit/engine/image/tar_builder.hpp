#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace engine {

/// One entry of a tar archive, also one that no honest program writes.
struct tar_entry {
    std::string path;
    char kind = 'f'; // f(ile), d(irectory), l(ink), h(ard link), c(haracter device), b(lock device), p(ipe)
    std::string content; // of a file; where a link leads
    mode_t mode = 0644;
    uid_t user = 0;
    gid_t group = 0;
    std::int64_t modified = 1'000'000'000; // seconds
    unsigned major = 0, minor = 0;
    std::map<std::string, std::string> attributes{};
};

tar_entry file(std::string path, std::string content = "x", mode_t mode = 0644);
tar_entry folder(std::string path, mode_t mode = 0755);
tar_entry symlink_to(std::string path, std::string target);
tar_entry hard_link_to(std::string path, std::string target);

/// A pax archive.
std::string make_tar(const std::vector<tar_entry>& entries);

/// As gzip(1) and zstd(1) would.
std::string gzip(const std::string& plain);
std::string zstd(const std::string& plain);

} // namespace engine
