#include "shell/resource/client_requests.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"

namespace lockstep {

namespace {

constexpr uint32_t kPiecesAtOnce = 4;  // of one request

OpKind kind_of(nbd::RequestType type) {
  switch (type) {
    case nbd::RequestType::read:
      return OpKind::read;
    case nbd::RequestType::write:
      return OpKind::write;
    case nbd::RequestType::write_zeroes:
      return OpKind::write_zeroes;
    case nbd::RequestType::trim:
      return OpKind::trim;
    case nbd::RequestType::flush:
      return OpKind::flush;
    case nbd::RequestType::block_status:
      break;
  }
  UNREACHABLE("a block status request is none for the core");
}

}  // namespace

bool changes(nbd::RequestType type) {
  return type == nbd::RequestType::write || type == nbd::RequestType::write_zeroes || type == nbd::RequestType::trim;
}

int error_number(IoStatus status) {
  switch (status) {
    case IoStatus::ok:
      return 0;
    case IoStatus::io_error:
    case IoStatus::corrupt:
      return EIO;
    case IoStatus::no_space:
      return ENOSPC;
    case IoStatus::invalid:
      return EINVAL;
    case IoStatus::shut_down:
      return ESHUTDOWN;
  }
  return EIO;
}

// The session has seen to it that the request stays within the export.
void ClientRequests::take(Sequence connection, uint64_t base, nbd::Request request) {
  const Sequence id = next();
  Pending& pending = pending_[id];
  pending.connection = connection;
  pending.slot = request.slot;
  pending.kind = kind_of(request.type);
  pending.fua = request.fua;
  pending.left = {pending.kind == OpKind::flush ? 0 : base + request.offset, request.length};
  pending.payload = std::move(request.payload);
  queue_.push_back(id);
  hand_on();
}

// In turns, so that nobody waits behind all the pieces of a request that covers the whole volume.
void ClientRequests::hand_on() {
  while (!queue_.empty() && in_core_ < settings_.core.max_client_ops) {
    const Sequence id = queue_.front();
    queue_.pop_front();
    const auto at = pending_.find(id);
    if (at == pending_.end()) continue;
    Pending& pending = at->second;
    pending.queued = false;
    if (pending.cut) continue;
    if (!may_be_old(id, pending)) {
      hand_on_a_piece(id, pending);
      continue;
    }
    pending.cut = true;
    pending.status = IoStatus::shut_down;
    finish(id, {});
  }
}

// A first piece is not: nothing that came after it has gone before it.
bool ClientRequests::may_be_old(Sequence request, const Pending& pending) const {
  return pending.begun && owner_.may_be_old(pending.connection, request, pending.left);
}

void ClientRequests::hand_on_a_piece(Sequence request, Pending& pending) {
  const uint64_t length = std::min(pending.left.length, settings_.core.max_op_bytes);
  const ClientIo io{next()};
  const ClientRequest piece{io, pending.kind, {pending.left.offset, length}, pending.fua, {}};
  pending.left = {pending.left.offset + length, pending.left.length - length};
  pending.begun = true;
  pending.cut = pending.left.length == 0;
  ++pending.pieces;
  owners_[io.value] = request;
  queue_again(request, pending);
  ++in_core_;
  owner_.submit(piece, std::move(pending.payload));  // a write is one piece: a session takes none that is longer
}

void ClientRequests::queue_again(Sequence request, Pending& pending) {
  if (pending.cut || pending.queued || pending.pieces >= kPiecesAtOnce) return;
  pending.queued = true;
  queue_.push_back(request);
}

void ClientRequests::replied(ClientIo io, IoStatus status, BufferRef data) {
  --in_core_;
  const auto owner = owners_.find(io.value);
  CHECK(owner != owners_.end());
  const Sequence id = owner->second;
  owners_.erase(owner);
  Pending& pending = pending_.at(id);
  if (status != IoStatus::ok) {
    pending.status = status;
    pending.cut = true;  // the rest would not help
  }
  --pending.pieces;
  queue_again(id, pending);
  finish(id, std::move(data));
  hand_on();
}

// Once nothing of it is in the core and nothing is to follow.
void ClientRequests::finish(Sequence request, BufferRef data) {
  const auto at = pending_.find(request);
  if (!at->second.cut || at->second.pieces > 0) return;
  const Pending done = std::move(at->second);
  pending_.erase(at);
  owner_.answer(done.connection, done.slot, error_number(done.status),
                done.status == IoStatus::ok ? std::move(data) : BufferRef{});
}

// Nobody was promised anything about what the core has not even seen; and clients that come, ask and go while requests wait
// for a quorum must not pile them up here.
void ClientRequests::forget(Sequence connection) {
  std::erase_if(queue_, [&](Sequence request) {
    const auto pending = pending_.find(request);
    if (pending->second.connection != connection) return false;
    pending->second.cut = true;
    pending->second.queued = false;
    if (pending->second.pieces == 0) pending_.erase(pending);
    return true;
  });
}

}  // namespace lockstep
