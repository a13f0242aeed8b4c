// A whole NBD session under a hostile client and an owner that answers when and how it likes. The input is a
// script: its first byte chooses how the session begins, then each step is an operation. Besides what the
// sanitizers see, this checks that no bound is exceeded, that every session comes to its end, and by
// ReplyReader that the client gets for each request its own answer, once.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/endian.h"
#include "nbd/session.h"
#include "nbd_reply_reader.h"

namespace {

using namespace lockstep;
using namespace lockstep::nbd;

constexpr uint64_t kVolumeBytes = uint64_t{6} << 30;
constexpr size_t kPoolBytes = 256 * 1024;

class Directory : public ExportDirectory {
 public:
  std::vector<ExportListing> list() override { return {{"disk", "one"}, {"other", ""}}; }
  Lookup look_up(std::string_view name, Purpose) override {
    CHECK(!name.empty() && name.size() <= kMaxString);
    if (deferred) return Deferred{};
    if (name == "policy") return Refusal{Refusal::Kind::policy, "not Primary"};
    if (name != "disk" && name != "other") return Refusal{Refusal::Kind::unknown, "no export " + std::string(name)};
    ExportInfo info;
    info.name = name;
    info.size = kVolumeBytes;
    info.reports_extents = name == "disk";
    info.fast_zeroes = name == "disk";
    info.contexts = {"own:first", "own:second"};
    info.read_only = name == "other";
    return info;
  }
  bool deferred = false;
};

class Owner : public RequestSink {
 public:
  void opened(const ExportInfo& info) override {
    CHECK(info.size == kVolumeBytes && !was_opened++);
    read_only = info.read_only;
  }
  void submit(Request request) override {
    const bool flush = request.type == RequestType::flush;
    CHECK(flush ? request.length == 0 : request.length > 0);
    CHECK(request.offset <= kVolumeBytes && request.length <= kVolumeBytes - request.offset);
    CHECK((request.offset | request.length) % 512 == 0);
    CHECK((request.type == RequestType::write) == static_cast<bool>(request.payload));
    if (request.payload) CHECK(request.payload->size() == request.length);
    CHECK(!read_only || request.type == RequestType::read || request.type == RequestType::block_status || flush);
    ++submitted;
    if (answers_at_once) return at_once(request);
    requests.push_back(std::move(request));
  }
  bool answers_at_once = false;
  std::function<void(const Request&)> at_once;
  std::vector<Request> requests;
  size_t submitted = 0;
  int was_opened = 0;
  bool read_only = false;
};

using Bytes = std::vector<std::byte>;

// Builds what a client sends.
class Message {
 public:
  template <class T>
  Message& be(T value) {
    bytes_.resize(bytes_.size() + sizeof(value));
    put_be(bytes_.data() + bytes_.size() - sizeof(value), value);
    return *this;
  }
  Message& raw(std::string_view text) {
    const auto* data = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), data, data + text.size());
    return *this;
  }
  Message& text(std::string_view text) { return be(static_cast<uint32_t>(text.size())).raw(text); }
  Message& option(uint32_t code, const Bytes& data) {
    be(kMagicOption).be(code).be(static_cast<uint32_t>(data.size()));
    bytes_.insert(bytes_.end(), data.begin(), data.end());
    return *this;
  }
  Message& option(Option code, const Bytes& data) { return option(static_cast<uint32_t>(code), data); }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

// How a session begins: what of the negotiation is done before the script.
enum class Opening : uint8_t { nothing, plain, structured, extended, client_flags };
constexpr uint8_t kOpenings = 5;

Bytes opening(Opening how) {
  Message out;
  if (how == Opening::nothing) return {};
  out.be(uint32_t{kFlagFixedNewstyle | kFlagNoZeroes});
  if (how == Opening::client_flags) return out.bytes();
  if (how != Opening::plain) {
    out.option(how == Opening::extended ? Option::extended_headers : Option::structured_reply, {});
    const Message contexts = Message().text("disk").be(uint32_t{2}).text("base:allocation").text("own:second");
    out.option(Option::set_meta_context, contexts.bytes());
  }
  return out.option(Option::go, Message().text("disk").be(uint16_t{0}).bytes()).bytes();
}

class Run {
 public:
  Run(const uint8_t* data, size_t size)
      : input_(data, size), pool_(kPoolBytes), session_(directory_, owner_, pool_, {8, 128 * 1024, 128 * 1024}) {}
  ~Run() { owner_.requests.clear(); }

  void go() {
    owner_.at_once = [this](const Request& request) { answer(request); };
    send(opening(static_cast<Opening>(input_.ConsumeIntegral<uint8_t>() % kOpenings)));
    while (input_.remaining_bytes() > 0 && !session_.finished()) {
      step();
      check_bounds();
    }
    finish();
  }

 private:
  void step() {
    switch (input_.ConsumeIntegralInRange<int>(0, 14)) {
      case 0:
        return send(to_bytes(input_.ConsumeRandomLengthString(600)));
      case 1:
        return send(Bytes(input_.ConsumeIntegral<uint16_t>(), std::byte{0x42}));
      case 2:
      case 3:
        return session_.negotiated().extended_headers ? send_extended_request() : send_request();
      case 4:
      case 5:
        return complete_one();
      case 6:
        return drain(input_.ConsumeIntegralInRange<size_t>(1, 300));
      case 7:
        return drain(SIZE_MAX);
      case 8:
        return send_option();
      case 9:
        directory_.deferred = !directory_.deferred;
        return session_.resume();
      case 10:
        hog_ = hog_ ? BufferRef() : pool_.allocate(kPoolBytes / 2);
        return session_.resume();
      case 11:
      case 12:
        return send_good_option();
      case 13:
        owner_.answers_at_once = !owner_.answers_at_once;
        return;
      case 14:
        break;
    }
    switch (input_.ConsumeIntegralInRange<int>(0, 15)) {
      case 0:
        return shut_down();
      case 1:
        return abandon();
      case 2:
        return session_.peer_closed();
      case 3:
        meanwhile_ = [this] { complete_one(); };
        return;
      case 4:
        meanwhile_ = [this] { drain(SIZE_MAX); };
        return;
      case 5:
        meanwhile_ = [this] { session_.resume(); };
        return;
      case 6:
        meanwhile_ = [this] { shut_down(); };
        return;
    }
  }

  static Bytes to_bytes(const std::string& text) {
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    return {begin, begin + text.size()};
  }

  uint16_t some_flags() { return input_.ConsumeBool() ? input_.ConsumeIntegral<uint8_t>() & 0x3f : 0; }

  // Most offsets and lengths are such that they are served, or just not.
  uint64_t some_offset() {
    if (input_.ConsumeIntegralInRange<int>(0, 7) == 0) return input_.ConsumeIntegral<uint64_t>();
    return input_.ConsumeIntegralInRange<uint64_t>(0, kVolumeBytes / 512) * 512;
  }

  uint64_t some_length(uint64_t offset) {
    switch (input_.ConsumeIntegralInRange<int>(0, 7)) {
      case 0:
        return input_.ConsumeIntegral<uint64_t>() >> (input_.ConsumeIntegral<uint8_t>() % 64);
      case 1:
        return kVolumeBytes - offset;
      case 2:
        return input_.ConsumeIntegral<uint32_t>() * uint64_t{512};
    }
    return input_.ConsumeIntegralInRange<uint64_t>(0, 257) * 512;
  }

  void send_request() {
    Message message;
    message.be(kMagicRequest).be(some_flags());
    message.be(input_.ConsumeIntegralInRange<uint16_t>(0, 8)).be(next_cookie_++);
    const uint64_t offset = some_offset();
    send(message.be(offset).be(static_cast<uint32_t>(some_length(offset))).bytes());
  }

  void send_extended_request() {
    Message message;
    message.be(kMagicExtendedRequest).be(some_flags());
    const auto command = input_.ConsumeIntegralInRange<uint16_t>(0, 8);
    const uint64_t offset = some_offset();
    const uint64_t length = some_length(offset);
    message.be(command).be(next_cookie_++).be(offset);
    const bool query = command == static_cast<uint16_t>(Command::block_status) && input_.ConsumeBool();
    if (!query) return send(message.be(length).bytes());
    const auto contexts = input_.ConsumeIntegralInRange<uint64_t>(0, 4);
    message.be(sizeof(uint64_t) + contexts * sizeof(uint32_t)).be(length);
    for (uint64_t i = 0; i < contexts; ++i) message.be(some_context_id());
    send(message.bytes());
  }

  uint32_t some_context_id() {
    const auto id = input_.ConsumeIntegralInRange<uint32_t>(0, 5);
    return id < 5 ? id : input_.ConsumeIntegralInRange<uint32_t>(5, 40);
  }

  void send_option() {
    const Bytes data = to_bytes(input_.ConsumeRandomLengthString(200));
    send(Message().option(input_.ConsumeIntegralInRange<uint32_t>(0, 12), data).bytes());
  }

  // Well-formed: it would take the fuzzer long to find that.
  void send_good_option() {
    constexpr Option kOptions[] = {Option::export_name,
                                   Option::list,
                                   Option::info,
                                   Option::go,
                                   Option::structured_reply,
                                   Option::list_meta_context,
                                   Option::set_meta_context,
                                   Option::extended_headers,
                                   Option::abort};
    const Option code = input_.PickValueInArray(kOptions);
    send(Message().option(code, option_data(code)).bytes());
  }

  Bytes option_data(Option code) {
    Message data;
    if (code == Option::export_name) data.raw(some_name());
    if (code == Option::info || code == Option::go) {
      const auto count = input_.ConsumeIntegralInRange<uint16_t>(0, 4);
      data.text(some_name()).be(count);
      for (uint16_t i = 0; i < count; ++i) data.be(input_.ConsumeIntegralInRange<uint16_t>(0, 4));
    }
    if (code == Option::list_meta_context || code == Option::set_meta_context) {
      const auto count = input_.ConsumeIntegralInRange<uint32_t>(0, 4);
      data.text(some_name()).be(count);
      for (uint32_t i = 0; i < count; ++i) data.text(some_context());
    }
    return data.bytes();
  }

  std::string some_name() {
    constexpr const char* kNames[] = {"disk", "disk", "other", "policy", "none", ""};
    const size_t which = input_.ConsumeIntegralInRange<size_t>(0, std::size(kNames));
    return which < std::size(kNames) ? kNames[which] : std::string(input_.ConsumeIntegralInRange<size_t>(4090, 4100), 'x');
  }

  std::string some_context() {
    constexpr const char* kContexts[] = {"base:allocation", "own:first", "own:second", "own:", "base:", "own:none", ""};
    return input_.PickValueInArray(kContexts);
  }

  // What the session does not want now is lost: the stream need not make sense.
  void send(const Bytes& bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const std::span<std::byte> target = session_.recv_target();
      if (target.empty()) return;
      if (const auto what = std::exchange(meanwhile_, nullptr)) what();
      const size_t count = std::min(target.size(), bytes.size() - sent);
      std::memcpy(target.data(), bytes.data() + sent, count);
      reader_.sent(target.first(count));
      sent += count;
      session_.received(count);
    }
  }

  void complete_one() {
    if (owner_.requests.empty()) return;
    const size_t which = input_.ConsumeIntegralInRange<size_t>(0, owner_.requests.size() - 1);
    const Request request = std::move(owner_.requests[which]);
    owner_.requests.erase(owner_.requests.begin() + static_cast<ptrdiff_t>(which));
    answer(request);
  }

  void answer(const Request& request) { complete(request, input_.ConsumeBool() ? 0 : input_.ConsumeIntegral<uint8_t>()); }

  // What is unanswered fails now, and what the owner says of it later is told to nobody.
  void shut_down() {
    if (!given_up_) failed_ += owner_.requests.size();
    given_up_ = true;
    session_.shutdown();
  }

  void abandon() {
    given_up_ = abandoned_ = true;
    session_.abandon();
    CHECK(session_.finished() && !session_.has_output());
  }

  void complete(const Request& request, int error) {
    if (error == 0 && request.type == RequestType::block_status) {
      std::vector<ContextStatus> known;
      request.contexts.each([&](uint32_t id) { known.push_back({id, some_extents()}); });
      return session_.complete_status(request.slot, std::move(known));
    }
    BufferRef data;
    if (error == 0 && request.type == RequestType::read) {
      data = pool_.allocate(request.length);
      if (!data) error = ENOMEM;
      if (data) fill_from_volume(data->bytes().first(request.length), request.offset);
    }
    if (error != 0 && !given_up_) ++failed_;
    session_.complete(request.slot, error, std::move(data));
  }

  std::vector<Extent> some_extents() {
    if (input_.ConsumeIntegralInRange<int>(0, 3) == 0) return {{kVolumeBytes, 0}};
    std::vector<Extent> extents;
    while (extents.size() < 5 && input_.ConsumeIntegralInRange<int>(0, 3) != 0) {
      const uint64_t length = input_.ConsumeIntegral<uint64_t>() >> (input_.ConsumeIntegral<uint8_t>() % 64);
      extents.push_back({length, input_.ConsumeIntegral<uint8_t>()});
    }
    return extents;
  }

  void drain(size_t most) {
    while (most > 0 && session_.has_output()) {
      iovec vectors[5];
      const size_t used = session_.gather(vectors);
      CHECK(used > 0);
      size_t taken = 0;
      for (size_t i = 0; i < used && taken < most; ++i) {
        CHECK(vectors[i].iov_len > 0);
        const size_t part = std::min(most - taken, vectors[i].iov_len);
        reader_.received({static_cast<const std::byte*>(vectors[i].iov_base), part});
        taken += part;
      }
      session_.consume(taken);
      most -= taken;
    }
  }

  void check_bounds() {
    CHECK(session_.outstanding() <= 8);
    CHECK(session_.outstanding() == owner_.requests.size());
    CHECK(!session_.finished() || session_.recv_target().empty());
  }

  // The client hangs up, the owner answers everything: then the session must be at its end.
  void finish() {
    directory_.deferred = false;
    hog_ = {};
    session_.peer_closed();
    for (int round = 0; round < 100000 && !(session_.finished() && owner_.requests.empty()); ++round) {
      drain(SIZE_MAX);
      session_.resume();
      if (owner_.requests.empty()) continue;
      const Request request = std::move(owner_.requests.back());
      owner_.requests.pop_back();
      answer(request);
    }
    CHECK(session_.finished() && session_.outstanding() == 0);
    if (abandoned_) return;
    reader_.closed(!given_up_);
    if (!reader_.sees()) return;
    CHECK(reader_.answered() >= owner_.submitted);
    CHECK(reader_.failed() >= failed_);
  }

  FuzzedDataProvider input_;
  Directory directory_;
  Owner owner_;
  BufferPool pool_;
  BufferRef hog_;
  Session session_;
  std::function<void()> meanwhile_;  // happens once while bytes are being received: into memory that has to stay good
  uint64_t next_cookie_ = 1;
  ReplyReader reader_{kVolumeBytes};
  size_t failed_ = 0;  // requests that the client must have seen fail
  bool given_up_ = false;
  bool abandoned_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Run(data, size).go();
  return 0;
}
