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

/// Draws the events of an operation on stderr: on a terminal one live line a resource, elsewhere a plain line
/// an event.
class progress {
  public:
    progress(boost::asio::io_context& io, bool live, std::string title);
    ~progress();

    /// An event as the daemon sends it.
    void show(const boost::json::object& event);
    /// The last picture; nothing is drawn afterwards.
    void finish();

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

enum class drawing {
    live,  // where stderr is a terminal
    plain, // among other output
    none,
};

/// Reads an operation's stream to its end and draws it; `live` lines only where nothing else is printed
/// meanwhile. Throws the error that the operation ended with. `first` gets the line before the events;
/// returned is the last.
engine::task<boost::json::object> follow_operation(context& with, std::unique_ptr<api::client_stream> stream,
    std::string title, boost::json::object* first = nullptr, drawing how = drawing::live);

} // namespace compose::cli
