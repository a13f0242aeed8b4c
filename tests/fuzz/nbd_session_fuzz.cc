// A whole NBD session under a hostile client and an owner that answers when and how it likes. The input is a
// script: its first byte chooses how the session begins, then each step is an operation. Besides what the
// sanitizers see, this checks that no bound is exceeded, that every session comes to its end, and by
// ReplyReader that the client gets for each request its own answer, once.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <set>
#include <string>
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
  Lookup look_up(std::string_view name, Purpose purpose) override {
    CHECK(!name.empty() && name.size() <= kMaxString);
    if (deferred && purpose == Purpose::open) return Deferred{};
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
  void opened(const ExportInfo& info) override { CHECK(info.size == kVolumeBytes && !was_opened++); }
  void submit(Request request) override {
    const bool flush = request.type == RequestType::flush;
    CHECK(flush ? request.length == 0 : request.length > 0);
    CHECK(request.offset <= kVolumeBytes && request.length <= kVolumeBytes - request.offset);
    CHECK((request.offset | request.length) % 512 == 0);
    CHECK((request.type == RequestType::write) == static_cast<bool>(request.payload));
    if (request.payload) CHECK(request.payload->size() == request.length);
    requests.push_back(std::move(request));
    ++submitted;
  }
  std::vector<Request> requests;
  size_t submitted = 0;
  int was_opened = 0;
};

enum class Opening : uint8_t { plain = 1, structured = 2, extended = 3 };

std::vector<std::byte> opening(Opening how) {
  std::vector<std::byte> out;
  const auto be = [&out](auto value) {
    out.resize(out.size() + sizeof(value));
    put_be(out.data() + out.size() - sizeof(value), value);
  };
  const auto option = [&](Option code, uint32_t length) {
    be(kMagicOption);
    be(static_cast<uint32_t>(code));
    be(length);
  };
  const auto text = [&](std::string_view what) {
    be(static_cast<uint32_t>(what.size()));
    for (char c : what) out.push_back(static_cast<std::byte>(c));
  };
  be(uint32_t{3});
  if (how != Opening::plain) {
    option(how == Opening::extended ? Option::extended_headers : Option::structured_reply, 0);
    option(Option::set_meta_context, 45);
    text("disk");
    be(uint32_t{2});
    text("base:allocation");
    text("own:second");
  }
  option(Option::go, 10);
  text("disk");
  be(uint16_t{0});
  return out;
}

class Run {
 public:
  Run(const uint8_t* data, size_t size)
      : input_(data, size), pool_(kPoolBytes), session_(directory_, owner_, pool_, {8, 128 * 1024, 128 * 1024}) {}
  ~Run() { owner_.requests.clear(); }

  void go() {
    const uint8_t begin = input_.ConsumeIntegral<uint8_t>();
    extended_ = begin % 4 == 3;
    if (begin % 4 != 0) send(opening(static_cast<Opening>(begin % 4)));
    while (input_.remaining_bytes() > 0 && !session_.finished()) {
      step();
      check_bounds();
    }
    finish();
  }

 private:
  void step() {
    switch (input_.ConsumeIntegralInRange<int>(0, 11)) {
      case 0:
        return send(to_bytes(input_.ConsumeRandomLengthString(600)));
      case 1:
        return send(std::vector<std::byte>(input_.ConsumeIntegral<uint16_t>(), std::byte{0x42}));
      case 2:
      case 3:
        return extended_ ? send_extended_request() : send_request();
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
        break;
    }
    switch (input_.ConsumeIntegralInRange<int>(0, 15)) {
      case 0:
        return shut_down();
      case 1:
        return abandon();
      case 2:
        return session_.peer_closed();
    }
  }

  static std::vector<std::byte> to_bytes(const std::string& text) {
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    return {begin, begin + text.size()};
  }

  void send_request() {
    std::vector<std::byte> bytes(kRequestBytes);
    put_be(bytes.data(), kMagicRequest);
    put_be(bytes.data() + 4, static_cast<uint16_t>(input_.ConsumeIntegral<uint8_t>() & 0x1f));
    put_be(bytes.data() + 6, static_cast<uint16_t>(input_.ConsumeIntegralInRange<int>(0, 8)));
    put_be(bytes.data() + 8, next_cookie_++);
    const uint64_t block = input_.ConsumeIntegral<uint32_t>();
    put_be(bytes.data() + 16, block * (input_.ConsumeBool() ? 512 : 1));
    const uint32_t length = input_.ConsumeIntegral<uint32_t>();
    put_be(bytes.data() + 24, input_.ConsumeBool() ? length : (length % 128) * 512);
    send(bytes);
  }

  void send_extended_request() {
    std::vector<std::byte> bytes(kExtendedHeaderBytes);
    const auto command = static_cast<uint16_t>(input_.ConsumeIntegralInRange<int>(0, 8));
    put_be(bytes.data(), kMagicExtendedRequest);
    put_be(bytes.data() + 4, static_cast<uint16_t>(input_.ConsumeIntegral<uint8_t>() & 0x3f));
    put_be(bytes.data() + 6, command);
    put_be(bytes.data() + 8, next_cookie_++);
    put_be(bytes.data() + 16, uint64_t{input_.ConsumeIntegral<uint32_t>()} * 512);
    const uint64_t length = input_.ConsumeIntegral<uint64_t>() >> (input_.ConsumeIntegral<uint8_t>() % 64);
    const size_t contexts = input_.ConsumeIntegralInRange<size_t>(0, 4);
    const bool query = command == static_cast<uint16_t>(Command::block_status) && input_.ConsumeBool();
    put_be(bytes.data() + 24, query ? sizeof(uint64_t) + contexts * sizeof(uint32_t) : length);
    send(bytes);
    if (query) send_query(length, contexts);
  }

  void send_query(uint64_t length, size_t contexts) {
    std::vector<std::byte> bytes(sizeof(uint64_t) + contexts * sizeof(uint32_t));
    put_be(bytes.data(), length);
    for (size_t i = 0; i < contexts; ++i)
      put_be(bytes.data() + sizeof(uint64_t) + i * sizeof(uint32_t), input_.ConsumeIntegralInRange<uint32_t>(0, 40));
    send(bytes);
  }

  void send_option() {
    const std::vector<std::byte> data = to_bytes(input_.ConsumeRandomLengthString(200));
    std::vector<std::byte> bytes(kOptionHeaderBytes);
    put_be(bytes.data(), kMagicOption);
    put_be(bytes.data() + 8, input_.ConsumeIntegralInRange<uint32_t>(0, 12));
    put_be(bytes.data() + 12, static_cast<uint32_t>(data.size()));
    bytes.insert(bytes.end(), data.begin(), data.end());
    send(bytes);
  }

  // What the session does not want now is lost: the stream need not make sense.
  void send(const std::vector<std::byte>& bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const std::span<std::byte> target = session_.recv_target();
      if (target.empty()) return;
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
    complete(request, input_.ConsumeBool() ? 0 : input_.ConsumeIntegral<uint8_t>());
  }

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
    std::vector<Extent> extents;
    while (extents.size() < 5 && input_.ConsumeBool()) {
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
      complete(request, EIO);
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
  bool extended_ = false;
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
