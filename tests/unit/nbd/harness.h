// Both ends of an NBD connection in memory: a directory, a volume of bytes, and a client that writes and
// reads wire format.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/endian.h"
#include "nbd/session.h"

namespace lockstep::nbd {

using Bytes = std::vector<std::byte>;

// Builds what a client sends.
class Message {
 public:
  template <class T>
  Message& be(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    put_be(bytes_.data() + at, value);
    return *this;
  }
  Message& text(std::string_view text) {
    const auto* data = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), data, data + text.size());
    return *this;
  }
  Message& raw(const Bytes& bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Message& fill(size_t count, unsigned char value) {
    bytes_.insert(bytes_.end(), count, static_cast<std::byte>(value));
    return *this;
  }
  operator Bytes() const { return bytes_; }  // NOLINT: implicit on purpose
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

inline Bytes client_flags(uint32_t flags = kFlagFixedNewstyle | kFlagNoZeroes) { return Message().be<uint32_t>(flags); }

inline Bytes option(uint32_t code, const Bytes& data = {}) {
  return Message().be(kMagicOption).be<uint32_t>(code).be(static_cast<uint32_t>(data.size())).raw(data);
}
inline Bytes option(Option code, const Bytes& data = {}) { return option(static_cast<uint32_t>(code), data); }

inline Bytes go_data(std::string_view name, std::vector<uint16_t> infos = {}) {
  Message message;
  message.be(static_cast<uint32_t>(name.size())).text(name).be(static_cast<uint16_t>(infos.size()));
  for (uint16_t info : infos) message.be(info);
  return message;
}

inline Bytes meta_data(std::string_view name, std::vector<std::string> queries) {
  Message message;
  message.be(static_cast<uint32_t>(name.size())).text(name).be(static_cast<uint32_t>(queries.size()));
  for (const std::string& query : queries) message.be(static_cast<uint32_t>(query.size())).text(query);
  return message;
}

inline Bytes request(Command command, uint64_t cookie, uint64_t offset, uint32_t length, uint16_t flags = 0) {
  return Message().be(kMagicRequest).be(flags).be(static_cast<uint16_t>(command)).be(cookie).be(offset).be(length);
}

inline Bytes extended_request(Command command, uint64_t cookie, uint64_t offset, uint64_t length, uint16_t flags = 0) {
  return Message().be(kMagicExtendedRequest).be(flags).be(static_cast<uint16_t>(command)).be(cookie).be(offset).be(length);
}

// Takes apart what the server sends.
class Reader {
 public:
  explicit Reader(Bytes bytes) : bytes_(std::move(bytes)) {}
  template <class T>
  T be() {
    EXPECT_GE(remaining(), sizeof(T));
    if (remaining() < sizeof(T)) return 0;
    const T value = get_be<T>(bytes_.data() + at_);
    at_ += sizeof(T);
    return value;
  }
  Bytes take(size_t count) {
    EXPECT_GE(remaining(), count);
    count = std::min(count, remaining());
    Bytes taken(bytes_.begin() + static_cast<ptrdiff_t>(at_), bytes_.begin() + static_cast<ptrdiff_t>(at_ + count));
    at_ += count;
    return taken;
  }
  std::string text(size_t count) {
    const Bytes taken = take(count);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
  size_t remaining() const { return bytes_.size() - at_; }

 private:
  Bytes bytes_;
  size_t at_ = 0;
};

struct OptionAnswer {
  uint32_t option = 0;
  OptionReply type{};
  Bytes data;
  std::string text() const { return {reinterpret_cast<const char*>(data.data()), data.size()}; }
};

inline OptionAnswer read_option_answer(Reader& in) {
  EXPECT_EQ(in.be<uint64_t>(), kMagicOptionReply);
  OptionAnswer answer;
  answer.option = in.be<uint32_t>();
  answer.type = static_cast<OptionReply>(in.be<uint32_t>());
  answer.data = in.take(in.be<uint32_t>());
  return answer;
}

// One reply of any kind. `chunk` is set for a structured or extended one.
struct Answer {
  uint64_t cookie = 0;
  WireError error = WireError::none;
  std::optional<Chunk> chunk;
  bool extended = false;
  uint64_t request_offset = 0;  // of an extended one
  uint64_t offset = 0;
  Bytes data;
};

// `read_length`: what a successful simple reply to this cookie carries.
inline Answer read_answer(Reader& in, const std::map<uint64_t, uint32_t>& read_lengths = {}, uint16_t flags = kChunkDone) {
  Answer answer;
  const uint32_t magic = in.be<uint32_t>();
  if (magic == kMagicSimpleReply) {
    answer.error = static_cast<WireError>(in.be<uint32_t>());
    answer.cookie = in.be<uint64_t>();
    const auto found = read_lengths.find(answer.cookie);
    if (answer.error == WireError::none && found != read_lengths.end()) answer.data = in.take(found->second);
    return answer;
  }
  answer.extended = magic == kMagicExtendedReply;
  EXPECT_TRUE(answer.extended || magic == kMagicStructuredReply) << magic;
  EXPECT_EQ(in.be<uint16_t>(), flags);
  answer.chunk = static_cast<Chunk>(in.be<uint16_t>());
  answer.cookie = in.be<uint64_t>();
  if (answer.extended) answer.request_offset = in.be<uint64_t>();
  answer.data = in.take(answer.extended ? in.be<uint64_t>() : in.be<uint32_t>());
  Reader payload(answer.data);
  if (answer.chunk == Chunk::error) {
    answer.error = static_cast<WireError>(payload.be<uint32_t>());
    const size_t text_bytes = payload.be<uint16_t>();
    EXPECT_EQ(text_bytes, payload.remaining());
  } else if (answer.chunk == Chunk::offset_data) {
    answer.offset = payload.be<uint64_t>();
    answer.data = payload.take(payload.remaining());
  }
  return answer;
}

class FakeDirectory : public ExportDirectory {
 public:
  FakeDirectory() { add("disk", 1 << 20); }
  void add(const std::string& name, uint64_t size) {
    ExportInfo info;
    info.name = name;
    info.size = size;
    info.tag = exports.size() + 7;
    exports[name] = info;
  }
  std::vector<ExportListing> list() override {
    ++calls;
    std::vector<ExportListing> all;
    for (const auto& [name, info] : exports) all.push_back({name, info.description});
    return all;
  }
  Lookup look_up(std::string_view name, Purpose purpose) override {
    ++calls;
    if (purpose == Purpose::open) ++opens;
    if (deferred) return Deferred{};
    const auto found = exports.find(std::string(name));
    if (found == exports.end()) return Refusal{Refusal::Kind::unknown, "no export named " + std::string(name)};
    if (refusal) return *refusal;
    return found->second;
  }

  std::map<std::string, ExportInfo> exports;
  std::optional<Refusal> refusal;
  bool deferred = false;
  int calls = 0;
  int opens = 0;
};

class FakeSink : public RequestSink {
 public:
  void opened(const ExportInfo& info) override { opened_tags.push_back(info.tag); }
  void submit(Request request) override {
    if (on_submit) {
      on_submit(request);
    } else {
      requests.push_back(std::move(request));
    }
  }
  std::vector<uint64_t> opened_tags;
  std::deque<Request> requests;
  std::function<void(Request&)> on_submit;
};

// A session with its surroundings, and the client's side of the connection.
class Connection {
 public:
  explicit Connection(SessionLimits limits = {}, size_t pool_bytes = 256u << 20, TlsPolicy tls = TlsPolicy::off)
      : limits_(limits), pool(pool_bytes), session(std::make_unique<Session>(directory, sink, pool, limits, tls)) {}
  explicit Connection(TlsPolicy tls) : Connection({}, 256u << 20, tls) {}
  ~Connection() {
    sink.requests.clear();
    session.reset();
  }

  // Delivers bytes in pieces of at most `piece`, as long as the session wants them. Returns how many it took.
  size_t send(const Bytes& bytes, size_t piece = SIZE_MAX) {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const std::span<std::byte> target = session->recv_target();
      if (target.empty()) break;
      const size_t count = std::min({piece, target.size(), bytes.size() - sent});
      std::memcpy(target.data(), bytes.data() + sent, count);
      sent += count;
      session->received(count);
    }
    return sent;
  }

  // Receives everything that the session has to send, `piece` bytes at a time.
  Bytes receive(size_t piece = SIZE_MAX) {
    Bytes all;
    while (session->has_output()) {
      iovec vectors[8];
      const size_t count = session->gather(vectors);
      EXPECT_GT(count, 0u);
      size_t taken = 0;
      for (size_t i = 0; i < count && taken < piece; ++i) {
        const size_t part = std::min(piece - taken, vectors[i].iov_len);
        const auto* data = static_cast<const std::byte*>(vectors[i].iov_base);
        all.insert(all.end(), data, data + part);
        taken += part;
      }
      session->consume(taken);
    }
    return all;
  }

  // Sends one option and returns its last reply.
  OptionAnswer ask(const Bytes& bytes) {
    EXPECT_EQ(send(bytes), bytes.size());
    Reader in(receive());
    OptionAnswer answer;
    do {
      answer = read_option_answer(in);
    } while (in.remaining() > 0);
    return answer;
  }

  void greet(uint32_t flags = kFlagFixedNewstyle | kFlagNoZeroes) {
    send(client_flags(flags));
    receive();
  }

  // To the transmission phase.
  void open(bool structured = false, bool status = false) {
    greet();
    if (structured) {
      EXPECT_EQ(ask(option(Option::structured_reply)).type, OptionReply::ack);
    }
    if (status) {
      EXPECT_EQ(ask(option(Option::set_meta_context, meta_data("disk", {"base:allocation"}))).type, OptionReply::ack);
    }
    EXPECT_EQ(ask(option(Option::go, go_data("disk"))).type, OptionReply::ack);
    EXPECT_FALSE(session->negotiating());
  }

  Request next() {
    EXPECT_FALSE(sink.requests.empty());
    if (sink.requests.empty()) return {};
    Request first = std::move(sink.requests.front());
    sink.requests.pop_front();
    return first;
  }

  BufferRef data(uint64_t length, unsigned char value) {
    BufferRef buffer = pool.allocate(length);
    std::memset(buffer->data(), value, length);
    return buffer;
  }

  // Sends one request and expects it to be answered without the sink.
  Answer refused(const Bytes& bytes) {
    EXPECT_EQ(send(bytes), bytes.size());
    EXPECT_TRUE(sink.requests.empty());
    Reader in(receive());
    const Answer answer = read_answer(in);
    EXPECT_EQ(in.remaining(), 0u);
    return answer;
  }

 private:
  SessionLimits limits_;

 public:
  FakeDirectory directory;
  FakeSink sink;
  BufferPool pool;
  std::unique_ptr<Session> session;
};

}  // namespace lockstep::nbd
