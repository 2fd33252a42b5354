#pragma once

#include <string>

namespace engine {

/// The socket on which the OCI runtime hands over a terminal. Lies in the working directory, a folder only
/// root can enter; gone with the object.
class console_socket {
  public:
    console_socket() = default;
    console_socket(console_socket&& other) noexcept;
    console_socket& operator=(console_socket&& other) noexcept;
    ~console_socket();

    /// False with errno set.
    bool listen(std::string name);

    const std::string& name() const { return name_; }

    /// After the runtime has returned: the master of the terminal, non-blocking, its size set when `rows` is
    /// not 0. -1 with errno set when there is none or it is not the master of a terminal.
    int receive(unsigned short rows, unsigned short columns);

    void close();

  private:
    std::string name_;
    int fd_ = -1;
};

/// TIOCSWINSZ.
bool set_terminal_size(int terminal, unsigned short rows, unsigned short columns);

} // namespace engine
