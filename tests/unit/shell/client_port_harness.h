// The NBD port of a resource with its sockets. The core is played by the test: what it does not answer is parked.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

#include "base/endian.h"
#include "shell/resource/client_port.h"

namespace lockstep {

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

template <class T>
inline void append(Bytes& bytes, T value) {
  bytes.resize(bytes.size() + sizeof(T));
  put_be(bytes.data() + bytes.size() - sizeof(T), value);
}

inline Bytes request(nbd::Command command, uint64_t offset, uint32_t length, size_t payload = 0) {
  Bytes bytes;
  append(bytes, nbd::kMagicRequest);
  append<uint16_t>(bytes, 0);
  append(bytes, static_cast<uint16_t>(command));
  append<uint64_t>(bytes, 77);
  append(bytes, offset);
  append(bytes, length);
  bytes.resize(bytes.size() + payload);
  return bytes;
}

class ClientPortTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = EventLoop::create(IoEngine::automatic);
    ASSERT_TRUE(made.ok());
    loop = std::move(made).value();
    std::string name = (fs::temp_directory_path() / "lockstep-port-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory = name;
    settings.name = "r0";
    settings.nbd = {{directory / "nbd.sock", {}, {}, 0}};
    settings.client_look = milliseconds(2);
    settings.pool_bytes = 64 * 1024;
  }
  void TearDown() override {
    for (auto& parked : submitted) parked.second = {};
    port.reset();
    loop.reset();
    fs::remove_all(directory);
  }
  void start() {
    ClientPort::Upstream upstream;
    upstream.submit = [this](const ClientRequest& asked, BufferRef payload) {
      submitted.emplace_back(asked, std::move(payload));
    };
    upstream.look_up = [this](std::string_view) {
      nbd::ExportInfo info;
      info.name = "r0/0";
      info.size = 64 << 20;
      info.tag = base;
      return nbd::Lookup(info);
    };
    upstream.list = [] { return std::vector<nbd::ExportListing>{{"r0/0", ""}}; };
    upstream.reads_wait = [this] { return reads_wait; };
    port = std::make_unique<ClientPort>(*loop, settings, std::move(upstream));
    if (keys) port->secure_by(std::move(keys));
    ASSERT_TRUE(port->start().ok());
  }

  // Another user is another client. (For root only.)
  UniqueFd connect(uid_t user = 0) {
    if (user != 0) {
      fs::permissions(directory, fs::perms::all);
      fs::permissions(settings.nbd[0].unix_path, fs::perms::all);
      EXPECT_EQ(::seteuid(user), 0);
    }
    UniqueFd fd = connected();
    if (user != 0) {
      EXPECT_EQ(::seteuid(0), 0);
    }
    return fd;
  }
  UniqueFd connected() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, settings.nbd[0].unix_path.c_str());
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  void send(const UniqueFd& to, const Bytes& bytes) {
    ASSERT_EQ(::send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  bool receive(const UniqueFd& from, size_t count) {
    received.assign(count, {});
    size_t got = 0;
    return until([&] {
      const ssize_t n = ::recv(from.get(), received.data() + got, count - got, 0);
      if (n > 0) got += static_cast<size_t>(n);
      return got == count;
    });
  }
  // The next simple reply, which brings no data.
  nbd::WireError reply(const UniqueFd& from) {
    EXPECT_TRUE(receive(from, nbd::kSimpleReplyBytes));
    return static_cast<nbd::WireError>(get_be<uint32_t>(received.data() + 4));
  }
  bool closed(const UniqueFd& fd) {
    std::byte byte;
    const ssize_t n = ::recv(fd.get(), &byte, 1, MSG_PEEK);
    return n == 0 || (n < 0 && errno != EAGAIN);
  }
  // By way of EXPORT_NAME, the shortest.
  UniqueFd open_export(uid_t user = 0) {
    UniqueFd fd = connect(user);
    EXPECT_TRUE(receive(fd, nbd::kGreetingBytes));
    Bytes bytes;
    append<uint32_t>(bytes, nbd::kFlagFixedNewstyle | nbd::kFlagNoZeroes);
    append(bytes, nbd::kMagicOption);
    append(bytes, static_cast<uint32_t>(nbd::Option::export_name));
    append<uint32_t>(bytes, 2);
    bytes.push_back(std::byte{'r'});
    bytes.push_back(std::byte{'0'});
    send(fd, bytes);
    EXPECT_TRUE(receive(fd, 10));
    offered = get_be<uint16_t>(received.data() + 8);
    return fd;
  }
  void answer_first(BufferRef data = {}) {
    ASSERT_FALSE(submitted.empty());
    const ClientIo io = submitted.front().first.io;
    submitted.erase(submitted.begin());
    port->replied(io, IoStatus::ok, std::move(data));
  }

  template <class F>
  bool until(F condition) {
    const Instant end = loop->now() + seconds(20);
    while (!condition() && loop->now() < end) loop->run_once(milliseconds(1));
    return condition();
  }
  // As long as a patient port looks at its clients so often.
  void looks(int64_t count) {
    const Instant end = loop->now() + settings.client_look * count;
    while (loop->now() < end) loop->run_once(milliseconds(1));
  }

  fs::path directory;
  uint64_t base = 0;  // of the export that is opened next
  ResourceSettings settings;
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<ClientPort> port;
  std::unique_ptr<TlsStore> keys;  // for the port, where settings.tls is not off
  std::vector<std::pair<ClientRequest, BufferRef>> submitted;
  bool reads_wait = false;
  Bytes received;        // by the last receive()
  uint16_t offered = 0;  // flags of the export that was opened last
};

}  // namespace lockstep
