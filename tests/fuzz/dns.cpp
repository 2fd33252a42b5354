#include "engine/network/dns_message.hpp"

#include <cstdlib>

/// Whatever is asked: an answer is a message of its size limit at most, with the id of the query.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::span<const std::uint8_t> message(data, size);
    const auto question = engine::parse_query(message);
    if (!question)
        return 0;
    engine::address_in_ptr(question->name);
    engine::dns_records records;
    records.addresses.resize(40);
    records.addresses6.resize(40);
    records.names.assign(3, "name.of.a.container");
    records.services.push_back({.port = 80, .host = "web"});
    const std::size_t limit = std::min<std::size_t>(question->size_limit, 4096);
    for (const engine::dns_code code :
        {engine::dns_code::no_error, engine::dns_code::name_error, question->refusal}) {
        engine::dns_bytes answer = engine::make_answer(
            message, code, code == engine::dns_code::no_error ? records : engine::dns_records(), limit);
        if (answer.size() > std::max<std::size_t>(limit, 512) ||
            (answer.size() >= 12 && engine::id_of(answer) != question->id))
            std::abort();
        engine::set_id(answer, 1);
    }
    return 0;
}
