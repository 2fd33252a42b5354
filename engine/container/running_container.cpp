#include "engine/container/running_container.hpp"

#include "engine/container/exec_state.hpp"
#include "engine/shim/state_files.hpp"
#include "engine/system/unix_socket.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>

namespace engine {

namespace asio = boost::asio;

namespace {

constexpr auto leave_limit = std::chrono::seconds(3); // a shim waits up to 2 s for attached clients
constexpr auto reconnect_pause = std::chrono::milliseconds(100);

std::chrono::system_clock::time_point wall_time(std::int64_t nanoseconds) {
    return std::chrono::system_clock::time_point(std::chrono::nanoseconds(nanoseconds));
}

exit_record exit_of(const shim_snapshot& snapshot) {
    exit_record record;
    record.generation = static_cast<std::uint64_t>(snapshot.generation);
    record.code = static_cast<int>(snapshot.code);
    record.signal = static_cast<int>(snapshot.signal);
    record.oom = snapshot.oom != 0;
    record.finished_at = wall_time(snapshot.finished_at);
    record.ran_for = std::chrono::nanoseconds(snapshot.ran_for);
    return record;
}

} // namespace

running_container::running_container(executors executors, std::shared_ptr<const runtime_host> host,
    const runtime_events& events, std::string id, std::string name)
    : changed(executors.io), executors_(executors), host_(std::move(host)), events_(events),
      id_(std::move(id)), name_(std::move(name)) {}

bool running_container::send(
    message_type type, std::uint32_t session, std::string payload, const std::vector<int>& descriptors) {
    return link_ && link_->send(type, session, std::move(payload), descriptors);
}

void running_container::abandon() {
    abandoned_ = true;
    if (link_)
        link_->close();
}

void running_container::detach() {
    detached_ = true;
    if (link_)
        link_->close();
}

void running_container::end_shim() {
    if (shim_)
        send_signal(shim_, SIGKILL);
}

void running_container::never_was() {
    gone = true;
    changed.notify_all();
}

std::uint32_t running_container::add_exec(std::shared_ptr<exec_session::shared> exec) {
    const std::uint32_t session = ++next_session_;
    execs_[session] = std::move(exec);
    return session;
}

void running_container::forget_exec(std::uint32_t session) {
    execs_.erase(session);
}

std::optional<running_container::left_exec> running_container::take_left(const std::string& name) {
    auto found = left_.extract(name);
    return found ? std::optional(std::move(found.mapped())) : std::nullopt;
}

task<> running_container::serve(unique_fd socket, unique_fd shim, bool recovered) {
    const auto keep = shared_from_this();
    shim_ = recovered ? open_peer(socket) : std::move(shim);
    link_ = std::make_unique<shim_link>(executors_.io, std::move(socket));
    if (recovered)
        send(message_type::hello);
    for (;;) {
        co_await listen();
        if (detached_)
            co_return;
        const bool ended = co_await shim_has_ended(reconnect_pause);
        if (detached_)
            co_return;
        if (ended || abandoned_ || !started)
            break;
        // The shim dropped us because we did not keep up: ask it for everything.
        try {
            unique_fd again = connect_to_shim(host_->run_folder(id_));
            link_ = std::make_unique<shim_link>(executors_.io, std::move(again));
            send(message_type::hello);
        } catch (const compose::error&) {
            break; // it ended in between
        }
    }
    co_await clear_up();
}

task<> running_container::listen() {
    for (;;) {
        auto in = co_await link_->receive();
        if (!in || detached_)
            co_return;
        co_await on_packet(*in);
        changed.notify_all();
    }
}

task<> running_container::on_packet(shim_link::packet& in) {
    shim_snapshot snapshot;
    switch (in.content.type) {
    case message_type::network_ready:
        take_dns(in);
        if (decode(in.content.payload, snapshot))
            network_ready = static_cast<pid_t>(snapshot.shim);
        break;
    case message_type::snapshot:
        heard = true;
        take_dns(in);
        [[fallthrough]];
    case message_type::started:
    case message_type::exited:
        if (!decode(in.content.payload, snapshot))
            break;
        if (!shim_ && snapshot.shim > 0)
            shim_ = open_process(static_cast<pid_t>(snapshot.shim));
        on_snapshot(snapshot);
        if (snapshot.state == shim_state::exited) {
            const exit_record record = exit_of(snapshot);
            co_await tell_exit(record);
            send(message_type::acknowledge);
        }
        break;
    case message_type::failed: {
        field_reader fields(in.content.payload);
        heard = true;
        failed = failure{.step = fields.number(), .code = fields.number(), .text = {}};
        failed->text = fields.text();
        break; // acknowledged by start(), which reads the runtime's log first
    }
    case message_type::exec_started:
    case message_type::exec_failed:
    case message_type::exec_exited:
        on_exec(in);
        break;
    default: // of a newer shim
        break;
    }
}

void running_container::on_snapshot(const shim_snapshot& snapshot) {
    network_ready = static_cast<pid_t>(snapshot.shim);
    if (snapshot.pid == 0 || started)
        return;
    started = start_record{.generation = static_cast<std::uint64_t>(snapshot.generation),
        .pid = static_cast<pid_t>(snapshot.pid),
        .shim = static_cast<pid_t>(snapshot.shim),
        .started_at = wall_time(snapshot.started_at)};
    if (events_.started)
        events_.started(id_, *started);
}

void running_container::take_dns(shim_link::packet& in) {
    if (in.descriptors.size() != 2)
        return;
    dns_sockets sockets{.udp = std::move(in.descriptors[0]), .tcp = std::move(in.descriptors[1])};
    if (events_.dns)
        events_.dns(id_, std::move(sockets));
}

task<> running_container::tell_exit(exit_record record) {
    if (exited)
        co_return;
    exited = record;
    end_execs();
    changed.notify_all();
    if (events_.exited) {
        // The owner's failure to write it down must not keep the shim for ever: it has the file until the
        // next start.
        try {
            co_await events_.exited(id_, record);
        } catch (const std::exception& caught) {
            spdlog::error("exit of container \"{}\": {}", name_, caught.what());
        }
    }
    exit_told = true;
    changed.notify_all();
}

/// The number is in use; and one with a name is there to be taken over.
void running_container::on_left_exec(shim_link::packet& in) {
    next_session_ = std::max(next_session_, in.content.session);
    field_reader fields(in.content.payload);
    fields.number();
    const std::string name = fields.text();
    if (name.empty())
        return;
    const auto exec = std::make_shared<exec_session::shared>(executors_.io);
    if (!in.descriptors.empty())
        exec->streams.output = std::move(in.descriptors.front());
    in.descriptors.clear();
    execs_[in.content.session] = exec;
    left_[name] = {.session = in.content.session, .exec = exec};
}

void running_container::on_exec(shim_link::packet& in) {
    if (in.content.type == message_type::exec_started && !execs_.contains(in.content.session))
        on_left_exec(in);
    const auto found = execs_.find(in.content.session);
    if (found == execs_.end())
        return;
    const auto exec = found->second;
    field_reader fields(in.content.payload);
    if (in.content.type == message_type::exec_started) {
        exec->pid = static_cast<pid_t>(fields.number());
        exec->started = exec->pid != 0;
        if (fields.text().empty() && !in.descriptors.empty()) { // of one with a name it is the output
            exec->terminal = in.descriptors.front().duplicate();
            exec->streams.terminal = std::move(in.descriptors.front());
        }
    } else if (in.content.type == message_type::exec_failed) {
        exec->failed = true;
        fields.number();
        exec->failure_code = fields.number();
        execs_.erase(found);
    } else {
        exec->code = static_cast<int>(fields.number());
        execs_.erase(found);
    }
    exec->changed.notify_all();
}

void running_container::end_execs() {
    for (const auto& [session, exec] : execs_) {
        exec->failed = !exec->started;
        exec->code = 255;
        exec->changed.notify_all();
    }
    execs_.clear();
}

task<bool> running_container::shim_has_ended(std::chrono::milliseconds limit) {
    if (!shim_ || has_ended(shim_))
        co_return true;
    // Shared: the timer's handler may be on its way already when the wait is over.
    const auto handle =
        std::make_shared<asio::posix::stream_descriptor>(executors_.io, shim_.duplicate().release());
    asio::steady_timer timer(executors_.io, limit);
    timer.async_wait([handle](boost::system::error_code code) {
        if (!code)
            handle->cancel(code);
    });
    boost::system::error_code ignored;
    co_await handle->async_wait(
        asio::posix::stream_descriptor::wait_read, asio::redirect_error(asio::use_awaitable, ignored));
    co_return has_ended(shim_);
}

task<> running_container::bury() {
    const auto keep = shared_from_this();
    const auto host = host_;
    const std::string id = id_;
    auto read = [host, id] { return read_start_record(*host, id); };
    started = co_await blocking(executors_.workers, read);
    co_await clear_up();
}

// The shim has gone, or is to go: leave nothing of the run, and tell an exit that nobody was told.
task<> running_container::clear_up() {
    if (link_)
        link_->close();
    bool ended = co_await shim_has_ended(leave_limit);
    if (!ended) {
        if (detached_)
            co_return;
        send_signal(shim_, SIGKILL);
        ended = co_await shim_has_ended(leave_limit);
    }
    if (detached_)
        co_return;
    if (ended && shim_)
        reap(child_process{.pid = 0, .handle = shim_.duplicate()});
    const auto host = host_;
    const std::string id = id_;
    auto read = [host, id] { return read_exit_record(*host, id); };
    const std::optional<exit_record> written = co_await blocking(executors_.workers, read);
    auto clear = [host, id] { clear_run(*host, id); };
    try {
        co_await blocking(executors_.workers, clear);
    } catch (const std::exception& caught) {
        spdlog::error("clear up container \"{}\": {}", name_, caught.what());
    }
    if (detached_)
        co_return;
    if (started && !exited) {
        exit_record record = written.value_or(exit_record{.generation = started->generation,
            .code = ending ? 128 + SIGKILL : 255,
            .signal = ending ? SIGKILL : 0,
            .oom = false,
            .lost = !ending,
            .finished_at = std::chrono::system_clock::now(),
            .ran_for = std::chrono::nanoseconds(0)});
        if (!written && !ending) {
            spdlog::warn("shim of container \"{}\" was killed: the exit code is not known", name_);
        }
        if (!written)
            record.ran_for = std::max<std::chrono::nanoseconds>(
                record.finished_at - started->started_at, std::chrono::nanoseconds(0));
        co_await tell_exit(record);
    }
    end_execs();
    gone = true;
    changed.notify_all();
}

} // namespace engine
