#include "engine/network/dns_socket_pool.hpp"

#include "engine/system/blocking.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace engine {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;

dns_bytes query_for(const std::string& label) {
    dns_bytes bytes{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(label.size())};
    bytes.insert(bytes.end(), label.begin(), label.end());
    bytes.insert(bytes.end(), {0, 0, 1, 0, 1});
    return bytes;
}

/// A name server on loopback that says to each query what the test wants said.
class dns_socket_pool_test : public ::testing::Test {
  protected:
    using replies = std::function<std::vector<dns_bytes>(const dns_bytes& query)>;

    dns_socket_pool_test()
        : server(io, udp::endpoint(asio::ip::address_v4::loopback(), 0)),
          pool(io, server.local_endpoint().port()) {}

    task<> serve(replies say) {
        for (;;) {
            dns_bytes asked(512);
            udp::endpoint asker;
            const std::size_t size =
                co_await server.async_receive_from(asio::buffer(asked), asker, asio::use_awaitable);
            asked.resize(size);
            askers.insert(asker.port());
            for (const dns_bytes& each : say(asked))
                server.send_to(asio::buffer(each), asker);
        }
    }

    task<> ask(std::string label) {
        dns_bytes query = query_for(label);
        dns_bytes reply = co_await pool.ask(asio::ip::address_v4::loopback(), std::move(query));
        got.emplace(label, std::move(reply));
        if (got.size() == wanted)
            io.stop();
    }

    task<> ask_in_turn(std::size_t first, std::size_t questions) {
        for (std::size_t number = first; number < first + questions; ++number)
            co_await ask("n" + std::to_string(number));
    }

    void run(std::size_t askers_at_once, std::size_t questions_each, replies say) {
        wanted = askers_at_once * questions_each;
        spawn(io, "server", serve(std::move(say)));
        for (std::size_t asker = 0; asker < askers_at_once; ++asker)
            spawn(io, "asker", ask_in_turn(asker * questions_each, questions_each));
        io.run_for(std::chrono::seconds(10));
    }

    asio::io_context io;
    udp::socket server;
    dns_socket_pool pool;
    std::map<std::string, dns_bytes> got;
    std::set<std::uint16_t> askers; // ports
    std::size_t wanted = 0;
};

dns_bytes reply_to(dns_bytes query) {
    query[2] = 0x81;
    return query;
}

TEST_F(dns_socket_pool_test, each_question_has_its_own_reply_and_ports_are_given_up) {
    constexpr std::size_t at_once = 20;
    constexpr std::size_t each_asks = 15;
    run(at_once, each_asks, [](const dns_bytes& query) { return std::vector<dns_bytes>{reply_to(query)}; });
    ASSERT_EQ(got.size(), at_once * each_asks);
    for (const auto& [label, reply] : got) {
        ASSERT_EQ(reply.size(), query_for(label).size());
        EXPECT_EQ(
            std::string(reply.begin() + 13, reply.begin() + 13 + static_cast<long>(label.size())), label);
    }
    EXPECT_GE(askers.size(), 8U);
    EXPECT_LE(askers.size(), 40U);
}

TEST_F(dns_socket_pool_test, what_answers_no_question_is_passed_over) {
    run(1, 1, [](const dns_bytes& query) {
        dns_bytes wrong_id = reply_to(query);
        wrong_id[0] ^= 0xffU;
        dns_bytes wrong_question = reply_to(query_for("forged"));
        set_id(wrong_question, id_of(query));
        dns_bytes other_capitals = reply_to(query);
        other_capitals[13] = 'N';
        return std::vector<dns_bytes>{
            wrong_id, wrong_question, dns_bytes{1, 2, 3}, dns_bytes(12, 0), other_capitals};
    });
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got["n0"].size(), query_for("n0").size());
    EXPECT_EQ(got["n0"][13], 'N');
}

TEST_F(dns_socket_pool_test, an_error_may_leave_the_question_out) {
    run(1, 1, [](const dns_bytes& query) {
        return std::vector<dns_bytes>{{query[0], query[1], 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0}};
    });
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got["n0"].size(), 12U);
}

TEST_F(dns_socket_pool_test, an_echo_is_no_reply) {
    run(1, 1, [](const dns_bytes& query) { return std::vector<dns_bytes>{query, reply_to(query)}; });
    ASSERT_EQ(got["n0"].size(), query_for("n0").size());
    EXPECT_EQ(got["n0"][2], 0x81);
}

TEST_F(dns_socket_pool_test, what_is_too_large_is_truncated_and_says_so) {
    run(1, 1, [](const dns_bytes& query) {
        dns_bytes large = reply_to(query);
        large[7] = 200; // answers
        large.resize(5000, 1);
        return std::vector<dns_bytes>{large};
    });
    dns_bytes expected = query_for("n0");
    expected[2] = 0x83;
    got["n0"][0] = got["n0"][1] = 0;
    EXPECT_EQ(got["n0"], expected);
}

TEST_F(dns_socket_pool_test, where_nobody_listens_that_is_known_at_once) {
    server.close();
    wanted = 1;
    spawn(io, "question", ask("n0"));
    const auto began = std::chrono::steady_clock::now();
    io.run_for(std::chrono::seconds(10));
    ASSERT_EQ(got.size(), 1U);
    EXPECT_TRUE(got["n0"].empty());
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(1));
}

TEST_F(dns_socket_pool_test, silence_has_an_end) {
    run(1, 1, [](const dns_bytes&) { return std::vector<dns_bytes>(); });
    ASSERT_EQ(got.size(), 1U);
    EXPECT_TRUE(got["n0"].empty());
}

} // namespace
} // namespace engine
