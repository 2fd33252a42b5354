#pragma once

#include "engine/network/dns_message.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

namespace engine {

/// Reads questions and words replies, and remembers the last few of both: containers ask the same again and
/// again, and taking a message apart and putting one together costs more than finding the name. Whether a
/// reply is still true is asked each time: it is given again for the very same records alone. Pure.
class dns_replies {
  public:
    /// As parse_query() says, but for the id. Holds until the next call.
    const std::optional<dns_question>& question_in(std::span<const std::uint8_t> message);

    /// As make_answer() says.
    dns_bytes answer(
        std::span<const std::uint8_t> message, dns_code code, const dns_records& records, std::size_t limit);

  private:
    struct exchange {
        std::optional<dns_question> question;
        dns_code code = dns_code::no_error;
        dns_records records;
        std::size_t limit = 0;
        dns_bytes reply; // empty: none was made yet
    };

    exchange& exchange_of(std::span<const std::uint8_t> message);

    std::unordered_map<std::string, exchange> last_; // by the question's bytes after the id
    exchange large_;                                 // one that is too large to be remembered
};

} // namespace engine
