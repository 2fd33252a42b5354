#pragma once

#include "engine/system/fd.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <sys/types.h>

#include <map>
#include <memory>
#include <string>

namespace engine {

struct archive_closer {
    void operator()(archive* handle) const noexcept { ::archive_free(handle); }
    void operator()(archive_entry* entry) const noexcept { ::archive_entry_free(entry); }
    void operator()(archive_entry_linkresolver* links) const noexcept {
        ::archive_entry_linkresolver_free(links);
    }
};
using archive_ptr = std::unique_ptr<archive, archive_closer>;
using entry_ptr = std::unique_ptr<archive_entry, archive_closer>;
using link_resolver_ptr = std::unique_ptr<archive_entry_linkresolver, archive_closer>;

/// What the library says of its last failure.
std::string words_of(archive* handle);

/// Those of is_portable_attribute().
std::map<std::string, std::string> attributes_in(archive_entry* entry);

/// The capabilities of a file (security.capability) where `root` is what its users have as 0: the kernel
/// takes them with that id alone (VFS_CAP_REVISION_3), and archives have them without.
std::string capabilities_for(const std::string& value, uid_t root);
std::string capabilities_without(const std::string& value, uid_t root);

/// "/a//b/." as "a/b"; what would lead out stays at the root.
std::string path_in_root(const std::string& path);

/// By open(2) with `root` as the root of the file system; empty when there is nothing.
unique_fd open_in_root(const unique_fd& root, const std::string& path, int flags);

} // namespace engine
