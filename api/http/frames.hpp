#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace api {

/// What a frame of an exec connection carries. The first three and the head of 8 bytes {type, 0, 0, 0, length
/// as 32 bits big-endian} are those of Docker's multiplexed streams.
enum class frame_type : std::uint8_t {
    input = 0,  // to the process
    output = 1, // its stdout, or its terminal
    error = 2,  // its stderr
    exit = 3,   // the last frame: {"exit_code": 0}
    resize = 4, // to the terminal: {"rows": 24, "columns": 80}
    end = 5,    // no more input
    signal = 6, // to the process: {"signal": "SIGINT"}
};

struct frame {
    frame_type type = frame_type::output;
    std::string payload;
};

std::string encode_frame(frame_type type, std::string_view payload);

/// Takes bytes as they come and gives whole frames. Throws error{invalid} for an unknown type or a payload
/// above 1 MiB.
class frame_decoder {
  public:
    void feed(std::string_view bytes);
    std::optional<frame> next();

  private:
    std::string pending_;
    std::size_t at_ = 0;
};

} // namespace api
