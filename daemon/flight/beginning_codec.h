// What a run begins with, as entries of a recording: its configuration and what the attach read. Maps are written by
// pages; a page of zeroes is left out, and one with few changes between set and clear is written as their distances.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/replica.h"
#include "flight/layout.h"
#include "flight/packing.h"

namespace lockstep::flight {

struct Beginning {
  CoreConfig config;
  Loaded loaded;
  Instant begun;
};

// Calls `write` for each entry with its kind and what packs its body.
using WriteEntry = std::function<void(Kind, const std::function<void(Packer&)>&)>;
void write_beginning(const WriteEntry& write, const Beginning& beginning);

// Takes the entries of a beginning, in their order.
class BeginningReader {
 public:
  // False: the entry belongs to no beginning, or is not one that write_beginning() makes.
  bool take(Kind kind, Unpacker in);
  // Every entry up to Kind::begin was taken.
  bool complete() const { return begun_; }
  Beginning& beginning() { return beginning_; }

 private:
  BitVector* map_named(uint8_t which);
  bool take_map(Unpacker& in);
  bool take_page(Unpacker& in);

  Beginning beginning_;
  bool configured_ = false;
  bool loaded_ = false;
  bool begun_ = false;
};

// Appends a NodeRecord's bytes.
void encode_node_record(std::vector<std::byte>& out, const NodeRecord& record);

}  // namespace lockstep::flight
