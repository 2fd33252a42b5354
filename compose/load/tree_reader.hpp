#pragma once

#include "compose/load/paths.hpp"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace compose {

/// A Compose file as it was parsed.
struct source_file {
    std::string name; // what errors call it: its absolute path where it is a file
    std::vector<node> documents;
};

/// What holds for the files that are read together.
struct surroundings {
    project_place place;
    std::map<std::string, std::string> variables;
};

struct read_options {
    bool own_files = true;   // `extends` and `include` may name files of this host
    bool interpolate = true; // else variables stay as they are written
    bool paths = true;       // made absolute; else those of other files lead on from the project's folder
};

/// Reads Compose files into one tree in its long form with absolute paths: variables filled in, services that
/// extend others written out, included projects taken in, one file laid over another.
class tree_reader {
  public:
    tree_reader(read_options how, std::vector<std::string>& warnings) : how_(how), warnings_(warnings) {}

    /// Adds what is wrong to `wrong`, and leaves it out of the tree. A service that extends what cannot be
    /// had whole keeps its `extends`.
    node read(std::vector<source_file> files, const surroundings& in, std::vector<diagnostic>& wrong);

  private:
    using chain = std::vector<std::string>;

    /// The services of a file, one of which is extended.
    struct origin {
        const node* services;
        std::string file;
        std::filesystem::path directory = {}; // of what it names; empty: where the project is
    };

    /// The writing out of all `extends` of a document: each file is read and each service made once.
    struct extension {
        const surroundings& in;
        std::map<std::string, node> files = {}; // by path
        std::map<std::string, node> made = {};  // by "NAME in FILE"
        chain way = {};                         // from the service that is written out to the one at hand
    };

    source_file read_source(const std::filesystem::path& file);
    node read_files(std::vector<source_file> files, const surroundings& in, const chain& includes);
    node documents_of(source_file file, const surroundings& in);
    void extend_all(node& document, const std::string& file, const surroundings& in);
    node extended(const origin& from, const std::string& name, extension& run);
    node base_of(const node& extends, const std::string& path, const origin& from, extension& run);
    bool is_faulty(const std::string& name, const std::string& file);
    node with_its_faults(node base, const std::string& file, const node& extends);
    void include_all(node& document, const std::string& file, const surroundings& in, const chain& includes);
    void include(node& document, const node& entry, const std::string& path, const std::string& file,
        const surroundings& in, const chain& includes);
    void fail(const node& at, std::string path, std::string message, std::string_view section = {});

    /// What is wrong with another file, or why it cannot be had, which is told where it is named.
    void take_over(const load_error& failure, const node& named_at, const std::string& path,
        std::string_view section = {});

    /// Variables filled in, short forms written out.
    void prepare(node& document, const surroundings& in);

    read_options how_;
    std::filesystem::path project_; // its folder
    std::vector<std::string>& warnings_;
    std::vector<diagnostic> wrong_;
    std::set<std::pair<std::string, std::string>>
        faulty_;                     // files and services, of the first `looked_through_`
    std::size_t looked_through_ = 0; // of `wrong_`
    std::vector<std::string> unset_;
    std::size_t files_read_ = 0; // that files name
    std::size_t bytes_read_ = 0;
    std::size_t values_made_ = 0; // by `extends`
};

} // namespace compose
