// What one NBD connection has asked for so far, and what it waits for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "nbd/request.h"

namespace lockstep {

struct ClientOperation {
  nbd::RequestType type{};
  uint64_t offset = 0;  // bytes, in the export
  uint64_t length = 0;
  Duration age;
};

enum class ClientAccess : uint8_t {
  none,        // has not chosen an export yet
  read_write,  // may
  read_only,   // was offered no more, because another client writes
  barred,      // might, until another client began to write
};

struct ClientView {
  std::string client;  // client_identity.h
  bool local = false;  // by the unix socket
  bool tls = false;
  std::string export_name;
  ClientAccess access = ClientAccess::none;
  bool writes = false;  // its client holds the export
  Duration connected;
  uint64_t requests = 0;
  uint64_t bytes_read = 0;                 // of requests that succeeded
  uint64_t bytes_written = 0;              // by WRITE
  uint64_t refused = 0;                    // changes, to keep them from another client's or from newer ones
  std::vector<ClientOperation> in_flight;  // the oldest first
};

class ClientAccount {
 public:
  explicit ClientAccount(Instant now) : since_(now) {}

  void begins(const nbd::Request& request, Instant now) {
    if (running_.size() <= request.slot.value) running_.resize(request.slot.value + 1);
    running_[request.slot.value] = {request.type, request.offset, request.length, now, true};
    ++requests_;
  }
  void ends(nbd::SlotId slot, bool done) {
    if (slot.value >= running_.size()) return;
    Operation& is = running_[slot.value];
    is.running = false;
    if (done && is.type == nbd::RequestType::read) bytes_read_ += is.length;
    if (done && is.type == nbd::RequestType::write) bytes_written_ += is.length;
  }
  void refused() { ++refused_; }
  void show(ClientView& view, Instant now) const;  // fills what is known here

 private:
  struct Operation {
    nbd::RequestType type{};
    uint64_t offset = 0;
    uint64_t length = 0;
    Instant begun;
    bool running = false;
  };
  Instant since_;
  std::vector<Operation> running_;  // by slot
  uint64_t requests_ = 0;
  uint64_t bytes_read_ = 0;
  uint64_t bytes_written_ = 0;
  uint64_t refused_ = 0;
};

}  // namespace lockstep
