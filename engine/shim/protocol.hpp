#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// The language between the daemon and composed-shim: SOCK_SEQPACKET, one message a packet, descriptors by
// SCM_RIGHTS. Both ends are on one host, so numbers travel in its byte order. A shim outlives the daemon that
// started it and meets newer ones: types and the order of fields never change, fields are only added at the
// end, a reader takes missing ones as zero and passes over those it does not know, as over unknown types.
//
// Here and in all of the shim there are no exceptions: functions say by their value whether they succeeded.
namespace engine {

constexpr std::uint16_t protocol_version = 1;

/// A longer packet is refused by both ends. 128 layers with paths of 500 bytes fit.
constexpr std::size_t max_message = 128U << 10U;

/// The kernel's SCM_MAX_FD is 253.
constexpr std::size_t max_message_descriptors = 64;

enum class message_type : std::uint16_t {
    // daemon to shim
    setup = 1,       // shim_setup; once, first on the socket that the shim is born with
    hello = 2,       // answered by what there is of execs, then snapshot; first on a later connection
    keep = 3,        // descriptors to keep open until the container is gone
    go = 4,          // start the container's process
    attach = 5,      // descriptors: as attach_flags say, in that order
    exec = 6,        // exec_order; descriptors: stdin, stdout, stderr unless there is a terminal; of one with
                     // a name then the other end of its output, kept for a later daemon
    signal = 7,      // number: to the first process (session 0) or to an exec
    resize = 8,      // numbers: rows, columns
    acknowledge = 9, // the exit or the failure is known: leave
    forward = 10,    // forward_targets; descriptors: a bound IPv6 socket for each, read once it runs
    lend = 11,       // descriptor: where the sockets of published ports are sent to; then it is closed
    accept = 12,     // number: whether new clients are taken from the sockets of `forward`; at first they are

    // shim to daemon
    network_ready = 32, // descriptors: none, or DNS sockets UDP and TCP
    started = 33,       // shim_snapshot
    failed = 34,        // number: failure_step, number: errno or exit code, text
    exited = 35,        // shim_snapshot; everything is drained, written and deleted
    snapshot = 36,      // shim_snapshot; descriptors as network_ready
    exec_started = 37,  // number: pid; descriptor: the terminal, when there is one. After hello, of one that
                        // another daemon may have begun: pid (0: not yet known), text: name; descriptor: the
                        // end of its output that was kept
    exec_failed = 38,   // as failed
    exec_exited = 39,   // number: exit code; again after hello when nobody was there to hear it
};

/// Where a start failed: what `failed` and `exec_failed` begin with.
enum class failure_step : std::int64_t {
    network = 1,
    root_filesystem = 2,
    runtime = 3,
    terminal = 4,
    limit = 5,
    mount = 6, // text: shim_mount::name
};

/// Descriptors that come with `attach`, as bits of its number.
/// attach_hold: the container waits for this client instead of leaving it behind.
enum attach_flags : std::int64_t { attach_input = 1, attach_output = 2, attach_error = 4, attach_hold = 8 };

struct message {
    message_type type = message_type::hello;
    std::uint32_t session = 0; // an exec or attach; chosen by the daemon, never 0 for these
    std::string payload;       // fields
};

/// Appends fields to a payload.
class field_writer {
  public:
    field_writer& number(std::int64_t value);
    field_writer& text(std::string_view value);

    std::string take() { return std::move(bytes_); }

  private:
    std::string bytes_;
};

/// Reads fields in order; past the end they are zero and empty. `torn()` when a field is cut off.
class field_reader {
  public:
    explicit field_reader(std::string_view bytes) : rest_(bytes) {}

    std::int64_t number();
    std::string text();
    bool torn() const { return torn_; }

  private:
    std::string_view rest_;
    bool torn_ = false;
};

enum class shim_network : std::int64_t { own = 0, none = 1, join = 2, host = 3 };

/// A mount that the shim makes where only the runtime sees it, at `mounts/INDEX` of the run folder, for the
/// runtime to bind from there.
struct shim_mount {
    std::string name;                // for messages: volume "data"
    std::string source;              // a folder or file of the host; empty: `layers`
    std::vector<std::string> layers; // of an image, topmost first: read-only
    std::string subpath;             // what of it; links lead nowhere but into it. Empty: all
    bool recursive = true;           // with the mounts below it
    bool read_only = false;          // all of these
    bool read_only_or_fail = false;  // where the kernel cannot make them so
    bool shared = false;             // mounts that are made in the one are seen in the other
};

/// A secret or config of the container: a part of the memory file that comes with the setup.
struct secret_file {
    std::string target; // in the container, for messages
    std::int64_t offset = 0;
    std::int64_t size = 0;
    std::int64_t uid = 0;
    std::int64_t gid = 0;
    std::int64_t mode = 0;
};

/// Where lines go beside the file. kind and transport: of log_target (engine/container/launch.hpp).
struct shim_log_target {
    std::int64_t kind = 0; // 0: nowhere
    std::int64_t transport = 0;
    std::string place;
    std::int64_t port = 0;
    std::int64_t facility = 0;
    std::string host_name;
    std::string tag;
    std::string fields;
};

/// What a shim is told at birth. Paths are absolute unless they lie in the run folder, the shim's working
/// directory.
struct shim_setup {
    std::string id;
    std::int64_t generation = 0;
    shim_network network = shim_network::own;
    std::string join_namespace;      // shim_network::join
    std::string runtime;             // program
    std::string runtime_root;        // its state folder
    bool hide_unified = false;       // /sys/fs/cgroup/unified must not be seen by the runtime
    std::vector<std::string> layers; // topmost first
    std::string upper;
    std::string work;
    bool tty = false;
    bool stdin_open = false;
    bool stdin_once = false;
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::string log; // empty: none
    std::int64_t log_max_size = 0;
    std::int64_t log_max_files = 1;
    std::string oom_file;                 // the cgroup's file with the line "oom_kill N"
    std::vector<std::string> mount_files; // in the root: regular files that must be there to be mounted on
    std::vector<shim_mount> mounts;
    std::vector<secret_file> secrets; // of the memory file that is the packet's descriptor
    /// First process of the container whose /dev/shm it has too, at `shm` of the run folder; 0: none.
    std::int64_t shared_memory_of = 0;
    bool log_compress = false;  // what is rotated away
    std::string log_attributes; // a JSON object that each line has; empty: none
    shim_log_target log_target;
    /// The container's ids are those from `first_user_id` on, `user_ids` many; 0: the host's.
    std::int64_t first_user_id = 0;
    std::int64_t user_ids = 0;
    /// First process of the container whose user namespace it is in, as it joins others of its namespaces; 0:
    /// its own.
    std::int64_t user_namespace_of = 0;
    std::vector<std::int64_t> mapped_mounts; // of `mounts`, by index: with the container's ids
};

enum class shim_state : std::int64_t { preparing = 0, starting = 1, running = 2, exited = 3, failed = 4 };

/// All that a shim knows about its container.
struct shim_snapshot {
    shim_state state = shim_state::preparing;
    std::int64_t generation = 0;
    std::int64_t pid = 0;
    std::int64_t shim = 0;
    std::int64_t started_at = 0; // ns since 1970
    std::int64_t code = 0;       // from here on: once exited
    std::int64_t signal = 0;
    std::int64_t oom = 0;
    std::int64_t finished_at = 0; // ns since 1970
    std::int64_t ran_for = 0;     // ns, monotonic
};

struct exec_order {
    std::string process_file; // the OCI process object, in the run folder
    bool tty = false;
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::string name; // by which a later daemon finds it; empty: none looks for it
};

/// Where the shim carries what reaches a socket of the host.
struct forward_target {
    bool udp = false;
    std::string address; // of the container
    std::int64_t port = 0;
};

std::string encode(const std::vector<forward_target>& value);
bool decode(std::string_view payload, std::vector<forward_target>& value);

std::string encode(const shim_setup& value);
std::string encode(const shim_snapshot& value);
std::string encode(const exec_order& value);

/// False when the payload is torn or a list holds more than 512 entries.
bool decode(std::string_view payload, shim_setup& value);
bool decode(std::string_view payload, shim_snapshot& value);
bool decode(std::string_view payload, exec_order& value);

/// The packet of a message, and back; false when it is too short, too long or not of this protocol.
std::string encode_packet(const message& value);
bool decode_packet(std::string_view packet, message& value);

/// Sends one packet without waiting and without SIGPIPE. False with errno set when it did not go whole.
bool send_message(int socket, const message& value, const int* descriptors = nullptr, std::size_t count = 0);

enum class receive_result { message, again, closed };

/// Receives one packet without waiting. `descriptors` are new, close-on-exec and the caller's. A packet that
/// is malformed counts as `closed`: the peer is not one of ours.
receive_result receive_message(int socket, message& value, std::vector<int>& descriptors);

} // namespace engine
