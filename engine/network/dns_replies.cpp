#include "engine/network/dns_replies.hpp"

namespace engine {

namespace {

constexpr std::size_t most_remembered = 256;
constexpr std::size_t id_size = 2;
// A name of 255 bytes, the rest of the question and an OPT record are less (RFC 1035 2.3.4).
constexpr std::size_t largest_question = 320;
constexpr std::size_t largest_reply = 1024;

} // namespace

dns_replies::exchange& dns_replies::exchange_of(std::span<const std::uint8_t> message) {
    if (message.size() < id_size || message.size() > largest_question) {
        large_ = {.question = parse_query(message), .records = {}, .reply = {}};
        return large_;
    }
    const std::string key(message.begin() + id_size, message.end());
    if (const auto found = last_.find(key); found != last_.end())
        return found->second;
    if (last_.size() >= most_remembered)
        last_.clear();
    return last_.emplace(key, exchange{.question = parse_query(message), .records = {}, .reply = {}})
        .first->second;
}

const std::optional<dns_question>& dns_replies::question_in(std::span<const std::uint8_t> message) {
    return exchange_of(message).question;
}

dns_bytes dns_replies::answer(
    std::span<const std::uint8_t> message, dns_code code, const dns_records& records, std::size_t limit) {
    exchange& of = exchange_of(message);
    if (of.reply.empty() || of.code != code || of.limit != limit || of.records != records) {
        dns_bytes made = make_answer(message, code, records, limit);
        if (made.size() > largest_reply)
            return made;
        of.code = code;
        of.records = records;
        of.limit = limit;
        of.reply = std::move(made);
    }
    dns_bytes reply = of.reply;
    set_id(reply, id_of(message));
    return reply;
}

} // namespace engine
