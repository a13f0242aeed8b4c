// Clients of a port that speak TLS with it, by the unix socket.
#pragma once

#include <algorithm>
#include <string>

#include "../tls/authority.h"
#include "client_port_harness.h"
#include "shell/tls/tls_session.h"

namespace lockstep {

// A socket, and the client's side of TLS on it once that has begun.
struct SecretClient {
  UniqueFd fd;
  std::unique_ptr<TlsSession> tls;
};

class ClientTlsTest : public ClientPortTest {
 protected:
  void SetUp() override {
    ClientPortTest::SetUp();
    settings.tls = nbd::TlsPolicy::selective;
    served = directory_of_keys.files("server", authority.server(), authority.pem());
  }
  void start() {
    std::string wrong;
    keys = TlsStore::open(
        served, [this](const std::string& text) { told.push_back(text); }, wrong);
    ASSERT_NE(keys, nullptr) << wrong;
    ClientPortTest::start();
  }
  void allow(const std::string& names) { served.allow = directory_of_keys.put("allow", names); }

  static Bytes option(nbd::Option code, const std::string& data = "") {
    Bytes bytes;
    append(bytes, nbd::kMagicOption);
    append(bytes, static_cast<uint32_t>(code));
    append(bytes, static_cast<uint32_t>(data.size()));
    for (const char c : data) bytes.push_back(static_cast<std::byte>(c));
    return bytes;
  }
  static Bytes go() { return option(nbd::Option::go, std::string("\0\0\0\2r0\0\0", 8)); }

  // Greeted, and told that TLS may begin.
  UniqueFd about_to_begin() {
    UniqueFd fd = connect();
    EXPECT_TRUE(receive(fd, nbd::kGreetingBytes));
    Bytes bytes;
    append<uint32_t>(bytes, nbd::kFlagFixedNewstyle | nbd::kFlagNoZeroes);
    const Bytes starttls = option(nbd::Option::starttls);
    bytes.insert(bytes.end(), starttls.begin(), starttls.end());
    send(fd, bytes);
    EXPECT_TRUE(receive(fd, kOptionReplyBytes));
    EXPECT_EQ(get_be<uint32_t>(received.data() + 12), static_cast<uint32_t>(nbd::OptionReply::ack));
    return fd;
  }
  SecretClient begun(const std::string& name) {
    SecretClient client;
    client.fd = about_to_begin();
    std::string wrong;
    auto shown = TlsCredentials::load(directory_of_keys.files(name, authority.client(name), authority.pem()), wrong);
    client.tls = std::make_unique<TlsSession>(std::move(shown), TlsSession::Side::connecting, client.fd.get(),
                                              std::vector<std::string>{"localhost"});
    return client;
  }
  SecretClient secured(const std::string& name) {
    SecretClient client = begun(name);
    EXPECT_TRUE(until([&] { return client.tls->handshake() == TlsSession::Progress::done; })) << client.tls->failure();
    return client;
  }
  SecretClient open_secret(const std::string& name) {
    SecretClient client = secured(name);
    send(client, option(nbd::Option::export_name, "r0"));
    EXPECT_TRUE(receive(client, 10));
    offered = get_be<uint16_t>(received.data() + 8);
    return client;
  }

  using ClientPortTest::receive;
  using ClientPortTest::reply;
  using ClientPortTest::send;
  // As much as there is room for, by what the port takes meanwhile.
  void send(const SecretClient& to, const Bytes& bytes) {
    size_t sent = 0;
    EXPECT_TRUE(until([&] {
      sent += send_some(to, bytes, sent);
      return sent == bytes.size();
    }));
  }
  static size_t send_some(const SecretClient& to, const Bytes& bytes, size_t from) {
    const std::array<iovec, 1> part{{{const_cast<std::byte*>(bytes.data()) + from, bytes.size() - from}}};
    const ssize_t n = from == bytes.size() ? 0 : to.tls->send(part);
    return n > 0 ? static_cast<size_t>(n) : 0;
  }
  bool receive(const SecretClient& from, size_t count) {
    received.assign(count, {});
    size_t got = 0;
    return until([&] {
      const std::array<iovec, 1> part{{{received.data() + got, count - got}}};
      const ssize_t n = from.tls->receive(part);
      if (n > 0) got += static_cast<size_t>(n);
      return got == count;
    });
  }
  nbd::WireError reply(const SecretClient& from) {
    EXPECT_TRUE(receive(from, nbd::kSimpleReplyBytes));
    return static_cast<nbd::WireError>(get_be<uint32_t>(received.data() + 4));
  }
  // The next option's reply: its type, and its text in `said`.
  template <class Client>
  nbd::OptionReply answered(const Client& from) {
    EXPECT_TRUE(receive(from, kOptionReplyBytes));
    const auto type = static_cast<nbd::OptionReply>(get_be<uint32_t>(received.data() + 12));
    const auto length = get_be<uint32_t>(received.data() + 16);
    EXPECT_TRUE(receive(from, length));
    said.assign(reinterpret_cast<const char*>(received.data()), length);
    return type;
  }
  // 0: the port has said goodbye. Otherwise an errno.
  int end_of(const SecretClient& client) {
    ssize_t n = 1;
    std::byte byte;
    const std::array<iovec, 1> part{{{&byte, 1}}};
    EXPECT_TRUE(until([&] {
      n = client.tls->receive(part);
      return n == 0 || (n < 0 && errno != EAGAIN);
    }));
    return n == 0 ? 0 : errno;
  }

  static constexpr size_t kOptionReplyBytes = 20;
  KeyDirectory directory_of_keys;
  Authority authority;
  TlsFiles served;
  std::vector<std::string> told;
  std::string said;
};

}  // namespace lockstep
