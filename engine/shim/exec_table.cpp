#include "engine/shim/exec_table.hpp"

#include "engine/shim/state_files.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace engine {

namespace {

constexpr std::size_t max_sessions = 1024;

std::string pid_file(std::uint32_t session) {
    return "pid." + std::to_string(session);
}

} // namespace

exec_table::~exec_table() {
    for (const entry& each : entries_)
        if (each.output >= 0)
            ::close(each.output);
}

int exit_code_of(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void exec_table::start(std::uint32_t session, const exec_order& order, std::vector<int>& descriptors) {
    if (entries_.size() >= max_sessions) {
        fail(session, failure_step::limit, 0, "too many processes");
    } else {
        entry& added = entries_.emplace_back();
        added.session = session;
        added.order = order;
        std::vector<std::string> words{"--log", "runtime.log." + std::to_string(session), "exec", "--detach",
            "--process", order.process_file, "--pid-file", pid_file(session)};
        bool ready = true;
        if (order.tty) {
            ready = added.console.listen("console." + std::to_string(session));
            words.insert(words.end(), {"--console-socket", added.console.name()});
        }
        words.push_back(setup_.id);
        int stdio[3] = {-1, -1, -1};
        for (std::size_t at = 0; at < 3 && at < descriptors.size(); ++at)
            stdio[at] = descriptors[at];
        if (ready)
            added.command = start_runtime(setup_, words, stdio, runtime_view::plain);
        if (added.command.pid < 0) {
            fail(session, failure_step::runtime, errno, setup_.runtime);
            entries_.pop_back();
        } else if (!order.name.empty() && descriptors.size() > 3) {
            added.output = std::exchange(descriptors[3], -1);
        }
    }
    for (const int fd : descriptors)
        if (fd >= 0)
            ::close(fd);
    descriptors.clear();
}

bool exec_table::on_exit(pid_t pid, int status, const earlier_exit& earlier) {
    for (entry& each : entries_) {
        if (each.command.pid == pid) {
            each.command.pid = -1;
            on_started(each, status, earlier);
            return true;
        }
        if (each.pid == pid && !each.ended) {
            on_ended(each, status);
            return true;
        }
    }
    return false;
}

void exec_table::on_started(entry& which, int status, const earlier_exit& earlier) {
    const child_failure failure = take_report(which.command);
    const std::string file = pid_file(which.session);
    if (failure.step != 0) {
        fail(which.session, static_cast<failure_step>(failure.step), failure.code, failure.object);
        return forget(which);
    }
    const std::int64_t pid = status == 0 ? read_number(file.c_str()) : -1;
    ::unlink(file.c_str());
    ::unlink(which.order.process_file.c_str());
    if (pid <= 0) {
        fail(which.session, failure_step::runtime, exit_code_of(status), {});
        return forget(which);
    }
    ::unlink(("runtime.log." + std::to_string(which.session)).c_str());
    which.pid = static_cast<pid_t>(pid);
    field_writer payload;
    payload.number(pid);
    if (which.order.tty) {
        const int terminal = which.console.receive(
            static_cast<unsigned short>(which.order.rows), static_cast<unsigned short>(which.order.columns));
        which.console.close();
        if (terminal >= 0) {
            daemon_.send(message_type::exec_started, which.session, payload.take(), {terminal});
            ::close(terminal);
        } else {
            fail(which.session, failure_step::terminal, errno, {});
            ::kill(which.pid, SIGKILL);
        }
    } else {
        daemon_.send(message_type::exec_started, which.session, payload.take());
    }
    int early = 0;
    if (earlier(which.pid, early))
        on_ended(which, early);
}

void exec_table::on_ended(entry& which, int status) {
    which.ended = exit_code_of(status);
    if (daemon_.send(message_type::exec_exited, which.session, field_writer().number(*which.ended).take()))
        forget(which);
}

void exec_table::tell() {
    for (auto next = entries_.begin(); next != entries_.end();) {
        entry& each = *next++;
        std::string known = field_writer().number(each.pid).text(each.order.name).take();
        const bool heard =
            each.output >= 0
                ? daemon_.send(message_type::exec_started, each.session, std::move(known), {each.output})
                : daemon_.send(message_type::exec_started, each.session, std::move(known));
        if (heard && each.ended &&
            daemon_.send(message_type::exec_exited, each.session, field_writer().number(*each.ended).take()))
            forget(each);
    }
}

void exec_table::forget(const entry& which) {
    if (which.output >= 0)
        ::close(which.output);
    entries_.remove_if([&](const entry& each) { return &each == &which; });
}

void exec_table::signal(std::uint32_t session, int number) {
    // Safe by number: the process is our child (we are the subreaper), so it cannot be reused before we reap
    // it.
    for (const entry& each : entries_)
        if (each.session == session && each.pid > 1 && !each.ended)
            ::kill(each.pid, number);
}

void exec_table::abandon() {
    while (!entries_.empty()) {
        daemon_.send(message_type::exec_exited, entries_.front().session, field_writer().number(255).take());
        forget(entries_.front());
    }
}

void exec_table::fail(std::uint32_t session, failure_step step, std::int64_t code, std::string_view text) {
    field_writer payload;
    payload.number(static_cast<std::int64_t>(step)).number(code).text(text);
    daemon_.send(message_type::exec_failed, session, payload.take());
}

} // namespace engine
