#pragma once

#include "api/http/client.hpp"
#include "compose/cli/context.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace compose::cli {

enum class drawing {
    live,  // on a terminal one line a resource, drawn anew as it changes
    plain, // a line an event
    json,  // the same as JSON
    none,
};

/// How --progress, --ansi and the terminal want it drawn; `wish` where there is a choice. Never live among
/// other output (`wish` plain).
drawing drawing_of(const context& with, drawing wish = drawing::live);

/// Draws the events of an operation on stderr.
class progress {
  public:
    progress(boost::asio::io_context& io, drawing how, std::string title);
    ~progress();

    /// An event as the daemon sends it.
    void show(const boost::json::object& event);
    /// The last picture; nothing is drawn afterwards.
    void finish();

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

/// What an operation's stream has told so far.
struct operation_told {
    boost::json::object first; // the line before the events: what was asked for is durable
    bool end = false;          // how it has ended; else an error is the connection's
};

/// Reads an operation's stream to its end and draws it by drawing_of(`wish`). Throws the error that the
/// operation ended with. Returned is the last line.
engine::task<boost::json::object> follow_operation(context& with, std::unique_ptr<api::client_stream> stream,
    std::string title, operation_told* told = nullptr, drawing wish = drawing::live);

} // namespace compose::cli
