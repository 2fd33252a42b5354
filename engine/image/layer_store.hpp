#pragma once

#include "engine/image/digest.hpp"
#include "engine/image/layer_import.hpp"
#include "engine/system/blocking.hpp"

#include <boost/asio/thread_pool.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

namespace engine {

class chunk_queue;

/// The unpacked layers of all images. Owns FOLDER/layers/DIFF_ID, each made once however many images want it
/// at a time, and FOLDER/tmp-*. A layer that is there is whole; whether it outlives a power cut is for the
/// image's record to say. Unpacking has threads of its own, so that ten downloads do not keep the engine's
/// workers from anything else. Engine state: used on the engine's thread only.
class layer_store {
  public:
    /// Layers that are unpacked at the same time. Each has two threads, and a connection where it is pulled.
    static constexpr std::size_t most_at_once = 6; // as containers/image downloads

    layer_store(executors on, std::filesystem::path folder);
    ~layer_store();
    layer_store(const layer_store&) = delete;
    layer_store& operator=(const layer_store&) = delete;

    /// Gives up what is under way and waits for its threads. Nothing can be made afterwards.
    void stop();

    const std::filesystem::path& folder() const noexcept { return folder_; }
    std::filesystem::path path(const digest& layer) const;

    /// At start: takes over the layers that images refer to (with their sizes in bytes) and removes every
    /// other one.
    void adopt(const std::map<digest, std::uint64_t>& layers);

    bool contains(const digest& layer) const { return sizes_.contains(layer); }
    /// True when its folder is on disk, adopted or not.
    bool has_folder(const digest& layer) const;
    std::uint64_t size(const digest& layer) const { return sizes_.at(layer); }

    /// Keeps collect() away from layers that an image under way counts on.
    class pin;
    std::shared_ptr<pin> hold(std::vector<digest> layers);

    /// Makes a layer by `make`, unless it is there or another caller is about it: then waits for that one,
    /// and does it itself only if the other failed.
    task<> add(digest layer, std::function<task<imported_layer>()> make);

    /// import_layer() on a thread of this store. `content` lives until it returns.
    task<imported_layer> import(std::shared_ptr<byte_source> content, expected_layer expected);
    /// As import(), from a queue that another coroutine fills: stopped when either ends early.
    task<imported_layer> import(std::shared_ptr<chunk_queue> content, expected_layer expected);

    /// Once all layers of an image (lowest first) are there: what is left to do when one lies on the other.
    task<> settle(std::vector<digest> chain);

    /// Removes those layers that nobody holds.
    task<> collect(std::vector<digest> layers);

  private:
    struct turns;

    executors executors_;
    std::filesystem::path folder_;
    std::map<digest, std::uint64_t> sizes_; // of what is there
    std::map<digest, std::vector<std::string>> unsettled_;
    std::multiset<digest> held_;
    std::shared_ptr<turns> turns_;
    std::set<std::shared_ptr<chunk_queue>> transfers_;
    boost::asio::thread_pool threads_;
};

} // namespace engine
