#include "shell/flight/guarded_mapping.h"

#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/check.h"

namespace lockstep {

namespace {

// What the signal handler may read: plain atomics, no allocation.
struct Slot {
  std::atomic<uintptr_t> begin{0};  // 0: free
  std::atomic<uintptr_t> end{0};
  std::atomic<bool> lost{false};
};
constexpr size_t kSlots = 1024;  // mappings at a time; more is an error of create()
constexpr uintptr_t kTaken = 1;  // not free, and no address lies in it
std::array<Slot, kSlots> slots;

// Gives the place of the lost file ordinary memory; the store that failed is then repeated there. A fault anywhere else ends the
// process, as it does without a handler.
void on_bus_error(int signal, siginfo_t* info, void*) {
  const int saved = errno;
  const auto at = reinterpret_cast<uintptr_t>(info->si_addr);
  for (Slot& slot : slots) {
    const uintptr_t begin = slot.begin.load();
    const uintptr_t end = slot.end.load();
    if (begin <= kTaken || at < begin || at >= end) continue;
    void* place = ::mmap(reinterpret_cast<void*>(begin), end - begin, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) break;
    slot.lost.store(true);
    errno = saved;
    return;
  }
  ::signal(signal, SIG_DFL);
  errno = saved;
}

bool install_handler() {
  struct sigaction action = {};
  action.sa_sigaction = &on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  return ::sigaction(SIGBUS, &action, nullptr) == 0;
}

size_t take_slot() {
  for (size_t i = 0; i < kSlots; ++i) {
    uintptr_t free = 0;
    if (slots[i].begin.compare_exchange_strong(free, kTaken)) return i;
  }
  return kSlots;
}

}  // namespace

Result<GuardedMapping> GuardedMapping::create(int fd, size_t bytes) {
  static const bool installed = install_handler();
  if (!installed) return Error{EINVAL, "sigaction"};
  const size_t slot = take_slot();
  if (slot == kSlots) return Error{EMFILE, "mmap"};
  void* place = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (place == MAP_FAILED) {
    slots[slot].begin.store(0);
    return Error{errno, "mmap"};
  }
  const auto begin = reinterpret_cast<uintptr_t>(place);
  slots[slot].lost.store(false);
  slots[slot].end.store(begin + bytes);
  slots[slot].begin.store(begin);
  return GuardedMapping({static_cast<std::byte*>(place), bytes}, slot);
}

GuardedMapping::GuardedMapping(GuardedMapping&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})), slot_(std::exchange(other.slot_, kSlots)) {}

GuardedMapping::~GuardedMapping() {
  if (slot_ == kSlots) return;
  slots[slot_].begin.store(kTaken);
  CHECK(::munmap(bytes_.data(), bytes_.size()) == 0);
  slots[slot_].begin.store(0);
}

bool GuardedMapping::lost() const { return slots[slot_].lost.load(std::memory_order_relaxed); }

}  // namespace lockstep
