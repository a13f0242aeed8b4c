// The digests at rest of a simulated node: the daemon's table (shell/digests/digest_table.h) over the pages of a SimDisk, with one digest for
// each version. Lives as long as the process.
#pragma once

#include <functional>

#include "shell/digests/digest_table.h"
#include "sim/sim_disk.h"

namespace lockstep::sim {

BlockDigest digest_of(uint64_t version);

class SimDigests : private DigestTable::Pages {
 public:
  // `fault`: of a good block that was called wrong.
  SimDigests(SimDisk& disk, const BitVector& in_doubt, size_t most_pages, std::function<void(const std::string&)> fault);

  // As SimDisk::submit; a read that finds a wrong block ends as IoStatus::corrupt. `compared_with`: with Look::compare, what else it is compared
  // with.
  void submit(const DiskIo& io, Payload payload, const Payload& compared_with, SimDisk::DataDone done);
  void seal(uint64_t extent, std::function<void(int error)> done) { table_.seal(extent, std::move(done)); }
  // The daemon's metadata does no more writes after one that failed.
  void metadata_failed() { metadata_failed_ = true; }

 private:
  void read(uint64_t page, Read done) override;
  void write(uint64_t page, const DigestPage& digests, Written done) override;
  void read_done(const DiskIo& io, DigestTable::ReadId id, IoStatus status, const Payload& payload, const Payload& compared_with,
                 const SimDisk::DataDone& done);
  void change_done(const DiskIo& io, IoStatus status, const Payload& payload);

  SimDisk& disk_;
  std::function<void(const std::string&)> fault_;
  bool metadata_failed_ = false;
  DigestTable table_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace lockstep::sim
