// Storage for the metadata tests: an image in memory behind both interfaces, the asynchronous and the
// synchronous one.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "meta/bit_page.h"
#include "shell/metadata_attach.h"

namespace lockstep::fakes {

// Writes are kept back until complete_one(); fail_next() answers the next one with an error, after a part of
// it has reached the image when asked.
class FakeBlockDevice : public BlockDevice {
 public:
  explicit FakeBlockDevice(std::vector<std::byte>& image) : image_(image) {
    info_.block_bytes = 512;
    info_.size_bytes = image.size();
  }
  const OpenedDevice& info() const override { return info_; }
  size_t outstanding() const override { return queue_.size(); }
  void submit(BlockOp op, uint64_t offset, uint64_t length, std::byte* data, bool fua, BlockDone done) override {
    EXPECT_EQ(op, BlockOp::write);
    EXPECT_TRUE(fua);
    EXPECT_EQ(offset % 4096, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 4096, 0u);
    EXPECT_LE(offset + length, image_.size());
    EXPECT_TRUE(in_use_.insert(data).second) << "a buffer of I/O in flight was used again";
    queue_.push_back({offset, length, data, std::move(done)});
  }

  size_t pending() const { return queue_.size(); }
  uint64_t pending_offset() const { return queue_.front().offset; }
  uint64_t pending_length() const { return queue_.front().length; }
  void complete_one(int error = 0) {
    Request request = take();
    if (error == 0) std::memcpy(image_.data() + request.offset, request.data, request.length);
    request.done(error);
  }
  // Only these 512-byte pieces arrive; then the machine is gone.
  void tear_one(uint32_t pieces) {
    const Request request = take();
    for (uint64_t i = 0; i * 512 < request.length; ++i) {
      if ((pieces >> i & 1) != 0) std::memcpy(image_.data() + request.offset + i * 512, request.data + i * 512, 512);
    }
  }
  void complete_all() {
    while (pending() > 0) complete_one();
  }

 private:
  struct Request {
    uint64_t offset;
    uint64_t length;
    std::byte* data;
    BlockDone done;
  };
  Request take() {
    Request request = std::move(queue_.front());
    queue_.pop_front();
    in_use_.erase(request.data);
    return request;
  }
  std::vector<std::byte>& image_;
  OpenedDevice info_;
  std::deque<Request> queue_;
  std::set<std::byte*> in_use_;
};

// Fails reads of chosen sectors; stops writing (as a crash does) or fails after a number of writes.
class FakeMetadataIo : public MetadataIo {
 public:
  explicit FakeMetadataIo(std::vector<std::byte>& image) : image_(image) {}
  uint64_t size_bytes() const override { return image_.size(); }
  int read(uint64_t offset, std::span<std::byte> to) override {
    for (const uint64_t bad : bad_sectors) {
      if (bad >= offset && bad < offset + to.size()) return EIO;
    }
    std::memcpy(to.data(), image_.data() + offset, to.size());
    return 0;
  }
  int write_durable(uint64_t offset, std::span<const std::byte> from) override {
    if (writes_left == 0) return EIO;
    --writes_left;
    std::memcpy(image_.data() + offset, from.data(), from.size());
    return 0;
  }

  std::set<uint64_t> bad_sectors;
  int writes_left = 1 << 30;

 private:
  std::vector<std::byte>& image_;
};

// An image of 16 MiB with internal metadata as create-md leaves it, for node 0.
struct Formatted {
  static constexpr uint64_t kBytes = 16 * 1024 * 1024;
  Formatted() : image(kBytes) {
    layout = make_layout(Placement::internal, kBytes, 0, 4).layout;
    Superblock first;
    first.sequence = 1;
    first.layout = layout;
    first.record.resource = Uuid::from_words(0x42, 1);
    first.record.node = {0};
    first.record.disk = Uuid::from_words(0xd, 1);
    first.record.size_bytes = layout.data_bytes;
    first.record.acceptor.acceptor = Uuid::from_words(0xa, 1);
    FakeMetadataIo io(image);
    EXPECT_EQ(write_superblock(io, first), 0);
    put_pages(first.record.disk);
  }
  void put(uint64_t offset, const PageId& id, uint64_t sequence) {
    encode_bit_page(id, sequence, BitPage{}, SectorSpan(std::span(image).subspan(offset, kSectorBytes)));
  }
  void put_pages(const Uuid& disk) {
    for (uint64_t slot = 0; slot < 2; ++slot) put(layout.intent_slot(0, slot), intent_page_id(0, slot, disk), slot);
    for (uint8_t peer = 0; peer < layout.bitmap_slots; ++peer) {
      put(layout.bitmap_page({peer}, 0), bitmap_page_id({peer}, 0, disk), 0);
    }
  }
  MetadataExpectation expectation() const {
    MetadataExpectation e;
    e.resource = Uuid::from_words(0x42, 1);
    e.node = {0};
    e.data_device_bytes = kBytes;
    e.peers = {Seat{0}, Seat{1}, Seat{2}};
    e.boot = Uuid::from_words(0xb, 1);
    return e;
  }
  AttachOutcome attach() {
    FakeMetadataIo io(image);
    return attach_metadata(io, expectation());
  }

  std::vector<std::byte> image;
  Layout layout;
};

}  // namespace lockstep::fakes
