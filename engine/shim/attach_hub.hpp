#pragma once

#include "engine/shim/poller.hpp"

#include <cstdint>
#include <list>
#include <string>
#include <string_view>

namespace engine {

/// The clients that look at the container's streams and write into its stdin.
///
/// No client can hold up the container: what one does not read is kept for it up to 1 MiB, then it is cut off
/// (moby 22502: one stuck attach stalls the container there). But who has made the container for its output
/// (`compose run`) may say that it is to be waited for: full() tells then not to read on.
class attach_hub {
  public:
    attach_hub() = default;
    attach_hub(const attach_hub&) = delete;
    attach_hub& operator=(const attach_hub&) = delete;
    ~attach_hub();

    /// Where clients' input goes: a pipe or a terminal, owned by the hub only with `owned`. With `once` it is
    /// closed when a client's input ends.
    void set_sink(int fd, bool owned, bool once);

    /// Takes the descriptors over; -1 for what the client does not want. `hold`: it is waited for.
    void add(int input, int output, int error, bool hold);

    /// As much is kept as may be for a client that is waited for.
    bool full() const;

    /// Gives output (`stream` 0) or error (1) to all who want it.
    void broadcast(int stream, std::string_view bytes);

    /// No more output comes and nobody takes input: clients are closed once they have got what is kept for
    /// them.
    void finish();

    void watch(poller& turn);

    /// Nothing waits to be delivered.
    bool idle() const;

  private:
    struct outlet {
        int fd = -1;
        std::string kept;
    };
    struct client {
        int input = -1;
        bool hold = false;
        outlet outlets[2];
    };

    void deliver(outlet& to);
    void read_input(client& from);
    void write_sink(short events);
    void close_sink();

    std::list<client> clients_; // handlers hold references
    std::string input_;
    int sink_ = -1;
    bool sink_owned_ = false;
    bool once_ = false;
    bool input_ended_ = false;
    bool finished_ = false;
};

} // namespace engine
