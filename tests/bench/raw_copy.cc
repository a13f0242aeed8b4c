// Copies ranges of one file to the same places of another as fast as the disks allow: O_DIRECT, io_uring, a queue of requests. What a
// resync is measured against. raw-copy FROM TO [DEPTH] reads lines "OFFSET LENGTH" and prints the seconds that it took.
#include <fcntl.h>
#include <liburing.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr uint64_t kLargest = uint64_t{1} << 20;

struct Piece {
  uint64_t offset;
  uint64_t length;
};

struct Slot {
  Piece piece{};
  void* memory = nullptr;
  bool writing = false;
};

[[noreturn]] void fail(const char* what, int error) {
  std::fprintf(stderr, "raw-copy: %s: %s\n", what, std::strerror(error));
  std::exit(1);
}

std::vector<Piece> read_pieces() {
  std::vector<Piece> pieces;
  unsigned long long offset = 0;
  unsigned long long length = 0;
  while (std::scanf("%llu %llu", &offset, &length) == 2) {
    for (; length > 0; offset += kLargest, length -= std::min<unsigned long long>(length, kLargest))
      pieces.push_back({offset, std::min<uint64_t>(length, kLargest)});
  }
  return pieces;
}

class Copier {
 public:
  Copier(int from, int to, unsigned depth, const std::vector<Piece>& pieces)
      : from_(from), to_(to), pieces_(pieces), slots_(depth) {
    if (const int error = io_uring_queue_init(depth, &ring_, 0); error != 0) fail("io_uring", -error);
    for (Slot& slot : slots_) {
      slot.memory = std::aligned_alloc(4096, kLargest);
      if (slot.memory == nullptr) fail("memory", ENOMEM);
    }
  }
  void run() {
    for (Slot& slot : slots_) begin(slot);
    while (left_ > 0) {
      io_uring_submit_and_wait(&ring_, 1);
      io_uring_cqe* done = nullptr;
      while (io_uring_peek_cqe(&ring_, &done) == 0) {
        Slot& slot = *static_cast<Slot*>(io_uring_cqe_get_data(done));
        if (done->res < 0) fail(slot.writing ? "write" : "read", -done->res);
        if (static_cast<uint64_t>(done->res) != slot.piece.length) fail("a short transfer", EIO);
        io_uring_cqe_seen(&ring_, done);
        ended(slot);
      }
    }
  }

 private:
  void begin(Slot& slot) {
    if (next_ == pieces_.size()) return;
    slot.piece = pieces_[next_++];
    slot.writing = false;
    ++left_;
    io_uring_sqe* call = io_uring_get_sqe(&ring_);
    io_uring_prep_read(call, from_, slot.memory, static_cast<unsigned>(slot.piece.length), slot.piece.offset);
    io_uring_sqe_set_data(call, &slot);
  }
  void ended(Slot& slot) {
    if (slot.writing) {
      --left_;
      return begin(slot);
    }
    slot.writing = true;
    io_uring_sqe* call = io_uring_get_sqe(&ring_);
    io_uring_prep_write(call, to_, slot.memory, static_cast<unsigned>(slot.piece.length), slot.piece.offset);
    io_uring_sqe_set_data(call, &slot);
  }

  int from_;
  int to_;
  const std::vector<Piece>& pieces_;
  std::vector<Slot> slots_;
  io_uring ring_{};
  size_t next_ = 0;
  size_t left_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: raw-copy FROM TO [DEPTH] < ranges\n");
    return 1;
  }
  const int from = ::open(argv[1], O_RDONLY | O_DIRECT);
  const int to = ::open(argv[2], O_WRONLY | O_DIRECT);
  if (from < 0 || to < 0) fail(from < 0 ? argv[1] : argv[2], errno);
  const std::vector<Piece> pieces = read_pieces();
  Copier copier(from, to, argc > 3 ? static_cast<unsigned>(std::max(1, std::atoi(argv[3]))) : 8, pieces);
  const auto begun = std::chrono::steady_clock::now();
  copier.run();
  if (::fdatasync(to) != 0) fail("flush", errno);
  std::printf("%.6f\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  return 0;
}
