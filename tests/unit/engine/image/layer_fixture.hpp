#pragma once

#include "engine/image/layer_unpacker.hpp"
#include "memory_source.hpp"
#include "tar_builder.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace engine {

/// "file 644 0:0 content", "folder 755 0:0 opaque", "whiteout", "link target" …
std::string describe(const std::filesystem::path& path);

/// Unpacks layers into a folder of its own, with a canary beside it that no layer may reach.
class layer_fixture : public ::testing::Test {
  protected:
    layer_fixture();
    ~layer_fixture() override;

    unpacked_layer unpack(const std::vector<tar_entry>& entries, const unpack_limits& limits = {});
    unpacked_layer unpack_text(std::string tar, const unpack_limits& limits = {});

    /// What the folder holds: path -> what describe() says.
    std::map<std::string, std::string> tree() const;

    std::filesystem::path base;
    std::filesystem::path layer; // base/layer
};

} // namespace engine
