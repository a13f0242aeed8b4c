// The NBD side of a running resource: listeners, connections, and the way of a request from a session to the core and back.
//
// Requests that the core would not take as one (longer than max_op_bytes) are split here; those beyond the core's bound wait here,
// and the sessions' own bounds make the clients wait.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "core/event.h"
#include "nbd/session.h"
#include "shell/event_loop.h"
#include "shell/loop/limited_log.h"
#include "shell/loop/socket_acceptor.h"
#include "shell/loop/unique_fd.h"
#include "shell/resource/settings.h"

namespace lockstep {

class ClientConnection;
class ClientListener;

class ClientPort {
 public:
  // What the port asks of the resource. `submit` hands a request to the core; the answer comes by replied().
  struct Upstream {
    std::function<void(const ClientRequest&, BufferRef payload)> submit;
    std::function<nbd::Lookup(std::string_view name)> look_up;
    std::function<std::vector<nbd::ExportListing>()> list;
    std::function<bool()> reads_wait;  // for memory, which replies that are not taken may hold
  };
  ClientPort(EventLoop& loop, const ResourceSettings& settings, Upstream upstream);
  ~ClientPort();

  // Listens on every configured address, or on none: then refused_address() says which one failed.
  Result<void> start();
  const std::string& refused_address() const { return refused_address_; }
  void replied(ClientIo io, IoStatus status, BufferRef data);
  // Fails what waits with ESHUTDOWN and closes every client.
  void shut_down_clients();
  size_t open_exports() const;  // clients that have chosen an export and have not hung up
  size_t connections() const { return connections_.size(); }
  // What clients do with the export that begins at `base` of the resource's addresses.
  struct Traffic {
    bool open = false;
    uint64_t bytes_read = 0;
    uint64_t bytes_written = 0;
  };
  Traffic traffic(uint64_t base) const;

 private:
  friend class ClientConnection;
  friend class ClientListener;
  struct Pending {  // a client's request, in one or several pieces
    uint64_t connection = 0;
    nbd::SlotId slot;
    uint32_t pieces = 0;
    IoStatus status = IoStatus::ok;
  };
  struct Piece {
    ClientRequest request;
    BufferRef payload;
  };
  SocketAcceptor::Owner accepted(UniqueFd fd, bool local);
  bool make_room();
  void look_soon();
  void look_at_clients();
  void request(uint64_t connection, uint64_t base, nbd::Request request);
  void hand_on();
  void drop_finished();
  void forget_queued(uint64_t connection);
  void resume_waiting();

  EventLoop& loop_;
  const ResourceSettings& settings_;
  Upstream upstream_;
  BufferPool pool_;
  LimitedLog log_;
  TimerId look_timer_;
  std::vector<std::unique_ptr<ClientListener>> listeners_;
  std::string refused_address_;
  std::map<uint64_t, std::unique_ptr<ClientConnection>> connections_;
  std::map<uint64_t, Pending> pending_;  // by request
  std::map<uint64_t, uint64_t> owner_;   // ClientIo -> request
  std::deque<Piece> queue_;              // beyond what the core takes at once
  uint64_t last_id_ = 0;
  size_t in_core_ = 0;
  std::map<uint64_t, Traffic> traffic_;  // by base; `open` is not kept
};

}  // namespace lockstep
