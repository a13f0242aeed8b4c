// Two ends of a link in one process, and relays between them that can be made to lose connections or to swallow everything.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "shell/link/link_manager.h"

namespace lockstep {

inline const ResourceId kResource = Uuid::from_words(1, 2);

inline std::vector<std::byte> secret(const char* text) {
  const auto* bytes = reinterpret_cast<const std::byte*>(text);
  return {bytes, bytes + std::strlen(text)};
}

struct Recorder final : LinkOwner {
  void link_up(Seat, LinkId id) override {
    EXPECT_FALSE(up) << "two links at once";
    EXPECT_GT(id, link);
    up = true;
    link = id;
    ++ups;
  }
  void link_down(Seat, LinkId id, const std::string& text) override {
    EXPECT_TRUE(up);
    EXPECT_EQ(id, link);
    up = false;
    why = text;
    ++downs;
  }
  void message(Seat, LinkId id, Message message, BufferRef payload) override {
    EXPECT_TRUE(up);
    EXPECT_EQ(id, link);
    messages.push_back(std::move(message));
    payloads.push_back(std::move(payload));
  }
  void refused(Seat, const std::string& text) override { refusals.push_back(text); }
  void path_changed(Seat, const std::string& what, bool) override { changes.push_back(what); }
  bool up = false;
  LinkId link;
  int ups = 0;
  int downs = 0;
  std::string why;
  std::vector<Message> messages;
  std::vector<BufferRef> payloads;
  std::vector<std::string> refusals;
  std::vector<std::string> changes;
};

// A TCP relay between the two managers that can be made to lose connections or to swallow everything.
class Relay final : public FdHandler {
 public:
  Relay(EventLoop& loop, SocketAddress target) : loop_(loop), target_(target) {
    auto fd = listen_on({"127.0.0.1", "0"});
    EXPECT_TRUE(fd.ok());
    fd_ = std::move(fd).value();
    loop_.watch(fd_.get(), 1 /* EPOLLIN */, *this);
  }
  ~Relay() override {
    drop();
    loop_.unwatch(fd_.get());
  }
  SocketAddress address() const { return local_address(fd_.get()); }
  void drop(size_t which = SIZE_MAX) {
    for (size_t i = 0; i < pairs_.size(); ++i) {
      if (which == SIZE_MAX || which == i) pairs_[i]->close();
    }
    if (which == SIZE_MAX) pairs_.clear();
  }
  size_t pairs() const { return pairs_.size(); }
  bool deaf = false;                                       // half-open: connections stay, nothing passes
  void mute(size_t which) { pairs_[which]->mute = true; }  // one connection

 private:
  struct Pair {
    struct Side final : FdHandler {
      void on_ready(uint32_t) override { pair->pass(*this); }
      Pair* pair = nullptr;
      UniqueFd fd;
      Side* other = nullptr;
    };
    void pass(Side& from) {
      char bytes[65536];
      const ssize_t got = ::recv(from.fd.get(), bytes, sizeof(bytes), 0);
      if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
      if (got <= 0 && relay->deaf) return close_side(from);  // nothing passes, an end neither
      if (got <= 0) return close();
      if (relay->deaf || mute) return;
      for (ssize_t sent = 0; sent < got;) {
        const ssize_t n = ::send(from.other->fd.get(), bytes + sent, static_cast<size_t>(got - sent), MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return close();
        if (n > 0) sent += n;
      }
    }
    void close() {
      for (Side* side : {&a, &b}) close_side(*side);
    }
    void close_side(Side& side) {
      if (!side.fd.ok()) return;
      relay->loop_.unwatch(side.fd.get());
      side.fd = UniqueFd();
    }
    Relay* relay = nullptr;
    bool mute = false;
    Side a;
    Side b;
  };
  void on_ready(uint32_t) override {
    UniqueFd in(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!in.ok()) return;
    UniqueFd out(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(out.get(), target_.get(), target_.length) != 0) return;
    const int flags = ::fcntl(out.get(), F_GETFL);
    ASSERT_EQ(::fcntl(out.get(), F_SETFL, flags | O_NONBLOCK), 0);
    auto pair = std::make_unique<Pair>();
    pair->relay = this;
    pair->a.pair = pair->b.pair = pair.get();
    pair->a.fd = std::move(in);
    pair->b.fd = std::move(out);
    pair->a.other = &pair->b;
    pair->b.other = &pair->a;
    loop_.watch(pair->a.fd.get(), 1, pair->a);
    loop_.watch(pair->b.fd.get(), 1, pair->b);
    pairs_.push_back(std::move(pair));
  }
  EventLoop& loop_;
  SocketAddress target_;
  UniqueFd fd_;
  std::vector<std::unique_ptr<Pair>> pairs_;
};

inline WriteRequest write_of(uint64_t op, uint64_t length) {
  return {{kResource, 1}, OpId{op}, op, OpKind::write, {0, length}, false};
}

}  // namespace lockstep
