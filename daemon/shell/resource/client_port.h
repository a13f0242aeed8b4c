// The NBD side of a running resource: listeners, and connections. Their requests go their way in client_requests.h.
//
// One client writes at a time, by as many connections as it likes: file systems and databases would destroy each other's work. The first that
// changes something in an export holds it until its last connection is gone. Who comes meanwhile is offered the export read-only; who was there
// before, and might know what has been changed since only by its cache, changes nothing any more. `shared_writers` lifts this, for those that
// take care of it themselves.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "core/event.h"
#include "nbd/session.h"
#include "shell/event_loop.h"
#include "shell/loop/limited_log.h"
#include "shell/loop/socket_acceptor.h"
#include "shell/loop/unique_fd.h"
#include "shell/resource/client_account.h"
#include "shell/resource/client_requests.h"
#include "shell/resource/settings.h"
#include "shell/tls/tls_store.h"

namespace lockstep {

class ClientConnection;
class ClientListener;

// A context of every export; its flags are those of core/sync_map.h.
constexpr std::string_view kSyncContext = "lockstep:sync";

class ClientPort {
 public:
  // What the port asks of the resource. `submit` hands a request to the core; the answer comes by replied().
  struct Upstream {
    std::function<void(const ClientRequest&, BufferRef payload)> submit;
    std::function<nbd::Lookup(std::string_view name)> look_up;
    std::function<std::vector<nbd::ExportListing>()> list;
    std::function<std::vector<nbd::Extent>(const Range& range, size_t most)>
        sync_status;  // of kSyncContext, by the resource's addresses
    // Of base:allocation, in a moment or later.
    std::function<void(const Range& range, size_t most, std::function<void(std::vector<nbd::Extent>)> done)> allocation;
    std::function<bool()> reads_wait;  // for memory, which replies that are not taken may hold
  };
  ClientPort(EventLoop& loop, const ResourceSettings& settings, Upstream upstream);
  ~ClientPort();

  // What clients are shown and asked for under TLS. Before start(), and where settings.tls is not off.
  void secure_by(std::unique_ptr<TlsStore> keys) { keys_ = std::move(keys); }
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
  std::vector<ClientView> clients() const;  // in the order in which they came

 private:
  friend class ClientConnection;
  friend class ClientListener;
  SocketAcceptor::Owner accepted(UniqueFd fd, bool local);
  bool make_room();
  void look_soon();
  void look_at_clients();
  void request(ClientConnection& from, nbd::Request request);
  void answer_status(ClientConnection& to, const nbd::Request& request);
  void complete_status(uint64_t connection, nbd::SlotId slot, std::vector<nbd::ContextStatus> known);
  nbd::Lookup look_up(std::string_view name, const ClientConnection& asking);
  const std::string* other_writer(uint64_t base, const ClientConnection& than);
  bool may_change(const ClientConnection& client);
  void let_go_of_claims();
  void drop_finished();
  void resume_waiting();
  // What was the last to come before this turn of the loop.
  ClientSequence turn();
  std::shared_ptr<ClientHistory> history_of(const std::string& client);

  EventLoop& loop_;
  const ResourceSettings& settings_;
  Upstream upstream_;
  std::unique_ptr<TlsStore> keys_;
  BufferPool pool_;
  LimitedLog log_;
  TimerId look_timer_;
  std::vector<std::unique_ptr<ClientListener>> listeners_;
  std::string refused_address_;
  std::map<uint64_t, std::unique_ptr<ClientConnection>> connections_;
  ClientRequests requests_;
  ClientSequence turn_ = 0;
  bool in_turn_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::map<std::string, std::weak_ptr<ClientHistory>> histories_;  // by client
  std::map<uint64_t, std::string> writers_;                        // by base: the client that holds it
  std::map<uint64_t, Traffic> traffic_;                            // by base; `open` is not kept
};

}  // namespace lockstep
