// One client connection from greeting to close, without its socket. The owner moves the bytes:
//
//   readable:  auto to = session.recv_target();  n = recv(to);  n > 0 ? session.received(n) :
//   session.peer_closed(); writable:  k = session.gather(iovecs);  n = writev(iovecs, k); session.consume(n);
//   after either, and after complete(): poll for input if !recv_target().empty(), for output if has_output(),
//   and close the socket once finished().
//
// A WRITE's payload is received into the aligned buffer that goes to disk and peers; only what came in one
// piece with its header is copied. A READ's payload is sent from the buffer that the owner gives. Nothing is
// allocated per request but payloads, from the owner's pool.
//
// Bounds: a request counts from its header until its reply has been sent, so a client that sends requests and
// reads no replies is no longer read from, at `max_requests` or `max_bytes`, or when the pool is empty.
// recv_target() is then empty.
//
// Shutdown as the spec has it: after DISC, after the peer's end of file and after a protocol violation, what
// was asked for is still answered; then finished(). One thread; no exceptions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "base/buffer.h"
#include "nbd/handshake.h"
#include "nbd/in_flight.h"
#include "nbd/input_buffer.h"
#include "nbd/output_queue.h"
#include "nbd/request.h"
#include "nbd/transmission.h"

namespace lockstep::nbd {

struct SessionLimits {
  size_t max_requests = 256;                // at once
  uint64_t max_bytes = 64u << 20;           // payloads at once; one request alone may exceed it
  uint32_t max_payload = kAcceptedPayload;  // of one request. No more than the pool can give is ever accepted
};

class Session {
 public:
  // Directory, sink and pool must outlive the session. Queues the greeting.
  Session(ExportDirectory& directory, RequestSink& sink, BufferPool& pool, SessionLimits limits = {},
          TlsPolicy tls = TlsPolicy::off);
  // For a socket that needs no negotiation, such as one handed to the kernel's client by netlink: simple
  // replies, and requests from the first byte. Does not call RequestSink::opened.
  Session(ExportInfo info, ExportDirectory& directory, RequestSink& sink, BufferPool& pool, SessionLimits limits = {});
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- bytes in ---
  // Where the next bytes go; empty when none are wanted now. The memory stays good until received(), abandon()
  // or the session's end.
  std::span<std::byte> recv_target();
  // `count` bytes, one at least, are now at the front of the last recv_target(). Submits what has become
  // complete.
  void received(size_t count);
  // End of file: the client sends no more. It may still be reading.
  void peer_closed();

  // --- bytes out ---
  bool has_output() const { return !output_.empty(); }
  size_t gather(std::span<iovec> out) const { return output_.gather(out); }
  void consume(size_t count);

  // --- answers: once for each submitted request, in any order, also after shutdown() and abandon() ---
  // `error_number` is an errno, 0 for success. A successful read brings a buffer of at least the length asked
  // for, and must not change it before it was sent. A BLOCK_STATUS that succeeds is complete_status()'s.
  void complete(SlotId slot, int error_number, BufferRef data = {});
  // For each of the request's contexts what is known, from its offset on; what exceeds the request is cut off. One without an extent is
  // answered with EIO.
  void complete_status(SlotId slot, std::vector<ContextStatus> known);

  // --- the owner's decisions ---
  // Pool memory has become free, or a Deferred look-up can be repeated.
  void resume();
  // TLS stands, after wants_tls(). Negotiation begins anew.
  void secured();
  // Fails what is unanswered with ESHUTDOWN, takes no more requests; finished() when the replies are sent.
  void shutdown();
  // The connection is lost: drops what was to be sent. finished() at once.
  void abandon();

  // --- what the owner needs to know ---
  bool finished() const;  // nothing more to send or to receive: close the socket
  // Requests submitted and not completed, also those that nobody waits for any more. The owner keeps the
  // session until zero, or does not complete them.
  size_t outstanding() const { return in_flight_.outstanding(); }
  bool negotiating() const { return std::holds_alternative<Negotiating>(state_); }  // bound this in time
  // More requests may come: neither has the client ended its side or said DISC, nor was it shut down.
  bool takes_requests() const { return !peer_closed_ && !std::holds_alternative<Ending>(state_); }
  // Bytes that have been received of requests that were not yet submitted or refused.
  size_t unjudged_bytes() const;
  // Memory that a client may hold for as long as it likes, unless the owner bounds that: of a WRITE's payload
  // that is being received, and of READs' data that is to be sent. Bytes.
  size_t held_for_receiving() const;
  size_t held_for_sending() const { return output_.held_bytes(); }
  bool waits_for_memory() const { return pause_ == Pause::memory; }        // call resume() when some is back
  bool waits_for_directory() const { return pause_ == Pause::directory; }  // call resume() when it knows
  // The client was told that TLS may begin, and that has been sent: from here on all bytes, both ways, are TLS's.
  bool wants_tls() const { return pause_ == Pause::tls && output_.empty(); }
  // What was agreed on; its export_info is empty while negotiating.
  const Negotiated& negotiated() const { return negotiated_; }

 private:
  struct Negotiating {
    Handshake handshake;
  };
  struct AwaitingRequest {};
  struct ReceivingPayload {
    RequestHeader header;
    BufferRef payload;
    size_t received;  // bytes
  };
  struct SkippingPayload {  // of what is refused
    RequestHeader header;
    size_t left;  // bytes
    WireError error;
  };
  struct Ending {           // no more requests; replies are still sent
    BufferRef recv_target;  // may have been handed out as such
  };

  enum class Pause : uint8_t { none, room, memory, directory, tls };
  enum class Progress : uint8_t { made, need_bytes, paused };

  // Does all that can be done with what is there.
  void pump();
  Progress step(Negotiating& state);
  Progress step(AwaitingRequest& state);
  Progress step(ReceivingPayload& state);
  Progress step(SkippingPayload& state);
  Progress step(Ending& state);

  Progress pause(Pause why);
  bool waits_for_owner() const { return pause_ == Pause::directory || pause_ == Pause::tls; }
  Progress begin_request(const RequestHeader& header, const Verdict& verdict, size_t taken);
  Progress begin_execution(const RequestHeader& header, size_t taken);
  void begin_transmission();
  void end();
  void admit(const RequestHeader& header);
  void submit(const RequestHeader& header, BufferRef payload);
  // What a request took from max_bytes when it was admitted, and its reply gives back.
  enum class Charge : uint8_t { nothing, payload };
  void answer(const RequestHeader& header, WireError error, BufferRef data, Charge charge);
  std::vector<std::byte> status_message(const RequestHeader& header, std::vector<ContextStatus> known) const;
  bool has_room_for(uint32_t bytes) const;

  RequestSink& sink_;
  BufferPool& pool_;
  SessionLimits limits_;
  std::variant<Negotiating, AwaitingRequest, ReceivingPayload, SkippingPayload, Ending> state_;
  Negotiated negotiated_;
  TransmissionRules rules_;
  InputBuffer input_;
  OutputQueue output_;
  InFlight in_flight_;
  size_t admitted_ = 0;          // requests whose reply has not been sent
  uint64_t admitted_bytes_ = 0;  // their payloads
  size_t read_ahead_;            // bytes to receive at once when a header is awaited
  Pause pause_ = Pause::none;
  bool pumping_ = false;
  bool peer_closed_ = false;
};

}  // namespace lockstep::nbd
