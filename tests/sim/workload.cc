#include "sim/workload.h"

#include <fmt/format.h>

#include "base/check.h"
#include "core/volumes.h"

namespace lockstep::sim {

Workload::Workload(EventQueue& queue, Prng prng, Oracle& oracle, Coverage& coverage, uint64_t blocks, const WorkloadShape& shape)
    : queue_(queue), prng_(prng), oracle_(oracle), coverage_(coverage), shape_(shape) {
  for (uint64_t extent = 0; extent < blocks / kBlocksPerExtent; ++extent) {
    const uint64_t room = kBlocksPerExtent - shape_.window_blocks;
    // Now and then the window ends with its extent, so that requests cross into the next.
    const uint64_t at = prng_.chance(30) ? room : prng_.below(room);
    windows_.push_back(extent * kBlocksPerExtent + at);
  }
}

void Workload::serve(Seat seat, bool serving) {
  Session& session = sessions_.at(seat);
  session.serving = serving;
  start_clients(session, seat);
}

void Workload::hold(Seat seat, bool held) {
  Session& session = sessions_.at(seat);
  if (session.held == held) return;
  session.held = held;
  start_clients(session, seat);
}

void Workload::stop() {
  stopped_ = true;
  for (auto& [seat, session] : sessions_) ++session.generation;
}

void Workload::start_clients(Session& session, Seat seat) {
  ++session.generation;
  if (!session.serving || session.held || stopped_) return;
  for (int i = 0; i < shape_.clients; ++i) client(seat, session.generation, false);
  for (int i = 0; i < shape_.readers; ++i) client(seat, session.generation, true);
}

// One client: thinks, asks, waits for the answer (answered() goes on with it).
void Workload::client(Seat seat, uint64_t generation, bool reader) {
  queue_.after(prng_.between(shape_.think_fastest, shape_.think_slowest), [this, seat, generation, reader] {
    Session& session = sessions_.at(seat);
    if (session.generation != generation || stopped_) return;
    if (session.outstanding.size() >= static_cast<size_t>(shape_.clients + shape_.readers) * 4) return;
    issue(seat, draw(reader), reader);
  });
}

uint64_t Workload::issue(Seat seat, const ClientOp& wanted, bool reader) {
  Session& session = sessions_.at(seat);
  ClientOp op = wanted;
  op.node = seat;
  op.invoked = queue_.now();
  const uint64_t index = oracle_.invoked(op);
  ++issued_;
  ClientRequest request{ClientIo{session.next_io++}, op.kind, op.range, op.fua, {}};
  if (op.kind == OpKind::write) {
    request.payload = session.node->add_payload(
        std::make_shared<const std::vector<uint64_t>>(op.range.length / kBlockBytes, History::version_of(index)));
  }
  session.outstanding[request.io] = {index, reader};
  session.node->post(request);
  return index;
}

void Workload::answered(Seat seat, ClientIo io, IoStatus status, Payload payload) {
  Session& session = sessions_.at(seat);
  const auto found = session.outstanding.find(io);
  if (found == session.outstanding.end()) {
    oracle_.fail("P6", fmt::format("n{} answers request {} twice", seat.value, io.value));
    return;
  }
  const uint64_t index = found->second.op;
  const bool reader = found->second.reader;
  session.outstanding.erase(found);
  const ClientOp& op = oracle_.history().op(index);
  if (status == IoStatus::ok && op.kind == OpKind::read) {
    CHECK(payload && payload->size() == op.range.length / kBlockBytes);
  }
  const auto& record = session.node->durable_view();
  oracle_.answered(index, seat, session.node->start_count(), record.adopted, status, std::move(payload));
  if (reading_back_ > 0) {
    read_back_ok_ = read_back_ok_ && status == IoStatus::ok;
    if (--reading_back_ == 0) read_back_done_(read_back_ok_);
    return;
  }
  if (session.serving && !session.held && !stopped_) client(seat, session.generation, reader);
}

void Workload::process_ended(Seat seat) {
  Session& session = sessions_.at(seat);
  coverage_.client_unknown += session.outstanding.size();
  session.outstanding.clear();
  session.serving = false;
  ++session.generation;
  if (reading_back_ > 0) {
    reading_back_ = 0;
    read_back_done_(false);
  }
}

void Workload::read_back(Seat seat, std::function<void(bool)> done) {
  constexpr uint64_t kStep = 8;
  read_back_done_ = std::move(done);
  read_back_ok_ = true;
  std::vector<Range> ranges;
  for (uint64_t first : windows_) {
    for (uint64_t at = 0; at < 2 * shape_.window_blocks; at += kStep) {
      const Range range{(first + at) * kBlockBytes, kStep * kBlockBytes};
      if (!in_reach(first + at, kStep)) continue;
      if (range.end() <= sessions_.at(seat).node->disk().blocks() * kBlockBytes) ranges.push_back(range);
    }
  }
  reading_back_ = ranges.size();
  for (const Range& range : ranges) {
    ClientOp op;
    op.range = range;
    issue(seat, op);
  }
}

// Within one of the volumes as they are now.
bool Workload::in_reach(uint64_t first, uint64_t blocks) const {
  return oracle_.volumes().empty() || within_a_volume(oracle_.volumes(), {first * kBlockBytes, blocks * kBlockBytes});
}

uint64_t Workload::draw_window() {
  if (shape_.focus.ns == 0) return windows_[prng_.below(windows_.size())];
  const auto turn = static_cast<uint64_t>(queue_.now().ns / shape_.focus.ns);
  return windows_[(2 * turn + prng_.below(2)) % windows_.size()];
}

// Some window that a volume has as a whole; the first, if none does.
uint64_t Workload::reachable_window() {
  if (oracle_.volumes().size() < 2) return windows_.front();
  const uint64_t from = prng_.below(windows_.size());
  for (uint64_t i = 0; i < windows_.size(); ++i) {
    const uint64_t window = windows_[(from + i) % windows_.size()];
    if (in_reach(window, 2 * shape_.window_blocks)) return window;
  }
  return windows_.front();
}

Range Workload::draw_range() {
  uint64_t window = draw_window();
  if (!in_reach(window, 2 * shape_.window_blocks) && !prng_.chance(5)) window = reachable_window();
  const uint64_t offset = prng_.below(shape_.window_blocks);
  uint64_t length = 1 + prng_.below(prng_.chance(20) ? shape_.window_blocks : 3);
  const uint64_t blocks = sessions_.begin()->second.node->disk().blocks();
  if (window + offset + length > blocks) length = blocks - window - offset;
  return {(window + offset) * kBlockBytes, length * kBlockBytes};
}

bool Workload::any_zeroed(const Range& range) const {
  for (uint64_t b = range.offset / kBlockBytes; b < range.end() / kBlockBytes; ++b) {
    if (oracle_.history().zeroed(b)) return true;
  }
  return false;
}

ClientOp Workload::draw(bool reader) {
  ClientOp op;
  op.range = draw_range();
  const int kind = static_cast<int>(prng_.below(100));
  if (reader || kind < shape_.reads) {
    op.kind = OpKind::read;
  } else if (kind < shape_.reads + shape_.flushes) {
    op.kind = OpKind::flush;
    op.range = {};
  } else if (kind < shape_.reads + shape_.flushes + shape_.zeroes + shape_.trims && !any_zeroed(op.range)) {
    op.kind = kind < shape_.reads + shape_.flushes + shape_.zeroes ? OpKind::write_zeroes : OpKind::trim;
  } else {
    op.kind = OpKind::write;
  }
  op.fua = is_change(op.kind) && prng_.chance(shape_.fua);
  return op;
}

}  // namespace lockstep::sim
