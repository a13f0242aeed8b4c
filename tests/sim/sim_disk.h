// One node's storage: a data area in which a block's content is a version number, and the durable metadata.
//
// What outlives what:
//  - a completed write survives the death of the process; with a volatile cache it may be lost at power loss
//  until a flush;
//  - a submitted write that is not complete may yet land, block by block, until busy() is false (the claim: a
//  new process
//    waits for that); at power loss it is resolved at once, and metadata pages may be torn;
//  - metadata is durable when its completion is called, and may or may not be before. What an interrupted write leaves is bytes
//  (sim_metadata.h), and the daemon's code reads them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/effect.h"
#include "core/replica.h"
#include "meta/digest_page.h"
#include "sim/event_queue.h"
#include "sim/prng.h"
#include "sim/sim_metadata.h"

namespace lockstep::sim {

// Versions, one a block. Shared: a disk write in flight keeps its payload.
using Payload = std::shared_ptr<const std::vector<uint64_t>>;

constexpr uint64_t kZeroVersion = 0;
constexpr uint64_t kFirstVersion = 1;             // what every block holds before the first write
constexpr uint64_t kGarbage = uint64_t{1} << 60;  // what a replaced disk holds: no client ever wrote it

// A block whose write was interrupted: some of its sectors of 512 bytes are of that version, the others as they were before. What exactly is
// there differs from one interruption to the next.
constexpr uint64_t kTornBit = uint64_t{1} << 59;
constexpr bool is_torn(uint64_t version) { return (version & kTornBit) != 0; }
constexpr uint64_t torn_from(uint64_t version) { return version & 0xffffffffU; }

// A block that rotted reads as this and its number.
constexpr uint64_t kRotten = uint64_t{1} << 58;

struct WriteDigestPage {
  uint64_t page = 0;
  std::shared_ptr<const DigestPage> digests;
};

class DiskObserver {
 public:
  virtual ~DiskObserver() = default;
  virtual void block_written(Seat node, uint64_t block, uint64_t before, uint64_t after) = 0;
  // Power is about to be lost, and with it what the volatile cache holds: all of it in extents that are set here, if the rules are kept.
  virtual void cache_at_risk(Seat node, const BitVector& extents) = 0;
  // A power loss took back what the volatile cache held.
  virtual void block_lost(Seat node, uint64_t block) = 0;
  virtual void record_durable(Seat node, const NodeRecord& record) = 0;
  // A page of the intent map or of a bitmap changed, or was torn.
  virtual void bits_changed(Seat node) = 0;
  virtual void disk_replaced(Seat node) = 0;
  // The daemon's code makes of the sectors something else than was written.
  virtual void metadata_misread(Seat node, const std::string& what) = 0;
};

struct DiskBehaviour {
  Duration fastest = microseconds(50);
  Duration slowest = microseconds(900);
  int data_error_permille = 0;
  int meta_error_permille = 0;
  bool volatile_cache = false;
};

class SimDisk {
 public:
  using DataDone = std::function<void(IoStatus, Payload)>;
  using MetaWritten = std::function<void(bool)>;

  SimDisk(EventQueue& queue, Prng prng, DiskObserver& observer, Seat node, uint64_t blocks);

  // create-md: new identity, no history. `content` is what every block then holds.
  void create(const NodeRecord& record, uint64_t content);
  // All that is on stable storage, to be put back later, as a backup or a snapshot beneath the machine is. Until the next create() the
  // disk counts as set back.
  struct Image;
  std::shared_ptr<const Image> image() const;
  void restore(const Image& image);
  bool set_back() const { return set_back_; }
  // As no client wrote it: what is there from this block on before any of it belongs to a volume.
  void scribble(uint64_t from, uint64_t content);

  void submit(const DiskIo& io, Payload payload, DataDone done);
  void write(const WriteRecord& effect, MetaWritten done);
  void write(const WriteIntentPage& effect, MetaWritten done);
  void write(const WriteBitmapPage& effect, MetaWritten done);
  void write(const WriteDigestPage& effect, MetaWritten done);
  void read_digest_page(uint64_t page, std::function<void(const DigestPage*)> done);  // null: there is none that counts

  // A block reads as something else than was written; data() and read_block() go on saying what was. Only one whose digest is at rest, and that
  // `may`. False: there was none.
  bool rot(Prng& prng, const std::function<bool(uint64_t)>& may);
  bool rotten(const Range& range) const;
  size_t rotten_blocks() const { return rot_.size(); }
  // What no digest can tell any more since a crash (docs/safety.md, "Assumptions"): it reads as it was written.
  void excuse_rot();
  void cure() { rot_.clear(); }
  // A block whose digest at rest counts, and is not that of what was written.
  std::optional<uint64_t> wrong_digest() const;

  // One sector of the metadata rots: a copy of the superblock, or a page of a bitmap. (A slot of the intent map is left out: its rot looks like
  // a write that was interrupted. docs/safety.md, "Assumptions".) Only while no process has the disk. False: there was none that may.
  bool rot_metadata();
  void process_killed();
  void power_lost();
  bool busy() const { return !in_flight_.empty(); }
  size_t in_flight() const { return in_flight_.size(); }

  // As an attach begins: the superblock is read and repaired. The record that it holds.
  NodeRecord open();
  // What an attach then loads.
  Loaded load() const;
  const NodeRecord& record() const { return record_; }
  uint64_t read_block(uint64_t block) const { return cached_[block]; }
  uint64_t blocks() const { return cached_.size(); }
  const std::vector<uint64_t>& data() const { return cached_; }
  // Whether a durable bit of this node says that the block may differ from the peer's.
  bool marked(Seat peer, uint64_t block) const;
  // What a resync would use: readable durable bits, all ones where a page cannot be read.
  BitVector durable_intent() const;
  BitVector durable_bitmap(Seat peer) const;

  DiskBehaviour behaviour;
  struct Counters {
    uint64_t data_errors = 0, meta_errors = 0, torn_blocks = 0, torn_pages = 0, strayed_pages = 0, orphans_landed = 0,
             orphans_lost = 0, lost_blocks = 0, rotten_blocks = 0;
    SimSuperblock::Counters superblock;
  } counters;

 private:
  struct DataOp {
    DiskIo io;
    Payload payload;
    DataDone done;
    uint64_t flush_mark = 0;
  };
  struct MetaOp {
    std::variant<WriteRecord, WriteIntentPage, WriteBitmapPage, WriteDigestPage> what;
    MetaWritten done;
  };
  struct InFlight {
    std::variant<DataOp, MetaOp> op;
    bool orphan = false;
  };
  struct Page {
    bool readable = true;
    uint64_t sequence = 0;
    BitPage bits{};
    std::shared_ptr<const Sector> torn;  // what is there when it is not readable
  };
  struct IntentPage {  // as create-md writes it
    std::array<Page, 2> slots{Page{}, Page{true, 1, {}, nullptr}};
  };
  struct Unflushed {
    uint64_t order = 0;
    uint64_t version = 0;
  };

  void launch(InFlight op);
  void finish(uint64_t id);
  void finish_data(DataOp& op, bool orphan);
  void finish_meta(MetaOp& op, bool orphan);
  // Interrupted: each block lands or not at random. Torn: it may also land in part.
  enum class Landing : uint8_t { sure, interrupted, torn };
  void apply_data(const DataOp& op, Landing landing);
  uint64_t part_of(uint64_t version);
  void apply_meta(const MetaOp& op);
  void tear_meta(const MetaOp& op);
  void tear_page(Page& page, const PageId& id, uint64_t sequence, const BitPage& bits);
  void overwrite_by_another(Page& page, const PageId& id, const PageId& other);
  void interrupt_record(const NodeRecord& wanted, Remains remains);
  void tear_digest_page(const WriteDigestPage& write);
  std::optional<DigestPage> digest_page(uint64_t page) const;
  bool would_be_noticed(uint64_t block) const;
  void check_meta(const std::string& wrong) const;
  SectorDevice sectors() const;
  Sector sector_of(const PageId& id, const Page& page) const;
  void write_block(uint64_t block, uint64_t version, bool fua);
  void flush_up_to(uint64_t mark);
  Payload read(const Range& range) const;
  const Page* newest(const IntentPage& page) const;

  EventQueue& queue_;
  Prng prng_;
  DiskObserver& observer_;
  Seat node_;
  uint64_t life_ = 0;  // of scheduled completions: power loss makes them void
  uint64_t next_id_ = 1;
  uint64_t write_order_ = 0;
  std::map<uint64_t, InFlight> in_flight_;
  std::vector<uint64_t> cached_;                          // what reads return
  std::map<uint64_t, std::vector<Unflushed>> unflushed_;  // by block, oldest first; element 0 is the stable version
  NodeRecord record_;
  SimSuperblock superblock_;  // holds the same record, as sectors
  Prng meta_prng_;            // of its own: what is torn how shifts no other draw
  Prng tear_prng_;            // so for blocks
  std::map<uint32_t, IntentPage> intent_;
  std::map<std::pair<uint8_t, uint32_t>, Page> bitmaps_;
  std::map<uint64_t, Sector> digest_pages_;
  std::set<uint64_t> rot_;
  bool set_back_ = false;
};

struct SimDisk::Image {
  std::vector<uint64_t> blocks;
  NodeRecord record;
  SimSuperblock superblock;
  std::map<uint32_t, IntentPage> intent;
  std::map<std::pair<uint8_t, uint32_t>, Page> bitmaps;
  std::map<uint64_t, Sector> digest_pages;
  std::set<uint64_t> rot;
};

}  // namespace lockstep::sim
