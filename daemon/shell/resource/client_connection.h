// One NBD client's socket, and the session behind it.
#pragma once

#include <memory>

#include "nbd/session.h"
#include "shell/event_loop.h"
#include "shell/loop/unique_fd.h"
#include "shell/resource/client_port.h"

namespace lockstep {

class ClientConnection final : public FdHandler, public nbd::RequestSink, public nbd::ExportDirectory {
 public:
  ClientConnection(ClientPort& port, uint64_t id, UniqueFd fd);
  ~ClientConnection() override;

  void on_ready(uint32_t events) override;
  void complete(nbd::SlotId slot, int error_number, BufferRef data);
  void shut_down();
  void resume_if_waiting();  // pool memory may have become free
  bool open() const { return opened_; }
  // Nothing more to send or to answer: may be destroyed.
  bool over() const { return closed_ && session_.outstanding() == 0; }

  void opened(const nbd::ExportInfo& info) override;
  void submit(nbd::Request request) override;
  std::vector<nbd::ExportListing> list() override;
  nbd::Lookup look_up(std::string_view name, Purpose purpose) override;

 private:
  void read_some();
  void write_some();
  void flush_soon();
  void update_watch();
  void close();

  ClientPort& port_;
  uint64_t id_;
  UniqueFd fd_;
  nbd::Session session_;
  void watch_progress();

  TimerId progress_timer_;
  uint64_t bytes_received_ = 0;
  uint64_t bytes_at_last_look_ = 0;
  uint32_t watched_ = 0;
  bool flush_queued_ = false;
  bool opened_ = false;
  bool closed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace lockstep
