#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <termios.h>

namespace compose::cli {

bool is_terminal(int fd) noexcept;

struct terminal_size {
    std::uint16_t rows = 24;
    std::uint16_t columns = 80;
};
terminal_size size_of_terminal(int fd) noexcept;

/// Puts the terminal behind `fd` into raw mode for its lifetime, where it is one.
class raw_mode {
  public:
    explicit raw_mode(int fd) noexcept;
    raw_mode(const raw_mode&) = delete;
    raw_mode& operator=(const raw_mode&) = delete;
    ~raw_mode();

  private:
    int fd_;
    bool active_ = false;
    termios before_{};
};

/// Text of others as a terminal may get it: what would be an order to it is a `?`. `lines`: ends of lines
/// stay.
std::string printable(std::string_view text, bool lines = false);

/// The text in a colour of the terminal (SGR number), or as it is when `on` is false.
std::string coloured(std::string_view text, int colour, bool on);

} // namespace compose::cli
