// The control socket against well-behaved and misbehaved clients.
#include "control/control_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "shell/loop/unique_fd.h"

namespace lockstep {
namespace {

class Handler final : public ControlHandler {
 public:
  void handle(ControlRequest request, std::shared_ptr<ControlResponder> responder) override {
    last = request.command;
    if (request.command == "follow") {
      if (!responder->begin_stream()) return responder->finish({20, "", "too many streams"});
      responder->event("the first");
      streams.push_back(responder);
      return;
    }
    if (request.command == "slow") {
      responder->on_hangup([this] { ++hangups; });
      waiting.push_back(responder);
      return;
    }
    if (request.command == "drop") return;
    responder->event("a line");
    responder->finish({11, answer, "err"});
    responder->finish({0, "", ""});  // without effect
  }
  std::string last;
  std::string answer = "out";
  int hangups = 0;
  std::vector<std::shared_ptr<ControlResponder>> waiting;
  std::vector<std::shared_ptr<ControlResponder>> streams;
};

class ControlServerTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/lockstep-control-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    auto loop = EventLoop::create(IoEngine::automatic);
    ASSERT_TRUE(loop.ok());
    loop_ = std::move(loop).value();
    server_ = make();
    ASSERT_NE(server_, nullptr);
  }
  void TearDown() override {
    handler_.waiting.clear();
    handler_.streams.clear();
    server_.reset();
    loop_.reset();
    ::unlink((dir_ + "/control.lock").c_str());
    ::rmdir(dir_.c_str());
  }
  std::unique_ptr<ControlServer> make() {
    auto made = ControlServer::create(*loop_, dir_, handler_);
    return made.ok() ? std::move(made).value() : nullptr;
  }
  int dial() {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, control_socket_path(dir_).c_str());
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  void turn(int times = 20) {
    for (int i = 0; i < times; ++i) loop_->run_once(milliseconds(5));
  }
  std::string ask(const std::string& bytes) {
    const int fd = dial();
    size_t sent = 0;
    std::string got;
    for (int i = 0; i < 200; ++i) {
      if (sent < bytes.size()) {
        const ssize_t put = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (put > 0) sent += static_cast<size_t>(put);
      }
      turn(1);
      char chunk[4096];
      const ssize_t n = ::read(fd, chunk, sizeof chunk);
      if (n > 0) got.append(chunk, static_cast<size_t>(n));
      if (n == 0 || (n < 0 && errno != EAGAIN)) break;
    }
    ::close(fd);
    return got;
  }

  std::string dir_;
  Handler handler_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlServerTest, AnswersOnce) {
  EXPECT_EQ(ask("{\"command\":\"primary\"}\n"), "{\"event\":\"a line\"}\n{\"exit\":11,\"stderr\":\"err\",\"stdout\":\"out\"}\n");
  EXPECT_EQ(handler_.last, "primary");
}

TEST_F(ControlServerTest, ADroppedCommandIsToldSo) {
  const std::string got = ask("{\"command\":\"drop\"}\n");
  EXPECT_NE(got.find("\"exit\":20"), std::string::npos) << got;
  EXPECT_NE(got.find("went down"), std::string::npos) << got;
  turn();
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(ControlServerTest, GarbageGetsAClearError) {
  EXPECT_NE(ask("hello\n").find("the request is not JSON"), std::string::npos);
  EXPECT_NE(ask(std::string(kMaxRequestBytes + 10, 'x')).find("the request is too long"), std::string::npos);
  EXPECT_EQ(handler_.last, "");
  turn();
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(ControlServerTest, HalfARequestThatEndsIsToldSo) {
  const int fd = dial();
  ASSERT_EQ(::send(fd, "{\"comm", 6, 0), 6);
  ::shutdown(fd, SHUT_WR);
  turn();
  char chunk[256] = {};
  ASSERT_GT(::read(fd, chunk, sizeof chunk - 1), 0);
  EXPECT_NE(std::string(chunk).find("without a newline"), std::string::npos);
  ::close(fd);
}

TEST_F(ControlServerTest, NoticesAHangUp) {
  const int fd = dial();
  ASSERT_GT(::send(fd, "{\"command\":\"slow\"}\n", 19, 0), 0);
  turn();
  ASSERT_FALSE(handler_.waiting.empty());
  EXPECT_TRUE(handler_.waiting.back()->open());
  ::close(fd);
  turn();
  EXPECT_EQ(handler_.hangups, 1);
  EXPECT_FALSE(handler_.waiting.back()->open());
  handler_.waiting.back()->finish({0, "", ""});  // without effect
}

TEST_F(ControlServerTest, ConnectionsAreBounded) {
  std::vector<int> fds;
  for (int i = 0; i < 80; ++i) {
    fds.push_back(dial());
    turn(2);
  }
  EXPECT_LE(server_->connections(), 64u);
  for (int fd : fds) ::close(fd);
  turn();
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(ControlServerTest, IdleClientsMakeRoomForTheOperator) {
  std::vector<UniqueFd> idle;
  for (int i = 0; i < 200; ++i) {
    idle.emplace_back(dial());
    if (i % 50 == 0) turn(1);
  }
  EXPECT_NE(ask("{\"command\":\"primary\"}\n").find("\"exit\":11"), std::string::npos);
  EXPECT_LE(server_->connections(), ControlServer::kMaxConnections);
}

TEST_F(ControlServerTest, ClientsThatDoNotFetchTheirAnswersMakeRoom) {
  std::vector<UniqueFd> idle;
  handler_.answer = std::string(1 << 20, 'x');
  for (size_t i = 0; i < ControlServer::kMaxConnections; ++i) {
    idle.emplace_back(dial());
    ASSERT_EQ(::send(idle.back().get(), "{\"command\":\"primary\"}\n", 22, 0), 22);
    turn(3);
  }
  EXPECT_EQ(server_->connections(), ControlServer::kMaxConnections);
  handler_.answer = "short";
  EXPECT_NE(ask("{\"command\":\"primary\"}\n").find("short"), std::string::npos);
}

TEST_F(ControlServerTest, StreamsLeaveRoomForCommands) {
  std::vector<UniqueFd> followers;
  for (size_t i = 0; i < ControlServer::kMaxStreams; ++i) {
    followers.emplace_back(dial());
    ASSERT_EQ(::send(followers.back().get(), "{\"command\":\"follow\"}\n", 21, 0), 21);
    turn(3);
  }
  EXPECT_EQ(handler_.streams.size(), ControlServer::kMaxStreams);
  EXPECT_NE(ask("{\"command\":\"follow\"}\n").find("too many streams"), std::string::npos);
  EXPECT_NE(ask("{\"command\":\"primary\"}\n").find("\"exit\":11"), std::string::npos);
  followers.pop_back();
  turn();
  followers.emplace_back(dial());
  ASSERT_EQ(::send(followers.back().get(), "{\"command\":\"follow\"}\n", 21, 0), 21);
  turn();
  EXPECT_EQ(handler_.streams.size(), ControlServer::kMaxStreams + 1);
  EXPECT_TRUE(handler_.streams.front()->open()) << "a stream is no idle client";
}

TEST_F(ControlServerTest, ALongCommandShowsLife) {
  const UniqueFd client(dial());
  ASSERT_GT(::send(client.get(), "{\"command\":\"slow\"}\n", 19, 0), 0);
  std::string got;
  for (int i = 0; i < 2000 && std::count(got.begin(), got.end(), '\n') < 2; ++i) {
    turn(1);
    char chunk[4096];
    const ssize_t n = ::read(client.get(), chunk, sizeof chunk);
    if (n > 0) got.append(chunk, static_cast<size_t>(n));
  }
  EXPECT_EQ(got, "{\"progress\":{}}\n{\"progress\":{}}\n");
  ASSERT_EQ(handler_.waiting.size(), 1u);
  handler_.waiting.front()->finish({0, "", ""});
  turn(3);
  char chunk[4096] = {};
  ASSERT_GT(::read(client.get(), chunk, sizeof chunk - 1), 0);
  EXPECT_NE(std::string(chunk).find("\"exit\":0"), std::string::npos) << chunk;
}

TEST_F(ControlServerTest, AStreamThatIsNotReadIsBounded) {
  const UniqueFd follower(dial());
  ASSERT_EQ(::send(follower.get(), "{\"command\":\"follow\"}\n", 21, 0), 21);
  turn();
  ASSERT_EQ(handler_.streams.size(), 1u);
  const std::string line(1000, 'x');
  for (int i = 0; i < 100'000 && handler_.streams[0]->open(); ++i) {
    handler_.streams[0]->event(line);
    if (i % 100 == 0) turn(1);
  }
  EXPECT_FALSE(handler_.streams[0]->open());
}

TEST_F(ControlServerTest, WhenAllAreBusyTheNextIsToldSo) {
  std::vector<UniqueFd> busy;
  for (size_t i = 0; i < ControlServer::kMaxConnections; ++i) {
    busy.emplace_back(dial());
    ASSERT_EQ(::send(busy.back().get(), "{\"command\":\"slow\"}\n", 19, 0), 19);
    turn(3);
  }
  EXPECT_NE(ask("{\"command\":\"primary\"}\n").find("as many commands are running"), std::string::npos);
  EXPECT_EQ(server_->connections(), ControlServer::kMaxConnections);
}

TEST_F(ControlServerTest, AStaleSocketIsReplacedAndALivingOneIsNot) {
  EXPECT_EQ(make(), nullptr);
  server_.reset();
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, control_socket_path(dir_).c_str());
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(fd);
  server_ = make();
  EXPECT_NE(server_, nullptr);
}

}  // namespace
}  // namespace lockstep
