#include "engine/shim/protocol.hpp"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace engine {

namespace {

constexpr std::uint32_t magic = 0x6d687363; // "cshm"
constexpr std::size_t max_list = 512;       // overlayfs takes 500 layers

struct packet_header {
    std::uint32_t magic;
    std::uint16_t version;
    std::uint16_t type;
    std::uint32_t session;
    std::uint32_t length;
};
static_assert(sizeof(packet_header) == 16);

void close_all(std::vector<int>& descriptors) {
    for (const int fd : descriptors)
        ::close(fd);
    descriptors.clear();
}

void write_list(field_writer& out, const std::vector<std::string>& values) {
    out.number(static_cast<std::int64_t>(values.size()));
    for (const std::string& value : values)
        out.text(value);
}

bool read_list(field_reader& in, std::vector<std::string>& values) {
    const std::int64_t count = in.number();
    if (count < 0 || static_cast<std::size_t>(count) > max_list)
        return false;
    values.clear();
    for (std::int64_t at = 0; at < count; ++at)
        values.push_back(in.text());
    return true;
}

bool read_secrets(field_reader& in, std::vector<secret_file>& values) {
    const std::int64_t count = in.number();
    if (count < 0 || static_cast<std::size_t>(count) > max_list)
        return false;
    values.clear();
    for (std::int64_t at = 0; at < count; ++at) {
        secret_file& each = values.emplace_back();
        each.target = in.text();
        each.offset = in.number();
        each.size = in.number();
        each.uid = in.number();
        each.gid = in.number();
        each.mode = in.number();
    }
    return true;
}

} // namespace

field_writer& field_writer::number(std::int64_t value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    bytes_.append(bytes, sizeof value);
    return *this;
}

field_writer& field_writer::text(std::string_view value) {
    number(static_cast<std::int64_t>(value.size()));
    bytes_.append(value);
    return *this;
}

std::int64_t field_reader::number() {
    std::int64_t value = 0;
    if (rest_.empty())
        return value;
    if (rest_.size() < sizeof value) {
        torn_ = true;
        rest_ = {};
        return value;
    }
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
}

std::string field_reader::text() {
    const std::int64_t length = number();
    if (length < 0 || static_cast<std::uint64_t>(length) > rest_.size()) {
        torn_ = true;
        rest_ = {};
        return {};
    }
    std::string value(rest_.substr(0, static_cast<std::size_t>(length)));
    rest_.remove_prefix(value.size());
    return value;
}

namespace {

void write_mounts(field_writer& out, const std::vector<shim_mount>& mounts) {
    out.number(static_cast<std::int64_t>(mounts.size()));
    for (const shim_mount& each : mounts) {
        out.text(each.name).text(each.source).text(each.subpath).number(each.recursive);
        out.number(each.read_only).number(each.read_only_or_fail).number(each.shared);
        write_list(out, each.layers);
    }
}

bool read_mounts(field_reader& in, std::vector<shim_mount>& mounts) {
    const std::int64_t count = in.number();
    if (count < 0 || static_cast<std::size_t>(count) > max_list)
        return false;
    mounts.resize(static_cast<std::size_t>(count));
    for (shim_mount& each : mounts) {
        each.name = in.text();
        each.source = in.text();
        each.subpath = in.text();
        each.recursive = in.number() != 0;
        each.read_only = in.number() != 0;
        each.read_only_or_fail = in.number() != 0;
        each.shared = in.number() != 0;
        if (!read_list(in, each.layers))
            return false;
    }
    return true;
}

} // namespace

std::string encode(const shim_setup& value) {
    field_writer out;
    out.text(value.id).number(value.generation).number(static_cast<std::int64_t>(value.network));
    out.text(value.join_namespace).text(value.runtime).text(value.runtime_root).number(value.hide_unified);
    write_list(out, value.layers);
    out.text(value.upper).text(value.work);
    out.number(value.tty).number(value.stdin_open).number(value.stdin_once);
    out.number(value.rows).number(value.columns);
    out.text(value.log).number(value.log_max_size).number(value.log_max_files).text(value.oom_file);
    write_list(out, value.mount_files);
    write_mounts(out, value.mounts);
    out.number(static_cast<std::int64_t>(value.secrets.size()));
    for (const secret_file& each : value.secrets)
        out.text(each.target)
            .number(each.offset)
            .number(each.size)
            .number(each.uid)
            .number(each.gid)
            .number(each.mode);
    out.number(value.shared_memory_of).number(value.log_compress).text(value.log_attributes);
    const shim_log_target& target = value.log_target;
    out.number(target.kind).number(target.transport).text(target.place).number(target.port);
    out.number(target.facility).text(target.host_name).text(target.tag).text(target.fields);
    out.number(value.first_user_id).number(value.user_ids).number(value.user_namespace_of);
    out.number(static_cast<std::int64_t>(value.mapped_mounts.size()));
    for (const std::int64_t each : value.mapped_mounts)
        out.number(each);
    return out.take();
}

bool decode(std::string_view payload, shim_setup& value) {
    field_reader in(payload);
    value.id = in.text();
    value.generation = in.number();
    value.network = static_cast<shim_network>(in.number());
    value.join_namespace = in.text();
    value.runtime = in.text();
    value.runtime_root = in.text();
    value.hide_unified = in.number() != 0;
    if (!read_list(in, value.layers))
        return false;
    value.upper = in.text();
    value.work = in.text();
    value.tty = in.number() != 0;
    value.stdin_open = in.number() != 0;
    value.stdin_once = in.number() != 0;
    value.rows = in.number();
    value.columns = in.number();
    value.log = in.text();
    value.log_max_size = in.number();
    value.log_max_files = in.number();
    value.oom_file = in.text();
    if (!read_list(in, value.mount_files) || !read_mounts(in, value.mounts) ||
        !read_secrets(in, value.secrets))
        return false;
    value.shared_memory_of = in.number();
    value.log_compress = in.number() != 0;
    value.log_attributes = in.text();
    shim_log_target& target = value.log_target;
    target.kind = in.number();
    target.transport = in.number();
    target.place = in.text();
    target.port = in.number();
    target.facility = in.number();
    target.host_name = in.text();
    target.tag = in.text();
    target.fields = in.text();
    value.first_user_id = in.number();
    value.user_ids = in.number();
    value.user_namespace_of = in.number();
    const std::int64_t mapped = in.number();
    if (mapped < 0 || static_cast<std::size_t>(mapped) > max_list)
        return false;
    for (std::int64_t at = 0; at < mapped && !in.torn(); ++at)
        value.mapped_mounts.push_back(in.number());
    return !in.torn();
}

std::string encode(const shim_snapshot& value) {
    field_writer out;
    out.number(static_cast<std::int64_t>(value.state)).number(value.generation).number(value.pid);
    out.number(value.shim).number(value.started_at).number(value.code).number(value.signal);
    out.number(value.oom).number(value.finished_at).number(value.ran_for);
    return out.take();
}

bool decode(std::string_view payload, shim_snapshot& value) {
    field_reader in(payload);
    value.state = static_cast<shim_state>(in.number());
    value.generation = in.number();
    value.pid = in.number();
    value.shim = in.number();
    value.started_at = in.number();
    value.code = in.number();
    value.signal = in.number();
    value.oom = in.number();
    value.finished_at = in.number();
    value.ran_for = in.number();
    return !in.torn();
}

std::string encode(const exec_order& value) {
    field_writer out;
    out.text(value.process_file).number(value.tty).number(value.rows).number(value.columns).text(value.name);
    return out.take();
}

bool decode(std::string_view payload, exec_order& value) {
    field_reader in(payload);
    value.process_file = in.text();
    value.tty = in.number() != 0;
    value.rows = in.number();
    value.columns = in.number();
    value.name = in.text();
    return !in.torn();
}

std::string encode(const std::vector<forward_target>& value) {
    field_writer out;
    out.number(static_cast<std::int64_t>(value.size()));
    for (const forward_target& each : value)
        out.number(each.udp).text(each.address).number(each.port);
    return out.take();
}

bool decode(std::string_view payload, std::vector<forward_target>& value) {
    field_reader in(payload);
    const std::int64_t count = in.number();
    if (count < 0 || static_cast<std::size_t>(count) > max_list)
        return false;
    for (std::int64_t at = 0; at < count && !in.torn(); ++at) {
        forward_target each;
        each.udp = in.number() != 0;
        each.address = in.text();
        each.port = in.number();
        value.push_back(std::move(each));
    }
    return !in.torn();
}

std::string encode_packet(const message& value) {
    packet_header header{.magic = magic,
        .version = protocol_version,
        .type = static_cast<std::uint16_t>(value.type),
        .session = value.session,
        .length = static_cast<std::uint32_t>(value.payload.size())};
    std::string packet(sizeof header, '\0');
    std::memcpy(packet.data(), &header, sizeof header);
    packet += value.payload;
    return packet;
}

bool decode_packet(std::string_view packet, message& value) {
    packet_header header{};
    if (packet.size() < sizeof header || packet.size() > max_message)
        return false;
    std::memcpy(&header, packet.data(), sizeof header);
    if (header.magic != magic || header.version == 0 || header.length != packet.size() - sizeof header)
        return false;
    value.type = static_cast<message_type>(header.type);
    value.session = header.session;
    value.payload = packet.substr(sizeof header);
    return true;
}

bool send_message(int socket, const message& value, const int* descriptors, std::size_t count) {
    std::string packet = encode_packet(value);
    if (packet.size() > max_message || count > max_message_descriptors) {
        errno = EMSGSIZE;
        return false;
    }
    iovec part{.iov_base = packet.data(), .iov_len = packet.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * max_message_descriptors)] = {};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (count > 0) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
        std::memcpy(CMSG_DATA(rights), descriptors, sizeof(int) * count);
    }
    ssize_t sent = 0;
    do
        sent = ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent == static_cast<ssize_t>(packet.size());
}

receive_result receive_message(int socket, message& value, std::vector<int>& descriptors) {
    descriptors.clear();
    // Uninitialised, so that only the pages of the real packet are ever touched.
    const std::unique_ptr<char[]> buffer(new char[max_message]);
    iovec part{.iov_base = buffer.get(), .iov_len = max_message};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * max_message_descriptors)];
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ssize_t got = 0;
    do
        got = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return receive_result::again;
    if (got <= 0)
        return receive_result::closed;
    for (cmsghdr* entry = CMSG_FIRSTHDR(&header); entry != nullptr; entry = CMSG_NXTHDR(&header, entry)) {
        if (entry->cmsg_level != SOL_SOCKET || entry->cmsg_type != SCM_RIGHTS)
            continue;
        const std::size_t count = (entry->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        const std::size_t before = descriptors.size();
        descriptors.resize(before + count);
        std::memcpy(descriptors.data() + before, CMSG_DATA(entry), count * sizeof(int));
    }
    const bool cut = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    if (cut || !decode_packet({buffer.get(), static_cast<std::size_t>(got)}, value)) {
        close_all(descriptors);
        return receive_result::closed;
    }
    return receive_result::message;
}

} // namespace engine
