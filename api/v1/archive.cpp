#include "api/v1/routes.hpp"
#include "api/v1/views.hpp"
#include "compose/model/error.hpp"
#include "engine/system/file.hpp"
#include "engine/system/notifier.hpp"
#include "engine/system/tar_copy.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

namespace api {

namespace asio = boost::asio;
namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

constexpr auto quiet = asio::as_tuple(asio::use_awaitable);
// A block that is none of a tar archive: one that is broken off is not taken for a whole one by those who do
// not look at the trailer.
constexpr std::size_t no_header = 512;

/// A copy on its way: a thread has one end of a pipe, the handler the other.
struct transfer {
    explicit transfer(asio::io_context& io) : ours(io), changed(io) {}

    asio::posix::stream_descriptor ours;
    engine::notifier changed;
    bool ended = false;
    engine::left_out skipped; // by the thread; ours once it has ended
    std::exception_ptr failure;
};
using transfer_ptr = std::shared_ptr<transfer>;

engine::task<> copy(transfer_ptr of, daemon_parts parts, std::string id,
    std::function<void(const engine::container_tree&)> work) {
    try {
        co_await parts.containers.with_files(std::move(id), std::move(work));
    } catch (...) {
        of->failure = std::current_exception();
    }
    of->ended = true;
    of->changed.notify_all();
}

using copy_work =
    std::function<engine::left_out(const engine::container_tree&, const engine::unique_fd& pipe)>;

/// `write`: the thread writes and we read.
transfer_ptr begin_copy(const daemon_parts& parts, const std::string& id, bool write, copy_work work) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        engine::throw_errno("create", "pipe");
    auto made = std::make_shared<transfer>(parts.engine.on.io);
    const auto theirs = std::make_shared<engine::unique_fd>(ends[write ? 1 : 0]);
    made->ours.assign(ends[write ? 0 : 1]);
    std::function<void(const engine::container_tree&)> with_pipe = [theirs, made, work = std::move(work)](
                                                                       const engine::container_tree& tree) {
        const engine::unique_fd pipe = std::move(*theirs); // closed when it is done
        made->skipped = work(tree, pipe);
    };
    engine::spawn(parts.engine.on.io, "copy", copy(made, parts, id, std::move(with_pipe)));
    return made;
}

std::string path_in(const exchange& request) {
    std::string path = request.query.text("path");
    if (path.empty() || path.find('\0') != std::string::npos)
        throw error(error_kind::invalid, "\"path\" says what to copy in the container and must not be empty");
    return path;
}

engine::task<> wait_for_end(transfer_ptr of) {
    while (!of->ended)
        co_await of->changed.wait();
}

engine::task<> get(exchange& request, daemon_parts parts) {
    const std::string id = container_of(request, parts).record.id;
    const std::string path = path_in(request);
    const bool follow = request.query.flag("follow_link");
    const std::string last =
        ("/" / std::filesystem::path(path)).lexically_normal().parent_path() == "/" &&
                path.find_first_not_of('/') == std::string::npos
            ? std::string()
            : std::filesystem::path(path.substr(0, path.find_last_not_of('/') + 1)).filename().native();
    const std::string name = last.empty() || last == "." || last == ".." ? "root" : last;
    const transfer_ptr under_way = begin_copy(parts, id, true,
        [path, follow, name](const engine::container_tree& tree, const engine::unique_fd& to) {
            return engine::pack_tree(tree.root, path, follow, name, to, tree.first_id);
        });
    std::string part(64U << 10U, '\0');
    bool begun = false;
    for (;;) {
        const auto [failed, size] = co_await under_way->ours.async_read_some(asio::buffer(part), quiet);
        if (failed)
            break;
        if (!std::exchange(begun, true)) {
            co_await request.begin_stream("application/x-tar");
        }
        std::exception_ptr gone;
        try {
            co_await request.write(part.substr(0, size));
        } catch (...) {
            gone = std::current_exception();
        }
        if (gone) {
            under_way->ours.close(); // and the thread's next write fails
            co_await wait_for_end(under_way);
            std::rethrow_exception(gone);
        }
    }
    co_await wait_for_end(under_way);
    if (under_way->failure && begun)
        co_await request.write(std::string(no_header, '\xFF'));
    if (under_way->failure)
        std::rethrow_exception(under_way->failure);
    if (const std::vector<std::string> told = under_way->skipped.told(); !told.empty())
        request.reply_trailers["Composed-Left-Out"] = json::serialize(json::value_from(told));
}

engine::task<> put(exchange& request, daemon_parts parts) {
    const std::string id = container_of(request, parts).record.id;
    const std::string path = path_in(request);
    const engine::unpack_options how{.whole = request.query.flag("unpack"),
        .contents = request.query.flag("contents"),
        .owners = request.query.flag("owners"),
        .privileges = true}; // a device of a container is no more than its cgroup lets it be
    const transfer_ptr under_way = begin_copy(
        parts, id, false, [path, how](const engine::container_tree& tree, const engine::unique_fd& from) {
            engine::unpack_options here = how;
            here.first_id = tree.first_id;
            return engine::unpack_tree(tree.root, path, from, here);
        });
    bool taken = true; // until the thread wants no more
    for (;;) {
        const std::string part = co_await request.body_part();
        if (part.empty())
            break;
        if (!taken)
            continue;
        const auto [failed, size] = co_await asio::async_write(under_way->ours, asio::buffer(part), quiet);
        taken = !failed;
    }
    boost::system::error_code ignored;
    under_way->ours.close(ignored);
    co_await wait_for_end(under_way);
    if (under_way->failure)
        std::rethrow_exception(under_way->failure);
    json::object reply{{"done", true}};
    if (const std::vector<std::string> told = under_way->skipped.told(); !told.empty())
        reply["left_out"] = json::value_from(told);
    co_await send_json(request, 200, std::move(reply));
}

} // namespace

void add_archive_routes(router& to, const daemon_parts& parts) {
    to.add("GET", "/api/v1/containers/{container}/archive",
        [parts](exchange& request) { return get(request, parts); });
    to.add("PUT", "/api/v1/containers/{container}/archive",
        [parts](exchange& request) { return put(request, parts); });
}

} // namespace api
