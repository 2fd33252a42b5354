#include "engine/container/stream_pipes.hpp"

#include "engine/system/file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace engine {

namespace {

std::pair<unique_fd, unique_fd> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        throw_errno("create", "pipe");
    return {unique_fd(ends[0]), unique_fd(ends[1])};
}

void set_non_blocking(const unique_fd& fd) {
    ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

unique_fd null_device() {
    return open_file("/dev/null", O_RDWR);
}

} // namespace

void stream_pipes::add_input() {
    auto [read_end, write_end] = make_pipe();
    set_non_blocking(write_end);
    ours.input = std::move(write_end);
    theirs.push_back(std::move(read_end));
}

void stream_pipes::add_output(unique_fd& into) {
    auto [read_end, write_end] = make_pipe();
    set_non_blocking(read_end);
    into = std::move(read_end);
    theirs.push_back(std::move(write_end));
}

std::vector<int> stream_pipes::numbers() const {
    std::vector<int> all;
    for (const unique_fd& fd : theirs)
        all.push_back(fd.get());
    return all;
}

stream_pipes streams_for(const exec_spec& spec) {
    stream_pipes streams;
    if (spec.tty)
        return streams;
    if (spec.attach_stdin)
        streams.add_input();
    else
        streams.theirs.push_back(null_device());
    if (!spec.attach_output) {
        streams.theirs.push_back(null_device());
        streams.theirs.push_back(null_device());
        return streams;
    }
    streams.add_output(streams.ours.output);
    if (spec.merge_stderr)
        streams.theirs.push_back(streams.theirs.back().duplicate());
    else
        streams.add_output(streams.ours.error);
    if (!spec.name.empty())
        streams.theirs.push_back(streams.ours.output.duplicate());
    return streams;
}

} // namespace engine
