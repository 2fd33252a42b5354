#pragma once

#include "api/http/exchange.hpp"
#include "engine/container/exec_session.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace api {

enum class frame_type : std::uint8_t;

/// Carries a process's streams over a connection that has left HTTP, as frames (api/http/frames.hpp).
///
/// What a client does not take is kept up to 1 MiB, then nothing is read any more; once the process has ended
/// all that is left is kept, so that it need not wait for the client. The connection must outlive finish():
/// until it returns, coroutines use it.
class relay : public std::enable_shared_from_this<relay> {
  public:
    /// What the client may do besides giving input.
    struct controls {
        std::function<void(std::uint16_t rows, std::uint16_t columns)> resize;
        std::function<void(int number)> signal;
        std::function<void()> gone; // the client has closed its side
    };

    relay(boost::asio::io_context& io, engine::stream_set streams, raw_connection& to, controls what);

    void begin();

    /// A line of ours among its errors.
    void tell(std::string_view text);

    /// Sends what is left and, last of all, the frame of type `last`; closes the connection.
    engine::task<> finish(frame_type last, std::string payload);

    /// Output has come to its end, or was cut off.
    bool output_ended() const noexcept { return readers_ == 0; }
    bool client_gone() const noexcept { return gone_; }
    /// Wakes at the end of output.
    engine::notifier& changed() noexcept { return changed_; }

  private:
    static engine::task<> read_output(
        std::shared_ptr<relay> self, boost::asio::posix::stream_descriptor& from, frame_type type);
    static engine::task<> write_out(std::shared_ptr<relay> self);
    static engine::task<> read_input(std::shared_ptr<relay> self);
    engine::task<> take(frame_type type, std::string payload);
    void close_streams();

    boost::asio::io_context& io_;
    raw_connection& connection_;
    controls controls_;
    boost::asio::posix::stream_descriptor input_;
    boost::asio::posix::stream_descriptor output_;
    boost::asio::posix::stream_descriptor errors_;
    engine::notifier changed_;
    std::string outbox_; // frames on their way to the client
    bool last_sent_ = false;
    bool process_ended_ = false;
    bool gone_ = false;
    bool input_done_ = false;
    bool writer_done_ = false;
    int readers_ = 0;
};

} // namespace api
