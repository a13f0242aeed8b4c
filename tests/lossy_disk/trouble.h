// Which requests of a disk fail: the N-th from now on of some kinds in some place, and so many after it.
#pragma once

#include <cstdint>

namespace lockstep::lossy {

enum class Kind : uint8_t { read = 1, write = 2, flush = 4 };

struct Trouble {
  uint64_t first = 0;                  // the requests before it are answered; 0: none fails
  uint64_t count = 0;                  // how many fail; 0: all that follow
  unsigned kinds = 7;                  // of Kind
  uint64_t from = 0, to = UINT64_MAX;  // bytes; a flush is everywhere
};

class Troubles {
 public:
  void set(const Trouble& trouble) {
    trouble_ = trouble;
    matched_ = failed_ = 0;
  }
  // Counts a request; true if it has to fail.
  bool strikes(Kind kind, uint64_t offset, uint64_t length) {
    if ((trouble_.kinds & static_cast<unsigned>(kind)) == 0) return false;
    if (kind != Kind::flush && (offset + length <= trouble_.from || offset >= trouble_.to)) return false;
    ++matched_;
    const bool now =
        trouble_.first > 0 && matched_ >= trouble_.first && (trouble_.count == 0 || matched_ - trouble_.first < trouble_.count);
    failed_ += now ? 1 : 0;
    return now;
  }
  // Since set().
  uint64_t matched() const { return matched_; }
  uint64_t failed() const { return failed_; }

 private:
  Trouble trouble_;
  uint64_t matched_ = 0;
  uint64_t failed_ = 0;
};

}  // namespace lockstep::lossy
