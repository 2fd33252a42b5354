#pragma once

#include "compose/model/service.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace compose {

enum class log_driver { json_file, local, none, journald, syslog };

/// plain: as syslog(3) writes to the socket of its host, without the host's name.
enum class syslog_format { plain, rfc3164, rfc5424, rfc5424_micro };

/// A socket that takes syslog messages. either: a unix socket of datagrams or of a stream, whatever is there.
struct syslog_address {
    enum class kind { either, datagram, udp, tcp };

    kind type = kind::either;
    std::string place; // path, or host
    std::uint16_t port = 0;

    bool operator==(const syslog_address&) const = default;
};

/// What `logging` asks for, understood. What is unset is the driver's default.
struct log_choice {
    log_driver driver = log_driver::json_file;
    std::optional<std::uint64_t> max_size; // of the file, or of the copy that journald and syslog have beside
    std::optional<unsigned> max_files;
    std::optional<bool> compress;
    bool no_copy = false; // journald and syslog: nothing to read for `logs`
    std::vector<std::string> labels;
    std::vector<std::string> env;
    std::string labels_regex;
    std::string env_regex;
    std::string tag; // with {{.Name}} and its like
    syslog_address address{.place = "/dev/log"};
    syslog_format format = syslog_format::plain;
    unsigned facility = 3; // daemon
};

/// Hears of what is wrong: the key below `logging`, and why.
using log_fault = std::function<void(const std::string& key, const std::string& message)>;

/// Takes what can be understood and tells `wrong` of the rest.
log_choice understand_logging(const logging& from, const log_fault& wrong);

/// `tag` with the values of what stands in {{.NAME}}. Nothing when there is another one than these, or no
/// end to one: `Name`, `ID`, `FullID`, `ImageName`, `ImageID`, `ImageFullID`, `DaemonName`.
std::optional<std::string> expand_log_tag(
    std::string_view tag, const std::map<std::string, std::string, std::less<>>& values);

/// "json-file" …
std::string_view to_string(log_driver driver) noexcept;

} // namespace compose
