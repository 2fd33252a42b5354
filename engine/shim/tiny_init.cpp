#include "engine/shim/tiny_init.hpp"

#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <initializer_list>

namespace engine {

namespace {

// A session of its own where the terminal allows, so that job control works in the program and not in us.
[[noreturn]] void become_program(char** argv, const sigset_t& original) {
    ::sigprocmask(SIG_SETMASK, &original, nullptr);
    ::setpgid(0, 0);
    if (::isatty(STDIN_FILENO) != 0) {
        // Taking the terminal from the background raises SIGTTOU.
        std::signal(SIGTTOU, SIG_IGN);
        ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
        std::signal(SIGTTOU, SIG_DFL);
    }
    ::execvp(argv[0], argv);
    const int failure = errno;
    ::dprintf(STDERR_FILENO, "init: exec \"%s\": %s\n", argv[0], ::strerrordesc_np(failure));
    ::_exit(failure == ENOENT ? 127 : 126);
}

// Reaps all there is; true when `program` was among them.
bool reap(pid_t program, int& code) {
    bool ended = false;
    for (;;) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            return ended;
        if (pid != program)
            continue;
        ended = true;
        code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

} // namespace

int run_tiny_init(char** argv) {
    sigset_t all;
    sigset_t original;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
        sigdelset(&all, fault);
    ::sigprocmask(SIG_SETMASK, &all, &original);
    const pid_t program = ::fork();
    if (program == 0)
        become_program(argv, original);
    if (program < 0)
        return 126;
    int code = 0;
    for (;;) {
        const int number = ::sigwaitinfo(&all, nullptr);
        if (number == SIGCHLD) {
            if (reap(program, code))
                return code;
        } else if (number > 0 && number != SIGTTIN && number != SIGTTOU) {
            ::kill(program, number);
        }
    }
}

} // namespace engine
