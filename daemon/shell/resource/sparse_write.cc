#include "shell/resource/sparse_write.h"

#include <memory>

#include "core/resync/block_runs.h"

namespace lockstep {

namespace {

struct Pieces {
  BufferRef payload;
  BlockDone done;
  size_t outstanding = 1;  // the one that hands them out
  int error = 0;

  void ended(int piece_error) {
    if (error == 0) error = piece_error;
    if (--outstanding == 0) done(error);
  }
};

}  // namespace

void write_sparsely(BlockDevice& disk, const DiskIo& io, BufferRef payload, BlockDone done) {
  const auto pieces = std::make_shared<Pieces>(Pieces{std::move(payload), std::move(done)});
  const auto submit = [&](BlockOp op, const Range& range, std::byte* data) {
    ++pieces->outstanding;
    disk.submit(op, range.offset, range.length, data, io.fua, [pieces](int error) { pieces->ended(error); });
  };
  std::byte* data = pieces->payload ? pieces->payload->data() : nullptr;
  for_each_part(io.range, io.zeroes, [&](const Range& part, bool zero) {
    if (zero) return submit(BlockOp::trim, part, nullptr);
    submit(BlockOp::write, part, data);
    data += part.length;
  });
  pieces->ended(0);
}

}  // namespace lockstep
