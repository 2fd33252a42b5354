#include "engine/shim/protocol.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace engine {
namespace {

shim_setup sample_setup() {
    shim_setup setup;
    setup.id = "abc";
    setup.generation = 7;
    setup.network = shim_network::join;
    setup.join_namespace = "/proc/1/ns/net";
    setup.runtime = "/usr/bin/crun";
    setup.runtime_root = "/run/composed/oci";
    setup.hide_unified = true;
    setup.layers = {"/a", "/b"};
    setup.upper = "/u";
    setup.work = "/w";
    setup.tty = true;
    setup.rows = 24;
    setup.columns = 80;
    setup.log = "/l";
    setup.log_max_size = 10;
    setup.log_max_files = 3;
    setup.oom_file = "/o";
    setup.mount_files = {"etc/hosts"};
    setup.secrets = {{.target = "/s", .offset = 1, .size = 2, .uid = 3, .gid = 4, .mode = 0444}};
    setup.log_compress = true;
    setup.log_attributes = "{}";
    setup.log_target = {.kind = 2,
        .transport = 3,
        .place = "10.0.0.1",
        .port = 514,
        .facility = 3,
        .host_name = "h",
        .tag = "t",
        .fields = "f"};
    setup.first_user_id = 100'000;
    setup.user_ids = 65'536;
    setup.user_namespace_of = 9;
    setup.mapped_mounts = {0, 2};
    return setup;
}

std::string hex(std::string_view bytes) {
    std::string text;
    for (const char byte : bytes) {
        char pair[3];
        std::snprintf(pair, sizeof pair, "%02x", static_cast<unsigned char>(byte));
        text += pair;
    }
    return text;
}

TEST(shim_protocol, a_setup_comes_back_as_it_was) {
    shim_setup back;
    ASSERT_TRUE(decode(encode(sample_setup()), back));
    EXPECT_EQ(encode(back), encode(sample_setup()));
    EXPECT_EQ(back.layers, sample_setup().layers);
    EXPECT_EQ(back.mount_files, sample_setup().mount_files);
    EXPECT_EQ(back.network, shim_network::join);
    ASSERT_EQ(back.secrets.size(), 1U);
    EXPECT_EQ(back.secrets[0].target, "/s");
    EXPECT_EQ(back.log_target.fields, "f");
}

// A shim of yesterday speaks with a daemon of today: these bytes may never change.
TEST(shim_protocol, packets_keep_their_bytes) {
    const message signal{
        .type = message_type::signal, .session = 2, .payload = field_writer().number(15).text("x").take()};
    EXPECT_EQ(hex(encode_packet(signal)), "6373686d"
                                          "0100"
                                          "0700"
                                          "02000000"
                                          "11000000"
                                          "0f00000000000000"
                                          "0100000000000000"
                                          "78");
    shim_snapshot snapshot;
    snapshot.state = shim_state::running;
    snapshot.generation = 3;
    snapshot.pid = 258;
    EXPECT_EQ(hex(encode(snapshot)).substr(0, 48), "0200000000000000"
                                                   "0300000000000000"
                                                   "0201000000000000");
}

TEST(shim_protocol, an_exec_comes_back_with_its_name_where_there_is_one) {
    exec_order back;
    ASSERT_TRUE(decode(encode(exec_order{.process_file = "p", .rows = 3, .columns = 4, .name = "n"}), back));
    EXPECT_EQ(back.process_file, "p");
    EXPECT_EQ(back.columns, 4);
    EXPECT_EQ(back.name, "n");
    ASSERT_TRUE(decode(field_writer().text("p").number(0).number(3).number(4).take(), back));
    EXPECT_EQ(back.name, "");
}

TEST(shim_protocol, missing_fields_of_an_older_peer_are_zero) {
    shim_snapshot snapshot;
    ASSERT_TRUE(decode(field_writer().number(2).number(9).take(), snapshot));
    EXPECT_EQ(snapshot.generation, 9);
    EXPECT_EQ(snapshot.pid, 0);
}

TEST(shim_protocol, fields_of_a_newer_peer_are_passed_over) {
    shim_snapshot snapshot;
    EXPECT_TRUE(decode(encode(shim_snapshot()) + field_writer().text("more").take(), snapshot));
}

TEST(shim_protocol, every_torn_payload_is_refused_or_shorter) {
    const std::string whole = encode(sample_setup());
    for (std::size_t length = 0; length < whole.size(); ++length) {
        shim_setup setup;
        if (decode(std::string_view(whole).substr(0, length), setup)) {
            EXPECT_EQ(whole.compare(0, length, encode(setup), 0, length), 0) << length;
        }
    }
}

TEST(shim_protocol, nonsense_is_refused) {
    message out;
    EXPECT_FALSE(decode_packet("", out));
    EXPECT_FALSE(decode_packet(std::string(16, 'x'), out));
    std::string packet = encode_packet({.type = message_type::go, .session = 0, .payload = "12345678"});
    EXPECT_TRUE(decode_packet(packet, out));
    EXPECT_FALSE(decode_packet(packet + "x", out));
    packet.pop_back();
    EXPECT_FALSE(decode_packet(packet, out));
    shim_setup setup;
    EXPECT_FALSE(decode(field_writer().number(-1).take(), setup));
    EXPECT_FALSE(decode(field_writer().number(1LL << 62).take(), setup));
}

class shim_socket : public ::testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    }
    void TearDown() override {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    int ends[2] = {-1, -1};
};

TEST_F(shim_socket, messages_carry_descriptors) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    ASSERT_TRUE(
        send_message(ends[0], {.type = message_type::keep, .session = 5, .payload = {}}, &pipe_ends[1], 1));
    ::close(pipe_ends[1]);
    message in;
    std::vector<int> descriptors;
    ASSERT_EQ(receive_message(ends[1], in, descriptors), receive_result::message);
    EXPECT_EQ(in.type, message_type::keep);
    EXPECT_EQ(in.session, 5U);
    ASSERT_EQ(descriptors.size(), 1U);
    EXPECT_NE(::fcntl(descriptors[0], F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_EQ(::write(descriptors[0], "x", 1), 1);
    ::close(descriptors[0]);
    ::close(pipe_ends[0]);
}

TEST_F(shim_socket, nothing_there_and_nobody_there_are_told_apart) {
    message in;
    std::vector<int> descriptors;
    EXPECT_EQ(receive_message(ends[1], in, descriptors), receive_result::again);
    ::close(ends[0]);
    ends[0] = -1;
    EXPECT_EQ(receive_message(ends[1], in, descriptors), receive_result::closed);
}

TEST_F(shim_socket, a_packet_of_another_language_closes) {
    ASSERT_EQ(::send(ends[0], "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    message in;
    std::vector<int> descriptors;
    EXPECT_EQ(receive_message(ends[1], in, descriptors), receive_result::closed);
}

TEST_F(shim_socket, too_large_a_message_is_refused_by_the_sender) {
    EXPECT_FALSE(send_message(
        ends[0], {.type = message_type::setup, .session = 0, .payload = std::string(max_message, 'x')}));
    EXPECT_EQ(errno, EMSGSIZE);
}

} // namespace
} // namespace engine
