#include "flight/beginning_codec.h"

#include <concepts>

#include "core/codec/tenure_codec.h"

namespace lockstep::flight {

namespace {

constexpr uint8_t kIntent = 0xff;  // names the intent map among the bitmaps, which their peers' seats name
constexpr uint64_t kMostMapBits = uint64_t{1} << 30;
constexpr size_t kMostDistanceBytes = 2000;    // otherwise the page's 4000 bytes
constexpr uint8_t kWhole = 0, kDistances = 1;  // how a page is written

// --- configuration ------------------------------------------------------------------------------------------------------

// Every member, so that a new one cannot be forgotten: the binding stops compiling.
template <class C, class F>
void each_setting(C& config, F&& f) {
  auto& [self, data_nodes, witnesses, asynchronous, by_receipt, on_congestion, congestion_bytes, lease, drift, round_timeout,
         retry, patience, caretaker_delay, ack_timeout, fail, fencing, handler, witness_timeout, max_op_bytes, max_client_ops,
         disk_timeout, metadata_on_disk, digests_at_rest, max_failed_reads, read_balancing, max_hot_extents, recent_writes,
         settle_interval, chunk, window, ahead, max_rate, min_rate, latency_target, by_age, digests, hold_resync, verify_interval,
         flush_blocks, flush_interval] = config;
  f(self);
  f(data_nodes);
  f(witnesses);
  f(asynchronous);
  f(by_receipt);
  f(on_congestion);
  f(congestion_bytes);
  f(lease);
  f(drift);
  f(round_timeout);
  f(retry);
  f(patience);
  f(caretaker_delay);
  f(ack_timeout);
  f(fail);
  f(fencing);
  f(handler);
  f(witness_timeout);
  f(max_op_bytes);
  f(max_client_ops);
  f(disk_timeout);
  f(metadata_on_disk);
  f(digests_at_rest);
  f(max_failed_reads);
  f(read_balancing);
  f(max_hot_extents);
  f(recent_writes);
  f(settle_interval);
  f(chunk);
  f(window);
  f(ahead);
  f(max_rate);
  f(min_rate);
  f(latency_target);
  f(by_age);
  f(digests);
  f(hold_resync);
  f(verify_interval);
  f(flush_blocks);
  f(flush_interval);
}

struct PutSetting {
  Packer& out;
  void operator()(Seat v) const { out.byte(v.value); }
  void operator()(SeatSet v) const { out.varint(v.bits()); }
  void operator()(Duration v) const { out.zigzag(v.ns); }
  void operator()(int v) const { out.zigzag(v); }
  void operator()(bool v) const { out.byte(v ? 1 : 0); }
  void operator()(FencingPolicy v) const { out.byte(static_cast<uint8_t>(v)); }
  void operator()(OnCongestion v) const { out.byte(static_cast<uint8_t>(v)); }
  void operator()(ReadBalancing v) const { out.byte(static_cast<uint8_t>(v)); }
  template <std::unsigned_integral T>
  void operator()(T v) const {
    out.varint(v);
  }
};

struct GetSetting {
  Unpacker& in;
  void operator()(Seat& v) const {
    v.value = in.byte();
    if (v.value >= kMaxDataNodes) in.fail();
  }
  void operator()(SeatSet& v) const { v = SeatSet(static_cast<uint32_t>(in.varint())); }
  void operator()(Duration& v) const { v.ns = in.zigzag(); }
  void operator()(int& v) const { v = static_cast<int>(in.zigzag()); }
  void operator()(bool& v) const { v = in.byte() == 1; }
  void operator()(FencingPolicy& v) const {
    v = static_cast<FencingPolicy>(in.byte());
    if (v > FencingPolicy::resource_and_stonith) in.fail();
  }
  void operator()(OnCongestion& v) const {
    v = static_cast<OnCongestion>(in.byte());
    if (v > OnCongestion::disconnect) in.fail();
  }
  void operator()(ReadBalancing& v) const {
    v = static_cast<ReadBalancing>(in.byte());
    if (v > ReadBalancing::least_pending) in.fail();
  }
  template <std::unsigned_integral T>
  void operator()(T& v) const {
    v = static_cast<T>(in.varint());
  }
};

// --- record -----------------------------------------------------------------------------------------------------------------

// Every member here too.
NodeRecord decode_node_record(ByteReader& in) {
  NodeRecord record;
  auto& [resource, node, disk, size_bytes, volumes, boot, doubtful, inconsistent, outdated, adopted, peers, acceptor, memory,
         given_up] = record;
  resource = in.get_uuid();
  node = decode_seat(in);
  disk = in.get_uuid();
  size_bytes = in.get<uint64_t>();
  volumes = decode_volumes(in);
  boot = in.get_uuid();
  doubtful = decode_flag(in);
  inconsistent = decode_flag(in);
  outdated = decode_flag(in);
  adopted = decode_optional_tenure(in);
  for (PeerSlot& slot : peers) slot.disk = in.get_uuid();
  acceptor = decode_acceptor_record(in);
  memory = decode_voter_memory(in);
  given_up = in.get_uuid();
  return record;
}

// --- maps -------------------------------------------------------------------------------------------------------------------

bool all_zero(const BitPage& page) {
  for (const uint64_t word : page) {
    if (word != 0) return false;
  }
  return true;
}

bool bit_of(const BitPage& page, uint64_t i) { return (page[i / 64] >> (i % 64) & 1) != 0; }

// Distances between changes, beginning with a clear stretch. False: too many; the buffer's content is then of no use.
bool pack_distances(Packer& out, const BitPage& page) {
  bool value = false;
  uint64_t since = 0;
  for (uint64_t i = 0; i < kBitsPerPage; ++i) {
    const uint64_t word = page[i / 64];
    if (i % 64 == 0 && word == (value ? UINT64_MAX : 0)) {  // a whole word of the same
      i += 63;
      continue;
    }
    if (bit_of(page, i) == value) continue;
    if (out.size() + 8 > kMostDistanceBytes) return false;
    out.varint(i - since);
    since = i;
    value = !value;
  }
  out.varint(kBitsPerPage - since);
  return true;
}

void pack_page(Packer& out, const BitPage& page) {
  std::array<std::byte, kMostDistanceBytes> buffer;
  Packer distances(buffer);
  if (pack_distances(distances, page)) {
    out.byte(kDistances);
    return out.bytes(std::span<const std::byte>(buffer).first(distances.size()));
  }
  out.byte(kWhole);
  for (const uint64_t word : page) {
    std::array<std::byte, 8> bytes;
    put_le(bytes.data(), word);
    out.bytes(bytes);
  }
}

bool unpack_distances(Unpacker& in, BitPage& page) {
  bool value = false;
  for (uint64_t at = 0; at < kBitsPerPage; value = !value) {
    const uint64_t distance = in.varint();
    if (!in.ok() || distance > kBitsPerPage - at) return false;
    for (uint64_t i = at; value && i < at + distance; ++i) page[i / 64] |= uint64_t{1} << (i % 64);
    at += distance;
  }
  return in.at_end();
}

bool unpack_page(Unpacker& in, BitPage& page) {
  page = {};
  const uint8_t how = in.byte();
  if (how == kDistances) return unpack_distances(in, page);
  if (how != kWhole) return false;
  for (uint64_t& word : page) word = in.reader().get<uint64_t>();
  return in.at_end();
}

void write_map(const WriteEntry& write, uint8_t which, const BitVector& map) {
  if (map.size() == 0) return;
  write(Kind::map, [&](Packer& out) {
    out.byte(which);
    out.varint(map.size());
  });
  for (uint32_t i = 0; i < map.pages(); ++i) {
    const BitPage page = map.page(i);
    if (all_zero(page)) continue;
    write(Kind::map_page, [&](Packer& out) {
      out.byte(which);
      out.varint(i);
      pack_page(out, page);
    });
  }
}

}  // namespace

void encode_node_record(std::vector<std::byte>& bytes, const NodeRecord& record) {
  ByteWriter out(bytes);
  const auto& [resource, node, disk, size_bytes, volumes, boot, doubtful, inconsistent, outdated, adopted, peers, acceptor,
               memory, given_up] = record;
  out.put(resource);
  encode_seat(out, node);
  out.put(disk);
  out.put(size_bytes);
  encode_volumes(out, volumes);
  out.put(boot);
  encode_flag(out, doubtful);
  encode_flag(out, inconsistent);
  encode_flag(out, outdated);
  encode_optional_tenure(out, adopted);
  for (const PeerSlot& slot : peers) out.put(slot.disk);
  encode_acceptor_record(out, acceptor);
  encode_voter_memory(out, memory);
  out.put(given_up);
}

void write_beginning(const WriteEntry& write, const Beginning& beginning) {
  write(Kind::config, [&](Packer& out) { each_setting(beginning.config, PutSetting{out}); });
  const auto& [record, intent, bitmaps, sequences] = beginning.loaded;
  write(Kind::record, [&record = record](Packer& out) {
    std::vector<std::byte> bytes;
    encode_node_record(bytes, record);
    out.bytes(bytes);
  });
  write_map(write, kIntent, intent);
  for (uint8_t seat = 0; seat < kMaxDataNodes; ++seat) write_map(write, seat, bitmaps[seat]);
  write(Kind::sequences, [&sequences = sequences](Packer& out) {
    for (const uint64_t sequence : sequences) out.varint(sequence);
  });
  write(Kind::begin, [&](Packer& out) { out.zigzag(beginning.begun.ns); });
}

BitVector* BeginningReader::map_named(uint8_t which) {
  if (which == kIntent) return &beginning_.loaded.intent;
  return which < kMaxDataNodes ? &beginning_.loaded.bitmaps[which] : nullptr;
}

bool BeginningReader::take_map(Unpacker& in) {
  BitVector* map = map_named(in.byte());
  const uint64_t bits = in.varint();
  if (map == nullptr || !in.at_end() || bits == 0 || bits > kMostMapBits) return false;
  *map = BitVector(bits);
  return true;
}

bool BeginningReader::take_page(Unpacker& in) {
  BitVector* map = map_named(in.byte());
  const uint64_t index = in.varint();
  BitPage page;
  if (map == nullptr || index >= map->pages() || !unpack_page(in, page)) return false;
  map->load_page(static_cast<uint32_t>(index), page);
  return true;
}

bool BeginningReader::take(Kind kind, Unpacker in) {
  if (begun_) return false;
  switch (kind) {
    case Kind::config:
      each_setting(beginning_.config, GetSetting{in});
      return configured_ = in.at_end();
    case Kind::record:
      beginning_.loaded.record = decode_node_record(in.reader());
      return loaded_ = in.at_end();
    case Kind::map:
      return take_map(in);
    case Kind::map_page:
      return take_page(in);
    case Kind::sequences:
      for (uint64_t& sequence : beginning_.loaded.intent_sequences) sequence = in.varint();
      return in.at_end();
    case Kind::begin:
      beginning_.begun.ns = in.zigzag();
      return begun_ = configured_ && loaded_ && in.at_end();
    case Kind::note:
    case Kind::role:
    case Kind::admin_reply:
    case Kind::state:
    case Kind::closed:
      return false;
  }
  return false;
}

}  // namespace lockstep::flight
