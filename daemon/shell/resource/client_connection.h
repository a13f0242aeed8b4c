// One NBD client's socket, and the session behind it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nbd/session.h"
#include "shell/event_loop.h"
#include "shell/resource/client_account.h"
#include "shell/resource/client_backlog.h"
#include "shell/resource/client_pace.h"
#include "shell/resource/client_port.h"
#include "shell/tls/socket_stream.h"

namespace lockstep {

class ClientConnection final : public FdHandler, public nbd::RequestSink, public nbd::ExportDirectory {
 public:
  ClientConnection(ClientPort& port, uint64_t id, UniqueFd fd, bool local);
  ~ClientConnection() override;

  void on_ready(uint32_t events) override;
  void complete(nbd::SlotId slot, int error_number, BufferRef data);
  void complete_status(nbd::SlotId slot, std::vector<nbd::ContextStatus> known);
  void shut_down();
  void resume_if_waiting();  // pool memory may have become free
  bool waits_for_memory() const { return !closed_ && session_.waits_for_memory(); }
  // Which of two gives way when there are too many: the one with the lower rank. kServed: it does not.
  static constexpr int kServed = 5;
  int rank() const;
  // Has chosen the export and may still ask for something. One that hung up is not in anybody's way, whatever of its requests waits.
  bool open() const { return opened_ && !leaving(); }
  bool opened_export() const { return opened_; }
  uint64_t base() const { return base_; }
  uint64_t id() const { return id_; }
  const std::string& client() const { return client_; }  // client_identity.h
  // Why an export is not for this client, whoever else may have it: by who it has proved to be, or has not.
  std::optional<nbd::Refusal> refused_by_name() const;
  // A change that came at `since`, or was waiting then, and has not been made: its client may have given this connection up meanwhile, had it
  // made by another one, and made newer ones.
  bool may_be_old(ClientSequence since, const Range& range) const;
  // Its client has gone, and nothing of it is under way, whether that has been noticed or not.
  bool done_with() const;
  // Another client has begun to write.
  void bar_from_changes() { barred_ = true; }
  ClientView show() const;  // but for ClientView::writes
  bool leaving() const { return closed_ || !session_.takes_requests(); }
  // The socket is gone: may be destroyed. What it had asked for goes on without it.
  bool over() const { return closed_; }

  // What others wait for, and this client may be holding.
  struct Shortage {
    bool payloads = false;
    bool replies = false;
  };
  // Called every now and then: closes a client that is in others' way.
  void look(Shortage shortage);
  void close();

  void opened(const nbd::ExportInfo& info) override;
  void submit(nbd::Request request) override;
  std::vector<nbd::ExportListing> list() override;
  nbd::Lookup look_up(std::string_view name, Purpose purpose) override;

 private:
  void shake_hands();
  void secured();
  bool waits_for_tls() const { return stream_.tls() != nullptr && !stream_.tls()->established(); }
  void read_some();
  void read_soon();
  void write_some();
  void flush_soon();
  void update_watch();
  void turn_out(std::string_view why);
  void refuse_change(const nbd::Request& request, int error_number, std::string_view why);
  void note_backlog(uint64_t in_socket);
  void note_backlog();
  void note_rest();
  bool comes_late(const Range& range) const;

  ClientPort& port_;
  uint64_t id_;
  SocketStream stream_;
  bool local_;  // by a unix socket, which not everybody may use
  std::string client_;
  std::vector<std::string> proven_;             // names, by TLS
  std::shared_ptr<const TlsCredentials> keys_;  // that TLS began with
  nbd::Session session_;
  uint64_t bytes_received_ = 0;
  uint64_t bytes_sent_ = 0;
  ClientPace receiving_;
  ClientPace sending_;
  uint32_t looks_in_negotiation_ = 0;
  uint32_t watched_ = 0;
  bool flush_queued_ = false;
  bool read_queued_ = false;
  bool opened_ = false;
  bool barred_ = false;
  ClientAccount account_;
  std::shared_ptr<ClientHistory> history_;
  ClientBacklog backlog_;
  uint64_t base_ = 0;  // where the export begins in the resource's addresses (core/volumes.h)
  bool closed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace lockstep
