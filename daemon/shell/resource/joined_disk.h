// The disks of several volumes as one BlockDevice: the address space of core/volumes.h. What lies between the volumes reads as zeroes, and
// writing there (a resync does) changes nothing.
//
// For the resource's loop, which outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/tenure.h"
#include "shell/block_device.h"
#include "shell/event_loop.h"

namespace lockstep {

class JoinedDisk final : public BlockDevice {
 public:
  // In the order of the volumes. `room`: what of each disk is data area; nothing behind it is ever touched.
  JoinedDisk(EventLoop& loop, std::vector<std::unique_ptr<BlockDevice>> disks, const VolumeShapes& room);

  // Where the volumes lie. Before that, and with volumes for which there is no room, every request but a flush fails with EIO. Requests that
  // are under way stay where they went.
  void lay_out(const VolumeShapes& volumes);

  const OpenedDevice& info() const override { return info_; }
  void submit(BlockOp op, uint64_t offset, uint64_t length, std::byte* data, bool fua, BlockDone done) override;
  size_t outstanding() const override;
  std::optional<InFile> in_file(uint64_t address) const override;

  BlockDevice& lowest() { return *disks_[0]; }
  // Of the disk whose request failed last.
  const std::string& culprit() const { return disks_[culprit_]->info().path; }

 private:
  struct Whole;  // a request, until all its pieces have ended
  static void ended(const std::shared_ptr<Whole>& whole, int error);
  void submit_piece(const std::shared_ptr<Whole>& whole, size_t disk, BlockOp op, uint64_t offset, uint64_t length,
                    std::byte* data, bool fua);
  // From `address` on: in which volume, and how far that or the gap reaches.
  struct Stretch {
    bool gap = true;
    size_t disk = 0;
    uint64_t offset = 0;
    uint64_t length = 0;
  };
  Stretch stretch_at(uint64_t address) const;

  EventLoop& loop_;
  std::vector<std::unique_ptr<BlockDevice>> disks_;
  OpenedDevice info_;
  VolumeShapes room_;
  VolumeShapes volumes_;  // empty: none that fit
  size_t unfinished_ = 0;
  size_t culprit_ = 0;
};

}  // namespace lockstep
