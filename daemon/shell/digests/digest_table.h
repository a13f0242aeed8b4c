// What the blocks of one copy should hold: a cache of its pages of digests (meta/digest_page.h) that is written back.
//
// Every change of the data passes here and leaves the digest of what it wrote; every read is checked against what is known when it ends. A
// page is written when its extent is to leave the intent map (seal), when room is needed, and when something was learned. It may be
// written at any time: while the extent's intent bit is set nobody believes it after a crash (in_doubt), and a change sets that bit first.
//
// Of some blocks nothing is known: those that were never written, changed in part, or in an extent whose intent bit was set at attach. They
// pass every check, and are learned when a comparison reads them.
//
// No bytes are seen here, so that the simulator drives the same code. One thread. Nothing that was asked of Pages calls back once the table
// is gone.
#pragma once

#include <bitset>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/range.h"
#include "core/dirty/bit_vector.h"
#include "meta/digest_page.h"

namespace lockstep {

class DigestTable {
 public:
  // The device, as the caller has it; it outlives the table. Answers may come from inside the call.
  class Pages {
   public:
    using Read = std::function<void(const DigestPage* page)>;  // null: unreadable, or nothing that counts
    using Written = std::function<void(int error)>;            // 0: durable
    virtual ~Pages() = default;
    virtual void read(uint64_t page, Read done) = 0;
    virtual void write(uint64_t page, const DigestPage& digests, Written done) = 0;  // at most one at a time for a page
  };

  // `in_doubt`: the extents whose intent bit was set at attach. `most_pages`: kept in memory, about 4 KiB each for 820 KiB of data.
  DigestTable(Pages& pages, uint64_t blocks, const BitVector& in_doubt, size_t most_pages);

  // Around each change of data, before it is submitted and when it has ended. `digests`: of the blocks that lie in the range as a whole, in
  // order; fewer, or none: of the rest nothing is known (the change failed).
  void change_begins(const Range& range);
  void change_ends(const Range& range, std::span<const BlockDigest> digests);
  void change_ends_alike(const Range& range, const BlockDigest& digest);  // all blocks hold the same

  // Around each read of whole blocks, before it is submitted and when its bytes are there.
  struct ReadId {
    uint64_t value = 0;
  };
  struct Verdict {
    uint64_t wrong = 0;  // blocks that do not hold what they should
    uint64_t first = 0;  // number of the first of them
  };
  ReadId read_begins(const Range& range);
  // `digests`: of what was read. `learn`, one bit a block: where nothing is known, this is what it should hold. The verdict comes as soon as the
  // pages are there. A block that was being changed at any time during the read is not judged.
  void read_ends(ReadId id, std::vector<BlockDigest> digests, BlockMask learn, std::function<void(const Verdict&)> done);
  void read_failed(ReadId id);

  // Makes durable what is known of the extent, once no change of it is under way. 0, or the errno of the first write that failed.
  void seal(uint64_t extent, std::function<void(int error)> done);
  // What was learned of the last few pages.
  void write_learned();
  // Runs `then` at once, or, while there is more than twice as much in memory as there should be, when some of it has been written.
  void when_roomy(std::function<void()> then);

  size_t pages_in_memory() const { return entries_.size(); }
  uint64_t wrong_blocks() const { return wrong_; }  // found by reads, each time

 private:
  struct Seal {
    size_t pages_left = 1;
    int error = 0;
    std::function<void(int error)> done;
  };
  struct Entry {
    DigestPage digests{};
    std::bitset<kDigestsPerPage> fresh;  // not what the page on disk says
    std::array<uint16_t, kDigestsPerPage> busy{};
    std::bitset<kDigestsPerPage> mixed;  // changed by two at once: what is there cannot be known
    uint32_t changes = 0;                // under way
    std::vector<uint64_t> readers;       // reads under way
    bool loaded = false;
    bool loading = false;
    bool dirty = false;
    bool writing = false;
    bool write_wanted = false;
    std::vector<std::shared_ptr<Seal>> in_this_write, in_next_write;
    std::list<uint64_t>::iterator age;
    bool idle() const {
      return changes == 0 && readers.empty() && in_next_write.empty() && !loading && !writing && !write_wanted;
    }
  };
  struct Reading {
    uint64_t first = 0;
    uint64_t count = 0;
    std::vector<bool> unjudged;
    size_t pages_missing = 0;
    std::vector<BlockDigest> digests;
    BlockMask learn = 0;
    std::function<void(const Verdict&)> done;  // none: its bytes are not there yet
  };

  template <class Each>
  void for_each_page(uint64_t first, uint64_t count, Each each);
  Entry& entry(uint64_t page);
  void set(uint64_t block, const BlockDigest& digest);
  void end_change(const Range& range, const std::function<const BlockDigest*(uint64_t)>& digest_of);
  void load(uint64_t page, Entry& at);
  void loaded(uint64_t page, const DigestPage* found);
  void write(uint64_t page, Entry& at);
  void begin_write(uint64_t page, Entry& at);
  void written(uint64_t page, int error);
  void end_read(std::map<uint64_t, Reading>::iterator at);
  void page_came(const std::vector<uint64_t>& readers);
  void leave_unjudged(Entry& at, uint64_t from, uint64_t end);
  Verdict judge(const Reading& reading);
  void learn(uint64_t block, const BlockDigest& digest);
  void write_oldest_learned();
  void release(uint64_t id, const Reading& reading);
  static void one_page_done(const std::shared_ptr<Seal>& seal, int error);
  bool drop_oldest();
  void make_room();

  Pages& pages_;
  const uint64_t blocks_;
  const size_t most_pages_;
  BitVector in_doubt_;  // pages that are not believed
  std::unordered_map<uint64_t, Entry> entries_;
  std::list<uint64_t> ages_;  // most recently used first
  std::map<uint64_t, Reading> reads_;
  std::list<uint64_t> learned_;  // pages that are to be written for what was learned
  uint64_t last_read_ = 0;
  uint64_t wrong_ = 0;
  std::list<std::function<void()>> crowded_out_;
  int failed_ = 0;                      // errno of the first page that could not be written
  std::shared_ptr<DigestTable*> self_;  // null when the table is gone
};

}  // namespace lockstep
