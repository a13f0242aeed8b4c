#include "state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "base/endian.h"
#include "core/codec/tenure_codec.h"

namespace lockstep {

namespace {

constexpr size_t kSlotBytes = 4096;
constexpr size_t kHeadBytes = 64;
constexpr size_t kCrcAt = 508;
constexpr uint64_t kMagic = 0x3153'5457'4b43'4f4c;  // "LOCKWTS1"
constexpr uint32_t kLayoutVersion = 1;
constexpr size_t kMemoryAt = 512;
static_assert(kMemoryAt + 16 + kMaxVoterMemoryBytes <= kSlotBytes);
static_assert(kHeadBytes + kMaxAcceptorRecordBytes <= kCrcAt);

using SlotBytes = std::array<std::byte, kSlotBytes>;

// What is not there reads as zero.
SlotBytes read_bytes(int fd, int index) {
  SlotBytes bytes{};
  size_t have = 0;
  while (have < bytes.size()) {
    const auto at = static_cast<off_t>(kSlotBytes * static_cast<size_t>(index) + have);
    const ssize_t got = ::pread(fd, bytes.data() + have, bytes.size() - have, at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    have += static_cast<size_t>(got);
  }
  return bytes;
}

bool all_zero(const SlotBytes& bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

Result<StateFile::Identity> StateFile::identity_of(int fd) {
  struct statx status {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &status) != 0) return Error{errno, "statx"};
  Identity identity;
  identity.inode = status.stx_ino;
  if ((status.stx_mask & STATX_BTIME) != 0) {  // some file systems keep none: then the inode alone has to do
    identity.birth_seconds = static_cast<uint64_t>(status.stx_btime.tv_sec);
    identity.birth_nanoseconds = status.stx_btime.tv_nsec;
  }
  return identity;
}

std::optional<StateFile::Slot> StateFile::parse(std::span<const std::byte> all, const ResourceId& resource) {
  if (get_le<uint32_t>(all.data() + kCrcAt) != crc32c(all.first(kCrcAt))) return std::nullopt;
  ByteReader in(all.first(kCrcAt));
  const auto magic = in.get<uint64_t>();
  const auto version = in.get<uint32_t>();
  const auto body_bytes = in.get<uint32_t>();
  Slot slot;
  slot.sequence = in.get<uint64_t>();
  slot.identity.inode = in.get<uint64_t>();
  slot.identity.birth_seconds = in.get<uint64_t>();
  slot.identity.birth_nanoseconds = in.get<uint32_t>();
  const auto reserved = in.get<uint32_t>();
  const Uuid owner = in.get_uuid();
  ByteReader body(in.get_bytes(body_bytes));
  slot.record = decode_acceptor_record(body);
  const bool good = magic == kMagic && version == kLayoutVersion && reserved == 0 && owner == resource && in.ok() &&
                    body.at_end() && slot.sequence > 0;
  if (!good) return std::nullopt;
  return slot;
}

std::optional<StateFile::MemorySlot> StateFile::parse_memory(std::span<const std::byte> all) {
  ByteReader in(all.subspan(kMemoryAt));
  MemorySlot slot;
  slot.sequence = in.get<uint64_t>();
  const auto bytes = in.get<uint32_t>();
  const auto crc = in.get<uint32_t>();
  if (slot.sequence == 0 || bytes > kMaxVoterMemoryBytes) return std::nullopt;
  const auto body = in.get_bytes(bytes);
  if (crc32c(body) != crc) return std::nullopt;
  ByteReader memory(body);
  slot.memory = decode_voter_memory(memory);
  if (!memory.at_end()) return std::nullopt;
  return slot;
}

Result<StateFile::Opened> StateFile::open(const std::string& path, const ResourceId& resource) {
  Opened opened;
  opened.file.fd_ = UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  const int fd = opened.file.fd_.get();
  if (fd < 0) return Error{errno, "open the state file"};
  const auto identity = identity_of(fd);
  if (!identity.ok()) return identity.error();
  opened.file.resource_ = resource;
  opened.file.identity_ = identity.value();

  std::optional<Slot> newest;
  std::optional<MemorySlot> newest_memory;
  bool memory_written = false;
  for (int index = 0; index < 2; ++index) {
    const SlotBytes bytes = read_bytes(fd, index);
    if (all_zero(bytes)) continue;
    auto slot = parse(bytes, resource);
    if (!slot) opened.found = StateFound::damaged;
    const auto memory = parse_memory(bytes);
    const std::span<const std::byte> rest = std::span<const std::byte>(bytes).subspan(kMemoryAt);
    memory_written = memory_written || std::any_of(rest.begin(), rest.end(), [](std::byte b) { return b != std::byte{0}; });
    if (memory && (!newest_memory || memory->sequence > newest_memory->sequence)) newest_memory = memory;
    if (slot && (!newest || slot->sequence > newest->sequence)) newest = std::move(slot);
  }
  // Both halves cannot be torn: it knew of runs, and has lost them.
  if (memory_written && !newest_memory) opened.found = StateFound::damaged;
  if (opened.found != StateFound::damaged && newest) {
    opened.found = newest->identity == opened.file.identity_ ? StateFound::whole : StateFound::copied;
  }
  if (opened.found == StateFound::whole) {
    opened.file.sequence_ = newest->sequence;
    opened.record.acceptor = newest->record;
    if (newest_memory) opened.record.memory = newest_memory->memory;
  } else if (::ftruncate(fd, 0) != 0) {
    return Error{errno, "empty the state file"};
  }
  return opened;
}

Result<void> StateFile::store(const WitnessRecord& record) {
  std::vector<std::byte> body;
  ByteWriter body_out(body);
  encode_acceptor_record(body_out, record.acceptor);

  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  const uint64_t sequence = sequence_ + 1;
  out.put(kMagic);
  out.put(kLayoutVersion);
  out.put(static_cast<uint32_t>(body.size()));
  out.put(sequence);
  out.put(identity_.inode);
  out.put(identity_.birth_seconds);
  out.put(identity_.birth_nanoseconds);
  out.put(uint32_t{0});
  out.put(resource_);
  out.put_bytes(body);
  bytes.resize(kMemoryAt);
  std::vector<std::byte> memory;
  ByteWriter memory_out(memory);
  encode_voter_memory(memory_out, record.memory);
  out.put(sequence);
  out.put(static_cast<uint32_t>(memory.size()));
  out.put(crc32c(memory));
  out.put_bytes(memory);
  bytes.resize(kSlotBytes);
  put_le(bytes.data() + kCrcAt, crc32c(std::span<const std::byte>(bytes).first(kCrcAt)));

  const auto at = static_cast<off_t>(kSlotBytes * (sequence % 2));
  const ssize_t written = ::pwrite(fd_.get(), bytes.data(), bytes.size(), at);
  if (written < 0) return Error{errno, "write the state file"};
  if (static_cast<size_t>(written) != bytes.size()) return Error{EIO, "write the state file"};
  if (::fdatasync(fd_.get()) != 0) return Error{errno, "sync the state file"};
  sequence_ = sequence;
  return {};
}

}  // namespace lockstep
