#include "compose/cli/terminal.hpp"

#include <fmt/format.h>

#include <sys/ioctl.h>
#include <unistd.h>

namespace compose::cli {

bool is_terminal(int fd) noexcept {
    return ::isatty(fd) == 1;
}

terminal_size size_of_terminal(int fd) noexcept {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        return {};
    return {.rows = size.ws_row, .columns = size.ws_col};
}

raw_mode::raw_mode(int fd) noexcept : fd_(fd) {
    if (::tcgetattr(fd_, &before_) != 0)
        return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    active_ = ::tcsetattr(fd_, TCSANOW, &raw) == 0;
}

raw_mode::~raw_mode() {
    if (active_)
        ::tcsetattr(fd_, TCSANOW, &before_);
}

std::string coloured(std::string_view text, int colour, bool on) {
    return on ? fmt::format("\x1b[{}m{}\x1b[0m", colour, text) : std::string(text);
}

std::string printable(std::string_view text, bool lines) {
    std::string safe;
    safe.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        const bool second =
            at + 1 < text.size() && (static_cast<unsigned char>(text[at + 1]) & 0xE0U) == 0x80;
        if (byte == 0xC2 && second) { // the same orders once more, U+0080 to U+009F
            safe += '?';
            ++at;
        } else {
            safe += (byte < 0x20 && !(lines && byte == '\n')) || byte == 0x7F ? '?' : text[at];
        }
    }
    return safe;
}

} // namespace compose::cli
