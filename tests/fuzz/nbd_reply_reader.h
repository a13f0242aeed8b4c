// The reading half of a client that trusts nothing. Every message of the session has to be whole, well-formed, and asked for; else a CHECK
// fails. What was asked for it takes from the bytes that the session took, by a parser of its own: of nbd/ it uses the numbers only.
#pragma once

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/endian.h"
#include "nbd/protocol.h"

namespace lockstep::nbd {

// Gives `data` what the volume has at `offset`, the beginning of a block: each block has another byte, so that data of another place is
// noticed.
inline void fill_from_volume(std::span<std::byte> data, uint64_t offset) {
  for (size_t at = 0; at < data.size(); at += 512)
    std::memset(data.data() + at, static_cast<uint8_t>((offset + at) / 512 * 7 + 1), std::min<size_t>(512, data.size() - at));
}

// Bytes that come at one end and are taken at the other.
class ByteQueue {
 public:
  void add(std::span<const std::byte> more) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(begin_));
    begin_ = 0;
    bytes_.insert(bytes_.end(), more.begin(), more.end());
  }
  size_t size() const { return bytes_.size() - begin_; }
  std::span<const std::byte> part(size_t at, size_t count) const {
    CHECK(at <= size() && count <= size() - at);
    return {bytes_.data() + begin_ + at, count};
  }
  template <class T>
  T be(size_t at) const {
    return get_be<T>(part(at, sizeof(T)).data());
  }
  void drop(size_t count) {
    CHECK(count <= size());
    begin_ += count;
  }

 private:
  std::vector<std::byte> bytes_;
  size_t begin_ = 0;
};

class ReplyReader {
 public:
  explicit ReplyReader(uint64_t volume_bytes) : volume_bytes_(volume_bytes) {}

  // The session is given these now.
  void sent(std::span<const std::byte> bytes) { asked_.add(bytes); }
  // It has sent these.
  void received(std::span<const std::byte> bytes) {
    if (blind_) return;
    in_.add(bytes);
    while (in_.size() > 0 && !blind_ && read_one()) {
    }
  }
  // It sends no more. `all_answered`: nobody had reason to leave a request without an answer.
  void closed(bool all_answered) {
    if (blind_) return;
    CHECK(greeted_ && in_.size() == 0);
    if (phase_ != Phase::transmission) return;
    take_requests();
    CHECK(!all_answered || pending_.empty());
    for (const auto& [cookie, request] : pending_) CHECK(request.told.empty());
  }

  // Whether it could still tell the replies apart.
  bool sees() const { return !blind_; }
  // Requests that were answered, and those of them that failed.
  size_t answered() const { return answered_; }
  size_t failed() const { return failed_; }

 private:
  enum class Phase : uint8_t { handshake, transmission, over };
  struct Pending {
    uint16_t command;
    uint16_t flags;
    uint64_t offset;
    uint64_t length;
    std::set<uint32_t> contexts;  // of a BLOCK_STATUS
    std::set<uint32_t> told;      // those of them that it has been told about

    bool is(Command which) const { return command == static_cast<uint16_t>(which); }
  };
  using Requests = std::multimap<uint64_t, Pending>;  // by cookie

  // Takes one message, if it is whole.
  bool read_one() {
    if (!greeted_) return read_greeting();
    CHECK(phase_ != Phase::over);
    return phase_ == Phase::handshake ? read_option_reply() : read_reply();
  }

  // --- handshake ---

  bool read_greeting() {
    if (in_.size() < kGreetingBytes) return false;
    CHECK(in_.be<uint64_t>(0) == kMagicServer && in_.be<uint64_t>(8) == kMagicOption);
    CHECK(in_.be<uint16_t>(16) == (kFlagFixedNewstyle | kFlagNoZeroes));
    in_.drop(kGreetingBytes);
    greeted_ = true;
    return true;
  }

  // Options are answered in their order: this is about the first that was not.
  bool read_option_reply() {
    if (!flags_taken_) {
      no_zeroes_ = (asked_.be<uint32_t>(0) & kFlagNoZeroes) != 0;
      asked_.drop(kClientFlagsBytes);
      flags_taken_ = true;
    }
    CHECK(asked_.be<uint64_t>(0) == kMagicOption);
    const auto code = asked_.be<uint32_t>(8);
    const size_t option_bytes = kOptionHeaderBytes + asked_.be<uint32_t>(12);
    const bool whole = asked_.size() >= option_bytes;
    if (code == static_cast<uint32_t>(Option::export_name)) {
      CHECK(whole);
      return read_export_name_reply(option_bytes);
    }
    constexpr size_t kHead = 20;
    if (in_.size() < kHead) return false;
    CHECK(in_.be<uint64_t>(0) == kMagicOptionReply && in_.be<uint32_t>(8) == code);
    const auto type = static_cast<OptionReply>(in_.be<uint32_t>(12));
    const size_t length = in_.be<uint32_t>(16);
    CHECK(length <= sizeof(uint32_t) + 2 * kMaxString);
    if (in_.size() < kHead + length) return false;
    in_.drop(kHead);
    CHECK(whole || type == OptionReply::err_too_big);
    const bool error = (static_cast<uint32_t>(type) & kReplyErrorBit) != 0;
    if (error) {
      CHECK(length <= kMaxString);
    } else {
      take_option_reply(static_cast<Option>(code), type, length);
    }
    in_.drop(length);
    if (error || type == OptionReply::ack) end_option(static_cast<Option>(code), error, option_bytes);
    if (!whole) phase_ = Phase::over;
    return true;
  }

  void take_option_reply(Option code, OptionReply type, size_t length) {
    if (type == OptionReply::ack) {
      CHECK(length == 0);
    } else if (type == OptionReply::server) {
      CHECK(code == Option::list && length >= sizeof(uint32_t));
      CHECK(in_.be<uint32_t>(0) <= length - sizeof(uint32_t));
    } else if (type == OptionReply::info) {
      CHECK((code == Option::info || code == Option::go) && length >= sizeof(uint16_t));
      take_info(static_cast<Info>(in_.be<uint16_t>(0)), length);
    } else {
      CHECK(type == OptionReply::meta_context);
      CHECK(code == Option::list_meta_context || code == Option::set_meta_context);
      CHECK(length > sizeof(uint32_t) && length <= sizeof(uint32_t) + kMaxString);
      CHECK(code != Option::set_meta_context || new_contexts_.insert(in_.be<uint32_t>(0)).second);
    }
  }

  void take_info(Info kind, size_t length) {
    switch (kind) {
      case Info::export_data:
        CHECK(length == 12 && in_.be<uint64_t>(2) == volume_bytes_);
        CHECK((in_.be<uint16_t>(10) & kTransHasFlags) != 0);
        export_told_ = true;
        return;
      case Info::block_size:
        CHECK(length == 14 && in_.be<uint32_t>(2) <= in_.be<uint32_t>(6) && in_.be<uint32_t>(6) <= in_.be<uint32_t>(10));
        return;
      case Info::name:
      case Info::description:
        CHECK(length <= sizeof(uint16_t) + kMaxString);
        return;
    }
    UNREACHABLE("a kind of information that is not known");
  }

  void end_option(Option code, bool error, size_t option_bytes) {
    if (code == Option::set_meta_context) contexts_ = std::exchange(new_contexts_, {});
    if (asked_.size() >= option_bytes) asked_.drop(option_bytes);
    const bool export_told = std::exchange(export_told_, false);
    if (error) return;
    structured_ |= code == Option::structured_reply || code == Option::extended_headers;
    extended_ |= code == Option::extended_headers;
    if (code == Option::abort) phase_ = Phase::over;
    if (code == Option::go) phase_ = Phase::transmission;
    CHECK(export_told == (code == Option::go || code == Option::info));
  }

  bool read_export_name_reply(size_t option_bytes) {
    const size_t bytes = 10 + (no_zeroes_ ? 0 : kExportNamePadding);
    if (in_.size() < bytes) return false;
    CHECK(in_.be<uint64_t>(0) == volume_bytes_ && (in_.be<uint16_t>(8) & kTransHasFlags) != 0);
    for (std::byte zero : in_.part(10, bytes - 10)) CHECK(zero == std::byte{0});
    in_.drop(bytes);
    asked_.drop(option_bytes);
    phase_ = Phase::transmission;
    return true;
  }

  // --- requests: those that are there whole ---

  void take_requests() {
    while (!no_more_requests_ && take_request()) {
    }
  }

  bool take_request() {
    const size_t head = extended_ ? kExtendedHeaderBytes : kRequestBytes;
    if (asked_.size() < head) return false;
    Pending request{asked_.be<uint16_t>(6), asked_.be<uint16_t>(4), asked_.be<uint64_t>(16), 0, contexts_, {}};
    // Whatever follows: it is for nobody.
    no_more_requests_ =
        asked_.be<uint32_t>(0) != (extended_ ? kMagicExtendedRequest : kMagicRequest) || request.is(Command::disc);
    if (no_more_requests_) return false;
    request.length = extended_ ? asked_.be<uint64_t>(24) : asked_.be<uint32_t>(24);
    const bool brings_data = extended_ ? (request.flags & kCmdPayloadLen) != 0 : request.is(Command::write);
    const uint64_t payload = brings_data ? request.length : 0;
    if (payload > asked_.size() - head) return false;
    if (brings_data && request.is(Command::block_status)) take_query(request, head, payload);
    pending_.emplace(asked_.be<uint64_t>(8), std::move(request));
    asked_.drop(head + payload);
    return true;
  }

  // A malformed one asks for nothing, and so nothing but an error can be the answer.
  void take_query(Pending& request, size_t at, uint64_t payload) const {
    request.contexts.clear();
    if (payload < sizeof(uint64_t) || payload % sizeof(uint32_t) != 0) return;
    request.length = asked_.be<uint64_t>(at);
    for (size_t id = sizeof(uint64_t); id < payload; id += sizeof(uint32_t))
      request.contexts.insert(asked_.be<uint32_t>(at + id));
  }

  // --- replies ---

  bool read_reply() {
    if (in_.size() < kSimpleReplyBytes) return false;
    const bool simple = in_.be<uint32_t>(0) == kMagicSimpleReply;
    take_requests();
    const auto [first, last] = pending_.equal_range(in_.be<uint64_t>(8));
    CHECK(first != last);
    // Who gives two requests one cookie cannot tell how long an answer is.
    blind_ = std::next(first) != last;
    if (blind_) return false;
    return simple ? read_simple(first) : read_chunk(first);
  }

  bool read_simple(Requests::iterator which) {
    const Pending& request = which->second;
    CHECK(!extended_);
    CHECK(!structured_ || !(request.is(Command::read) || request.is(Command::block_status)));
    const auto error = in_.be<uint32_t>(4);
    const size_t data = error == 0 && request.is(Command::read) ? request.length : 0;
    CHECK(data <= kAcceptedPayload);
    if (in_.size() - kSimpleReplyBytes < data) return false;
    CHECK(error != 0 || !request.is(Command::block_status));
    check_data(request.offset, in_.part(kSimpleReplyBytes, data));
    in_.drop(kSimpleReplyBytes + data);
    if (error != 0) take_error(request, error);
    end_request(which);
    return true;
  }

  bool read_chunk(Requests::iterator which) {
    Pending& request = which->second;
    const size_t head = extended_ ? kExtendedHeaderBytes : kChunkHeaderBytes;
    CHECK(structured_ && in_.be<uint32_t>(0) == (extended_ ? kMagicExtendedReply : kMagicStructuredReply));
    if (in_.size() < head) return false;
    const auto flags = in_.be<uint16_t>(4);
    const auto type = static_cast<Chunk>(in_.be<uint16_t>(6));
    const uint64_t length = extended_ ? in_.be<uint64_t>(24) : in_.be<uint32_t>(16);
    CHECK(!extended_ || in_.be<uint64_t>(16) == request.offset);
    CHECK(length <= sizeof(uint64_t) + kAcceptedPayload);
    if (in_.size() - head < length) return false;
    in_.drop(head);
    CHECK((flags & ~kChunkDone) == 0);
    const bool done = (flags & kChunkDone) != 0;
    take_chunk(request, type, length, done);
    in_.drop(length);
    if (done) end_request(which);
    return true;
  }

  // What this server promises is stricter than the protocol: one chunk, but for BLOCK_STATUS, that has one a context.
  void take_chunk(Pending& request, Chunk type, size_t length, bool done) {
    CHECK(done || type == Chunk::block_status || type == Chunk::block_status_ext);
    switch (type) {
      case Chunk::none:
        // Success, and where data was asked for that would be none.
        CHECK(length == 0 && !request.is(Command::block_status) && (!request.is(Command::read) || request.length == 0));
        return;
      case Chunk::offset_data:
        CHECK(request.is(Command::read) && request.length > 0 && length == sizeof(uint64_t) + request.length);
        CHECK(in_.be<uint64_t>(0) == request.offset);
        return check_data(request.offset, in_.part(sizeof(uint64_t), request.length));
      case Chunk::block_status:
      case Chunk::block_status_ext:
        CHECK(request.is(Command::block_status) && (type == Chunk::block_status_ext) == extended_);
        take_status(request, length);
        CHECK(done == (request.told == request.contexts));
        return;
      case Chunk::error:
        CHECK(length >= 6 && in_.be<uint16_t>(4) == length - 6 && length - 6 <= kMaxString);
        CHECK(request.told.empty());
        return take_error(request, in_.be<uint32_t>(0));
    }
    UNREACHABLE("a type of chunk that is not known");
  }

  void take_status(Pending& request, size_t length) {
    const size_t head = extended_ ? 8 : 4;
    const size_t each = extended_ ? 16 : 8;
    CHECK(length > head && (length - head) % each == 0);
    const size_t extents = (length - head) / each;
    CHECK(!extended_ || in_.be<uint32_t>(4) == extents);
    const auto context = in_.be<uint32_t>(0);
    CHECK(request.contexts.contains(context) && contexts_.contains(context) && request.told.insert(context).second);
    CHECK(extents == 1 || (request.flags & kCmdReqOne) == 0);
    uint64_t left = request.length;
    for (size_t at = head; at < length; at += each) {
      const uint64_t bytes = extended_ ? in_.be<uint64_t>(at) : in_.be<uint32_t>(at);
      CHECK(bytes > 0 && bytes <= left);
      left -= bytes;
    }
  }

  void take_error(const Pending& request, uint32_t number) {
    const auto error = static_cast<WireError>(number);
    constexpr WireError kOfAnything[] = {WireError::eperm,  WireError::eio,    WireError::enomem,
                                         WireError::einval, WireError::enospc, WireError::eshutdown};
    const bool too_long = error == WireError::eoverflow && request.is(Command::read);
    const bool not_fast = error == WireError::enotsup && request.is(Command::write_zeroes) && (request.flags & kCmdFastZero) != 0;
    CHECK(too_long || not_fast || std::count(std::begin(kOfAnything), std::end(kOfAnything), error) == 1);
    ++failed_;
  }

  static void check_data(uint64_t offset, std::span<const std::byte> data) {
    std::vector<std::byte> expected(data.size());
    fill_from_volume(expected, offset);
    CHECK(data.empty() || std::memcmp(data.data(), expected.data(), data.size()) == 0);
  }

  void end_request(Requests::iterator which) {
    pending_.erase(which);
    ++answered_;
  }

  const uint64_t volume_bytes_;
  ByteQueue asked_;  // of what was sent: what has not been answered, as far as that comes in order
  ByteQueue in_;     // of what was received: the message that is not whole
  Phase phase_ = Phase::handshake;
  bool greeted_ = false;
  bool flags_taken_ = false;
  bool no_zeroes_ = false;
  bool structured_ = false;
  bool extended_ = false;
  bool export_told_ = false;  // by the option that is being answered
  bool no_more_requests_ = false;
  bool blind_ = false;
  std::set<uint32_t> new_contexts_;  // by the option that is being answered
  std::set<uint32_t> contexts_;
  Requests pending_;
  size_t answered_ = 0;
  size_t failed_ = 0;
};

}  // namespace lockstep::nbd
