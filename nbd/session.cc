#include "nbd/session.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace lockstep::nbd {

namespace {

constexpr size_t kInputBytes = 64 * 1024;
static_assert(kInputBytes >= kOptionHeaderBytes + kMaxOptionBytes);

// After a large WRITE the next request is probably another one, and what is received beyond its header has to
// be copied: so little is received, but still enough for a row of requests without payload.
constexpr uint32_t kLargeWrite = 16 * 1024;
constexpr size_t kSmallReadAhead = 16 * kRequestBytes;

// Handshake replies that may wait to be sent before the next option is looked at.
constexpr size_t kMaxHandshakeBacklog = 64 * 1024;

// A payload that the pool can never give would wait for ever.
uint32_t payload_bound(const SessionLimits& limits, const BufferPool& pool) {
  const uint64_t largest = std::bit_floor(uint64_t{pool.limit_bytes()});
  return static_cast<uint32_t>(std::min<uint64_t>(limits.max_payload, largest));
}

ReplyTo reply_to(const RequestHeader& header) { return {header.cookie, header.offset, header.extended}; }

}  // namespace

Session::Session(ExportDirectory& directory, RequestSink& sink, BufferPool& pool, SessionLimits limits, TlsPolicy tls)
    : sink_(sink),
      pool_(pool),
      limits_(limits),
      state_(Negotiating{Handshake(directory, payload_bound(limits, pool), tls)}),
      input_(kInputBytes),
      in_flight_(limits.max_requests),
      read_ahead_(kInputBytes) {
  CHECK(limits.max_requests > 0);
  limits_.max_payload = payload_bound(limits, pool);
  std::vector<std::byte> greeting;
  Handshake::greet(greeting);
  output_.push_raw(std::move(greeting));
}

Session::Session(ExportInfo info, ExportDirectory& directory, RequestSink& sink, BufferPool& pool, SessionLimits limits)
    : Session(directory, sink, pool, limits) {
  output_.clear();
  negotiated_.export_info = std::move(info);
  begin_transmission();
}

void Session::begin_transmission() {
  rules_ = TransmissionRules::from(negotiated_, limits_.max_payload);
  CHECK(std::has_single_bit(rules_.minimum_block));
  state_ = AwaitingRequest{};
}

// --- bytes in ---

std::span<std::byte> Session::recv_target() {
  if (peer_closed_ || pause_ != Pause::none || std::holds_alternative<Ending>(state_)) return {};
  if (auto* state = std::get_if<ReceivingPayload>(&state_)) return state->payload->bytes().subspan(state->received);
  return input_.free_space(std::holds_alternative<AwaitingRequest>(state_) ? read_ahead_ : kInputBytes);
}

void Session::received(size_t count) {
  if (std::holds_alternative<Ending>(state_)) return;
  if (auto* state = std::get_if<ReceivingPayload>(&state_)) {
    CHECK(count <= state->payload->size() - state->received);
    state->received += count;
  } else {
    input_.commit(count);
  }
  pump();
}

void Session::peer_closed() {
  peer_closed_ = true;
  if (waits_for_owner()) end();  // whatever the answer, no request can follow it
  pump();
}

void Session::resume() {
  if (pause_ == Pause::directory) pause_ = Pause::none;
  pump();
}

void Session::secured() {
  CHECK(wants_tls());
  pause_ = Pause::none;
  std::get<Negotiating>(state_).handshake.secured();
  pump();
}

void Session::pump() {
  // The sink may complete a request from inside submit(); the loop below then goes on with what that freed.
  if (pumping_ || waits_for_owner()) return;
  pumping_ = true;
  pause_ = Pause::none;
  Progress progress = Progress::made;
  while (progress == Progress::made) {
    progress = std::visit([this](auto& state) { return step(state); }, state_);
  }
  pumping_ = false;
  // All whole requests have been taken; the rest of this one will not come.
  if (peer_closed_ && progress == Progress::need_bytes) end();
}

Session::Progress Session::pause(Pause why) {
  pause_ = why;
  return Progress::paused;
}

Session::Progress Session::step(Negotiating& state) {
  if (output_.bytes() > kMaxHandshakeBacklog) return pause(Pause::room);
  std::vector<std::byte> out;
  const Handshake::Step step = state.handshake.step(input_.unread(), out);
  input_.consume(step.consumed);
  output_.push_raw(std::move(out));
  switch (step.outcome) {
    case Handshake::Outcome::need_more:
      return Progress::need_bytes;
    case Handshake::Outcome::progressed:
      return Progress::made;
    case Handshake::Outcome::deferred:
      return pause(Pause::directory);
    case Handshake::Outcome::transmission:
      negotiated_ = state.handshake.negotiated();
      begin_transmission();
      sink_.opened(negotiated_.export_info);
      return Progress::made;
    case Handshake::Outcome::start_tls:
      // A client waits for the answer. What has come before it was put there by somebody else (CVE-2021-3716).
      if (input_.unread().empty()) return pause(Pause::tls);
      end();
      return Progress::made;
    case Handshake::Outcome::closed:
      end();
      return Progress::made;
  }
  UNREACHABLE("Handshake::Outcome");
}

Session::Progress Session::step(AwaitingRequest&) {
  const std::span<const std::byte> unread = input_.unread();
  const size_t head = header_bytes(rules_.extended_headers);
  if (unread.size() < head) return Progress::need_bytes;
  std::optional<RequestHeader> header = decode_request(unread.first(head), rules_.extended_headers);
  if (!header) {
    end();
    return Progress::made;
  }
  header->contexts = rules_.contexts;
  const size_t query = status_query_bytes(*header, rules_);
  if (query == 0) return begin_request(*header, judge(*header, rules_), head);
  if (unread.size() < head + query) return Progress::need_bytes;
  const bool known = take_status_query(*header, unread.subspan(head, query), rules_);
  return begin_request(*header, known ? judge(*header, rules_) : Verdict{Action::answer, WireError::einval}, head + query);
}

// Takes the header, `taken` bytes of the input, unless there is no room for the request yet.
Session::Progress Session::begin_request(const RequestHeader& header, const Verdict& verdict, size_t taken) {
  switch (verdict.action) {
    case Action::disconnect:
    case Action::violation:
      end();
      return Progress::made;
    case Action::execute:
      return begin_execution(header, taken);
    case Action::answer:
    case Action::report_all_allocated:
      break;
  }
  if (!has_room_for(0)) return pause(Pause::room);
  input_.consume(taken);
  ++admitted_;
  if (verdict.action == Action::report_all_allocated) {
    output_.push_long_reply(status_message(header, {}), 0);
  } else if (header.payload > 0) {
    state_ = SkippingPayload{header, static_cast<size_t>(header.payload), verdict.error};
  } else {
    answer(header, verdict.error, {}, Charge::nothing);
  }
  return Progress::made;
}

Session::Progress Session::begin_execution(const RequestHeader& header, size_t taken) {
  if (!has_room_for(payload_bytes(header))) return pause(Pause::room);
  if (!header.is(Command::write)) {
    read_ahead_ = kInputBytes;
    input_.consume(taken);
    admit(header);
    submit(header, {});
    return Progress::made;
  }
  BufferRef payload = pool_.allocate(payload_bytes(header));
  if (!payload) return pause(Pause::memory);
  read_ahead_ = header.length >= kLargeWrite ? kSmallReadAhead : kInputBytes;
  input_.consume(taken);
  admit(header);
  state_ = ReceivingPayload{header, std::move(payload), 0};
  return Progress::made;
}

Session::Progress Session::step(ReceivingPayload& state) {
  const size_t wanted = state.payload->size() - state.received;
  const std::span<const std::byte> here = input_.unread().first(std::min(wanted, input_.unread().size()));
  std::copy(here.begin(), here.end(), state.payload->data() + state.received);
  state.received += here.size();
  input_.consume(here.size());
  if (state.received < state.payload->size()) return Progress::need_bytes;
  const RequestHeader header = state.header;
  BufferRef payload = std::move(state.payload);
  state_ = AwaitingRequest{};
  submit(header, std::move(payload));
  return Progress::made;
}

Session::Progress Session::step(SkippingPayload& state) {
  const size_t here = std::min(state.left, input_.unread().size());
  input_.consume(here);
  state.left -= here;
  if (state.left > 0) return Progress::need_bytes;
  answer(state.header, state.error, {}, Charge::nothing);
  state_ = AwaitingRequest{};
  return Progress::made;
}

Session::Progress Session::step(Ending&) { return Progress::paused; }

// --- requests and replies ---

bool Session::has_room_for(uint32_t bytes) const {
  if (admitted_ >= limits_.max_requests) return false;
  return bytes == 0 || admitted_bytes_ == 0 || admitted_bytes_ + bytes <= limits_.max_bytes;
}

void Session::admit(const RequestHeader& header) {
  ++admitted_;
  admitted_bytes_ += payload_bytes(header);
}

void Session::submit(const RequestHeader& header, BufferRef payload) {
  Request request = to_request(header, rules_);
  request.slot = in_flight_.add(header);
  request.payload = std::move(payload);
  sink_.submit(std::move(request));
}

void Session::complete(SlotId slot, int error_number, BufferRef data) {
  const InFlight::Removed removed = in_flight_.remove(slot);
  if (!removed.orphaned) answer(removed.header, to_wire_error(error_number), std::move(data), Charge::payload);
  pump();
}

// What is asked of base:allocation is known here where the owner does not say it.
std::vector<std::byte> Session::status_message(const RequestHeader& header, std::vector<ContextStatus> known) const {
  const bool allocated = header.contexts.has(kBaseAllocationId) && !rules_.owners.has(kBaseAllocationId);
  if (allocated) known.insert(known.begin(), {kBaseAllocationId, {{header.length, 0}}});
  if (known.size() != header.contexts.size()) return {};
  return status_reply(reply_to(header), header.length, (header.flags & kCmdReqOne) != 0, known);
}

void Session::complete_status(SlotId slot, std::vector<ContextStatus> known) {
  const auto [header, orphaned] = in_flight_.remove(slot);
  if (!orphaned) {
    CHECK(header.is(Command::block_status));
    std::vector<std::byte> message = status_message(header, std::move(known));
    if (message.empty()) {
      answer(header, WireError::eio, {}, Charge::payload);
    } else {
      output_.push_long_reply(std::move(message), payload_bytes(header));
    }
  }
  pump();
}

// A READ that was judged invalid is answered here too: once structured replies are negotiated, every answer
// to a READ must be one, or the client drops the connection. With extended headers every answer to anything is.
void Session::answer(const RequestHeader& header, WireError error, BufferRef data, Charge charge) {
  const bool is_read = header.is(Command::read);
  const bool structured = header.extended || (rules_.structured_replies && (is_read || header.is(Command::block_status)));
  const size_t data_bytes = is_read && error == WireError::none ? payload_bytes(header) : 0;
  CHECK(data_bytes == 0 || (data && data->size() >= data_bytes));
  const auto head = [&] {
    if (!structured) return simple_reply(header.cookie, error);
    const ReplyTo to = reply_to(header);
    if (error != WireError::none) return error_chunk(to, error);
    CHECK(!header.is(Command::block_status));  // complete_status() is for that
    return data_bytes == 0 ? empty_chunk(to) : data_chunk(to, static_cast<uint32_t>(data_bytes));
  };
  if (data_bytes == 0) data = {};
  output_.push_reply(head(), std::move(data), data_bytes, charge == Charge::payload ? payload_bytes(header) : 0);
}

void Session::consume(size_t count) {
  const OutputQueue::Sent sent = output_.consume(count);
  CHECK(sent.replies <= admitted_ && sent.charged_bytes <= admitted_bytes_);
  admitted_ -= sent.replies;
  admitted_bytes_ -= sent.charged_bytes;
  pump();
}

// --- the end ---

void Session::end() {
  if (std::holds_alternative<Ending>(state_)) return;
  BufferRef payload;
  if (auto* state = std::get_if<ReceivingPayload>(&state_)) payload = std::move(state->payload);
  state_ = Ending{std::move(payload)};
  pause_ = Pause::none;
}

void Session::shutdown() {
  end();
  in_flight_.orphan_all([this](const RequestHeader& header) { answer(header, WireError::eshutdown, {}, Charge::payload); });
}

size_t Session::held_for_receiving() const {
  const auto* state = std::get_if<ReceivingPayload>(&state_);
  return state != nullptr ? state->payload->capacity() : 0;
}

size_t Session::unjudged_bytes() const {
  const auto* state = std::get_if<ReceivingPayload>(&state_);
  const size_t begun = state != nullptr ? header_bytes(state->header.extended) + state->received : 0;
  return begun + input_.unread().size();
}

void Session::abandon() {
  end();
  state_ = Ending{};  // nothing is received into its memory any more
  in_flight_.orphan_all([](const RequestHeader&) {});
  output_.clear();
}

bool Session::finished() const { return std::holds_alternative<Ending>(state_) && in_flight_.waiting() == 0 && output_.empty(); }

}  // namespace lockstep::nbd
