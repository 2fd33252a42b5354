#include "engine/shim/monitor.hpp"

#include "engine/shim/state_files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <ctime>
#include <initializer_list>

namespace engine {

namespace {

constexpr std::int64_t millisecond = 1'000'000;
constexpr std::int64_t second = 1000 * millisecond;
// A daemonised grandchild may hold the write end of stdout for ever.
constexpr std::int64_t drain_limit = 2 * second;
constexpr std::int64_t delete_limit = 10 * second;
constexpr std::int64_t leave_limit = 2 * second;
constexpr std::size_t max_unknown_exits = 1024;
constexpr std::size_t max_kept = 4096;
constexpr int reads_a_turn = 4;

std::int64_t now(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<std::int64_t>(time.tv_sec) * second + time.tv_nsec;
}

std::string whole_path(const char* name) {
    char folder[PATH_MAX];
    return ::getcwd(folder, sizeof folder) == nullptr ? name : std::string(folder) + "/" + name;
}

void close_fd(int& fd) {
    if (fd >= 0)
        ::close(std::exchange(fd, -1));
}

} // namespace

monitor::monitor(int socket)
    : daemon_(socket), receive_([this](message& in, std::vector<int>& fds) { on_message(in, fds); }),
      execs_(setup_, daemon_) {}

monitor::~monitor() {
    for (int& fd : kept_)
        close_fd(fd);
    for (int* fd : {&lock_, &signals_, &contents_, &network_.udp, &network_.tcp, &network_.host, &streams_[0],
             &streams_[1]})
        close_fd(*fd);
}

bool monitor::set_up() {
    lock_ = ::open(run_file::lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0 || ::flock(lock_, LOCK_EX | LOCK_NB) != 0)
        return false;
    sigset_t blocked;
    sigemptyset(&blocked);
    for (const int number : {SIGCHLD, SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGQUIT})
        sigaddset(&blocked, number);
    ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    signals_ = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals_ < 0 || ::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || ::prctl(PR_SET_DUMPABLE, 0) != 0)
        return false;
    return daemon_.listen();
}

int monitor::run() {
    if (!set_up())
        return 1;
    while (!done_)
        turn();
    return 0;
}

void monitor::turn() {
    poller poll;
    poll.watch(signals_, POLLIN, [this](short) { reap(); });
    daemon_.watch(poll, receive_);
    // Once it has ended no more than a pipe holds can come.
    if (exiting_ || (!clients_.full() && !forward_.full()))
        for (const auto which : {json_log::out, json_log::err})
            poll.watch(
                streams_[which], POLLIN, [this, which](short) { read_stream(streams_[which], which); });
    clients_.watch(poll);
    forward_.watch(poll);
    flows_until_ = ports_.expire(now(CLOCK_MONOTONIC));
    ports_.watch(poll);
    poll.wait(wait_limit());

    const bool nothing_to_look_after =
        snapshot_.state == shim_state::preparing || snapshot_.state == shim_state::failed;
    if (!daemon_.connected() && nothing_to_look_after && start_.pid < 0)
        done_ = true;
    early_signals_.retry();
    if (exiting_)
        advance_exit();
    if (leaving_ && ((clients_.idle() && forward_.idle()) || now(CLOCK_MONOTONIC) >= leave_at_))
        done_ = true;
}

int monitor::wait_limit() const {
    std::int64_t next = 0;
    for (const std::int64_t deadline : {drain_until_, delete_until_, leave_at_, flows_until_,
             forward_.deadline(), early_signals_.deadline()})
        if (deadline != 0 && (next == 0 || deadline < next))
            next = deadline;
    if (next == 0)
        return -1;
    const std::int64_t left = next - now(CLOCK_MONOTONIC);
    return left <= 0 ? 0 : static_cast<int>(left / millisecond) + 1;
}

void monitor::on_message(message& in, std::vector<int>& descriptors) {
    switch (in.type) {
    case message_type::setup:
        on_setup(in, descriptors);
        break;
    case message_type::hello:
        execs_.tell();
        if (snapshot_.state == shim_state::failed)
            send_failure();
        else
            send_snapshot(message_type::snapshot);
        break;
    case message_type::keep:
        while (!descriptors.empty() && kept_.size() < max_kept) {
            kept_.push_back(descriptors.back());
            descriptors.pop_back();
        }
        break;
    case message_type::forward:
        on_forward(in, descriptors);
        break;
    case message_type::lend:
        on_lend(descriptors);
        break;
    case message_type::accept:
        ports_.accept_clients(field_reader(in.payload).number() != 0);
        break;
    case message_type::go:
        if (have_setup_ && snapshot_.state == shim_state::preparing)
            start_container();
        break;
    case message_type::attach:
        on_attach(in, descriptors);
        break;
    case message_type::exec: {
        exec_order order;
        if (snapshot_.state == shim_state::running && !exiting_ && decode(in.payload, order))
            execs_.start(in.session, order, descriptors);
        else
            daemon_.send(message_type::exec_failed, in.session, {});
        break;
    }
    case message_type::signal:
        on_signal(in);
        break;
    case message_type::resize:
        on_resize(in);
        break;
    case message_type::acknowledge:
        on_acknowledge();
        break;
    default: // of a newer daemon
        break;
    }
    for (int& fd : descriptors)
        close_fd(fd);
}

void monitor::on_setup(const message& in, std::vector<int>& descriptors) {
    if (have_setup_ || !decode(in.payload, setup_))
        return;
    if (!setup_.secrets.empty() && !descriptors.empty())
        contents_ = std::exchange(descriptors.front(), -1);
    have_setup_ = true;
    snapshot_.generation = setup_.generation;
    snapshot_.shim = ::getpid();
    if (const int failure = enter_network(setup_, network_); failure != 0)
        return fail(failure_step::network, failure, setup_.join_namespace);
    send_snapshot(message_type::network_ready);
}

void monitor::send_snapshot(message_type type) {
    if (network_.udp >= 0 && (type == message_type::snapshot || type == message_type::network_ready))
        daemon_.send(type, 0, encode(snapshot_), {network_.udp, network_.tcp});
    else
        daemon_.send(type, 0, encode(snapshot_));
}

void monitor::on_attach(const message& in, std::vector<int>& descriptors) {
    const std::int64_t flags = field_reader(in.payload).number();
    int taken[3] = {-1, -1, -1};
    std::size_t next = 0;
    for (std::size_t at = 0; at < 3; ++at)
        if ((flags & (1 << at)) != 0 && next < descriptors.size())
            taken[at] = std::exchange(descriptors[next++], -1);
    clients_.add(taken[0], taken[1], taken[2], (flags & attach_hold) != 0);
    if (snapshot_.state == shim_state::exited || leaving_)
        clients_.finish();
}

void monitor::on_forward(const message& in, std::vector<int>& descriptors) {
    std::vector<forward_target> targets;
    if (snapshot_.state != shim_state::preparing || !decode(in.payload, targets))
        return;
    for (std::size_t at = 0; at < targets.size() && at < descriptors.size(); ++at)
        ports_.add(std::exchange(descriptors[at], -1), targets[at]);
}

/// Two containers have one port at the same time while one takes the place of the other.
void monitor::on_lend(const std::vector<int>& descriptors) const {
    if (descriptors.empty())
        return;
    std::vector<int> all = ports_.sockets();
    all.insert(all.end(), kept_.begin(), kept_.end());
    const message answer{.type = message_type::lend, .session = 0, .payload = {}};
    for (std::size_t at = 0; at < all.size(); at += max_message_descriptors)
        if (!send_message(descriptors.front(), answer, all.data() + at,
                std::min(all.size() - at, max_message_descriptors)))
            return;
}

void monitor::on_signal(const message& in) {
    const int number = static_cast<int>(field_reader(in.payload).number());
    if (number <= 0 || number >= NSIG)
        return;
    if (in.session != 0)
        execs_.signal(in.session, number);
    else if (snapshot_.state == shim_state::running && !exiting_ && snapshot_.pid > 1)
        // Safe by number: it is our child and not yet reaped, so its number cannot have been given away.
        early_signals_.send(static_cast<pid_t>(snapshot_.pid), started_, number);
}

void monitor::on_resize(const message& in) {
    field_reader fields(in.payload);
    const auto rows = static_cast<unsigned short>(fields.number());
    const auto columns = static_cast<unsigned short>(fields.number());
    if (setup_.tty && streams_[0] >= 0)
        set_terminal_size(streams_[0], rows, columns);
}

void monitor::on_acknowledge() {
    if (snapshot_.state != shim_state::exited && snapshot_.state != shim_state::failed)
        return;
    leaving_ = true;
    leave_at_ = now(CLOCK_MONOTONIC) + leave_limit;
}

void monitor::fail(failure_step step, std::int64_t code, std::string text) {
    snapshot_.state = shim_state::failed;
    close_fd(contents_);
    failure_ = field_writer().number(static_cast<std::int64_t>(step)).number(code).text(text).take();
    clients_.finish();
    for (int& fd : kept_)
        close_fd(fd);
    ports_.stop();
    send_failure();
}

void monitor::send_failure() {
    daemon_.send(message_type::failed, 0, failure_);
}

void monitor::reap() {
    signalfd_siginfo ignored[16];
    while (::read(signals_, ignored, sizeof ignored) > 0) {
    }
    for (;;) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            return;
        const auto earlier = [this](pid_t which, int& found) { return take_unknown_exit(which, found); };
        if (pid == start_.pid) {
            on_runtime_returned(status);
        } else if (pid == delete_.pid) {
            take_report(delete_);
            delete_.pid = -1;
            delete_until_ = now(CLOCK_MONOTONIC);
        } else if (snapshot_.state == shim_state::running && pid == snapshot_.pid) {
            on_init_exit(status);
        } else if (!log_.on_exit(pid, status) && !execs_.on_exit(pid, status, earlier)) {
            unknown_exits_.emplace_back(pid, status);
            if (unknown_exits_.size() > max_unknown_exits)
                unknown_exits_.pop_front();
        }
    }
}

bool monitor::take_unknown_exit(pid_t pid, int& status) {
    // The newest: an older one with this number was another process.
    for (auto at = unknown_exits_.end(); at != unknown_exits_.begin();) {
        --at;
        if (at->first != pid)
            continue;
        status = at->second;
        unknown_exits_.erase(at);
        return true;
    }
    return false;
}

void monitor::start_container() {
    snapshot_.state = shim_state::starting;
    open_log();
    int stdio[3] = {-1, -1, -1};
    if (!make_streams(stdio))
        return fail(failure_step::terminal, errno, "stdio");
    // Its whole path: crun that has bound devices in a user namespace is in / by the time it writes it.
    std::vector<std::string> words{"--log", run_file::runtime_log, "run", "--detach", "--bundle", ".",
        "--pid-file", whole_path(run_file::pid)};
    if (setup_.tty)
        words.insert(words.end(), {"--console-socket", console_.name()});
    words.push_back(setup_.id);
    start_ = start_runtime(setup_, words, stdio, runtime_view::with_root,
        {.host_network = network_.host, .contents = contents_, .user_namespace = network_.user});
    const int failure = errno;
    close_fd(contents_);
    for (int& fd : stdio)
        close_fd(fd);
    if (start_.pid < 0)
        fail(failure_step::runtime, failure, setup_.runtime);
}

void monitor::open_log() {
    if (!setup_.log.empty()) {
        log_.open(setup_.log, static_cast<std::uint64_t>(setup_.log_max_size),
            static_cast<unsigned>(setup_.log_max_files));
        log_.set_attributes(setup_.log_attributes);
        if (setup_.log_compress)
            log_.compress();
    }
    if (setup_.log_target.kind == 0)
        return;
    forward_.open(setup_.log_target, network_.host);
    log_.set_tee([this](json_log::stream from, std::string_view text, std::int64_t at) {
        forward_.add(from == json_log::err, text, at);
    });
}

// Pipes for the container; its ends in `stdio`, ours kept.
bool monitor::make_streams(int stdio[3]) {
    if (setup_.tty)
        return console_.listen("console");
    int ends[2];
    if (setup_.stdin_open) {
        if (::pipe2(ends, O_CLOEXEC) != 0)
            return false;
        stdio[0] = ends[0];
        clients_.set_sink(ends[1], true, setup_.stdin_once);
    }
    for (const int stream : {0, 1}) {
        if (::pipe2(ends, O_CLOEXEC) != 0)
            return false;
        stdio[stream + 1] = ends[1];
        streams_[stream] = ends[0];
        ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    }
    return true;
}

void monitor::on_runtime_returned(int status) {
    start_.pid = -1;
    const child_failure failure = take_report(start_);
    if (failure.step != 0)
        return fail(static_cast<failure_step>(failure.step), failure.code, failure.object);
    const std::int64_t pid = status == 0 ? read_number(run_file::pid) : -1;
    if (pid <= 0)
        return fail(failure_step::runtime, exit_code_of(status), {});
    if (setup_.tty) {
        streams_[0] = console_.receive(
            static_cast<unsigned short>(setup_.rows), static_cast<unsigned short>(setup_.columns));
        console_.close();
        clients_.set_sink(streams_[0], false, false);
    }
    started_ = now(CLOCK_MONOTONIC);
    snapshot_.state = shim_state::running;
    snapshot_.pid = pid;
    snapshot_.started_at = now(CLOCK_REALTIME);
    replace_file(run_file::init, init_record(snapshot_, process_start_time(static_cast<pid_t>(pid))));
    send_snapshot(message_type::started);
    ports_.start(network_.host);
    int early = 0;
    if (take_unknown_exit(static_cast<pid_t>(pid), early))
        on_init_exit(early);
}

void monitor::read_stream(int& fd, json_log::stream which) {
    if (fd < 0)
        return;
    char bytes[65536];
    for (int count = 0; count < reads_a_turn; ++count) {
        const ssize_t got = ::read(fd, bytes, sizeof bytes);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (got <= 0) { // a terminal ends with EIO
            if (setup_.tty)
                clients_.set_sink(-1, false, false);
            log_.end(which, now(CLOCK_REALTIME));
            close_fd(fd);
            return;
        }
        const std::string_view text(bytes, static_cast<std::size_t>(got));
        log_.append(which, text, now(CLOCK_REALTIME));
        clients_.broadcast(which, text);
        if (static_cast<std::size_t>(got) < sizeof bytes / 2)
            break;
    }
    log_.flush();
}

void monitor::on_init_exit(int status) {
    exiting_ = true;
    early_signals_.forget();
    const std::int64_t at = now(CLOCK_MONOTONIC);
    snapshot_.code = exit_code_of(status);
    snapshot_.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    snapshot_.finished_at = now(CLOCK_REALTIME);
    snapshot_.ran_for = std::max<std::int64_t>(at - started_, 0);
    drain_until_ = at + drain_limit;
}

void monitor::advance_exit() {
    const std::int64_t at = now(CLOCK_MONOTONIC);
    if (drain_until_ != 0) {
        const bool drained = streams_[0] < 0 && streams_[1] < 0;
        if (!drained && at < drain_until_)
            return;
        drain_until_ = 0;
        record_exit();
    }
    if (delete_until_ != 0 && at >= delete_until_)
        finish_exit();
}

void monitor::record_exit() {
    for (const auto which : {json_log::out, json_log::err})
        log_.end(which, now(CLOCK_REALTIME));
    if (setup_.tty)
        clients_.set_sink(-1, false, false);
    close_fd(streams_[0]);
    close_fd(streams_[1]);
    clients_.finish();
    // Free again before anybody can hear of the exit and want them for the next run.
    for (int& fd : kept_)
        close_fd(fd);
    kept_.clear();
    ports_.stop();
    snapshot_.oom = has_oom_kill(setup_.oom_file) ? 1 : 0;
    replace_file(run_file::exit, exit_record_line(snapshot_));
    const int stdio[3] = {-1, -1, -1};
    delete_ = start_runtime(
        setup_, {"--log", run_file::runtime_log, "delete", "--force", setup_.id}, stdio, runtime_view::plain);
    delete_until_ = now(CLOCK_MONOTONIC) + (delete_.pid > 0 ? delete_limit : 0);
}

void monitor::finish_exit() {
    exiting_ = false;
    delete_until_ = 0;
    execs_.abandon();
    snapshot_.state = shim_state::exited;
    send_snapshot(message_type::exited);
}

} // namespace engine
