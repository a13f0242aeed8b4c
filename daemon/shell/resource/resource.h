// A running resource: its own thread and event loop, the Replica, and everything that the Replica's effects need: disk, metadata,
// links, NBD clients, timer, handlers.
//
// Opened and destroyed on the control thread. All other members are for the control thread too and hand their work to the
// resource's loop by post(); answers come on the resource's loop, and the caller posts them back to its own.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/replica.h"
#include "shell/digests/checked_disk.h"
#include "shell/event_loop.h"
#include "shell/flight/flight_recorder.h"
#include "shell/link/link_manager.h"
#include "shell/loop/hole_finder.h"
#include "shell/loop/limited_log.h"
#include "shell/meta_store.h"
#include "shell/metadata_attach.h"
#include "shell/resource/block_look.h"
#include "shell/resource/client_port.h"
#include "shell/resource/handler_runner.h"
#include "shell/resource/joined_disk.h"
#include "shell/resource/payload_table.h"
#include "shell/resource/settings.h"

namespace lockstep {

// What a resource shows; made on its loop.
struct ResourceView {
  Snapshot snapshot;
  std::vector<std::pair<Seat, LinkStatus>> links;
  std::vector<ClientPort::Traffic> volumes;  // as Snapshot::volumes
  bool disk_open = true;                     // not detached
  bool digests = false;                      // are kept at rest
  uint64_t wrong_blocks = 0;                 // that reads have found not to have theirs
  std::string engine;
};

struct OpenFailure {
  int exit_status = 20;
  std::string text;  // lines for a person
};

class Resource final : public LinkOwner {
 public:
  // Claims the disks, reads and repairs the metadata, listens. On failure nothing is left open.
  static std::unique_ptr<Resource> open(ResourceSettings settings, OpenFailure& failure);
  // Whether open() would find its disks, and metadata of this resource on them. Writes nothing. False: with the reason.
  static bool can_attach(const ResourceSettings& settings, OpenFailure& failure);
  // Stops the loop and waits for its thread. Ask for AdminOp::stop before, where there is time.
  ~Resource() override;

  const ResourceSettings& settings() const { return settings_; }

  // What is asked while the resource goes down may be dropped without an answer.
  using AdminDone = std::function<void(const AdminReply&)>;
  void admin(AdminOp op, Seat peer, AdminDone done, Range range = {}, bool assume_clean = false);
  // As AdminOp::detach; the disks are closed when it is answered well.
  void detach(AdminDone done);
  void view(std::function<void(ResourceView)> done);
  void clients(std::function<void(std::vector<ClientView>)> done);
  void connect(Seat peer);
  void disconnect(Seat peer);
  // The configuration has other nodes or witnesses, or has them elsewhere: all of them but this node. Like any command, it may be refused; with a
  // text when that is the shell's doing.
  using NodesDone = std::function<void(const AdminReply&, const OpenFailure&)>;
  void change_nodes(std::vector<PeerSettings> peers, NodesDone done);

 private:
  struct Disks;
  struct Read {
    DiskIo io;
    BufferRef digests;  // that it is compared with: the core may give it up, and release them, before it ends
    BufferRef wanted;   // the bytes that the core asked for
  };
  static std::unique_ptr<TlsStore> load_keys(const std::string& name, const TlsFiles& files, const char* what,
                                             OpenFailure& failure);
  static bool load_keys(ResourceSettings& settings, std::unique_ptr<TlsStore>& of_clients, OpenFailure& failure);
  static bool claim(const ResourceSettings& settings, Disks& disks, OpenFailure& failure);
  static MetadataExpectation expectation(const ResourceSettings& settings, const Disks& disks);
  static bool volumes_fit(const ResourceSettings& settings, const Disks& disks, const NodeRecord& record, OpenFailure& failure);
  static bool attach(const ResourceSettings& settings, Disks& disks, OpenFailure& failure);
  Resource(ResourceSettings settings, std::unique_ptr<EventLoop> loop);
  void adopt(Disks disks);
  void adopt_disks(Disks& disks);
  void start_thread();

  // LinkOwner, on the loop
  void link_up(Seat peer, LinkId link) override;
  void link_down(Seat peer, LinkId link, const std::string& why) override;
  void message(Seat peer, LinkId link, Message message, BufferRef payload) override;
  void refused(Seat peer, const std::string& why) override;
  void path_changed(Seat peer, const std::string& what, bool good) override;

  // events and effects (resource_effects.cc)
  void happen(Event event);
  void drain();
  void arm_timer();
  void run(const DiskIo& effect);
  void run(const WriteRecord& effect);
  void run(const WriteIntentPage& effect);
  void run(const WriteBitmapPage& effect);
  void run(const SealExtent& effect);
  void run(const Send& effect);
  void run(const CloseLink& effect);
  void run(const ClientReply& effect);
  void run(const Release& effect);
  void run(const AdminReply& effect);
  void run(const RoleChanged& effect);
  void run(const RunFence& effect);
  void run(const Note& effect);

  void disk_done(DiskIoId io, int error, OpKind kind, BlockMask found = 0);

  // reads (resource_reads.cc)
  void start_read(Read read);
  void retry_reads_soon();
  void read_plainly(const Read& read);
  void read_checked(const Read& read, BufferRef whole, const Range& blocks);
  void read_judged(const Read& read, const BufferRef& whole, std::optional<BlockMask> found, const DigestTable::Verdict& verdict);
  BlockMask look_at(const Read& wanted, Buffer& read);

  // handlers (resource_handlers.cc)
  HandlerCommand handler_command(Handler kind, Seat peer) const;
  void run_handlers(const Note& note);
  void tell(Handler kind, Seat peer);
  void before_resync(const Note& wanted);
  void metadata_done(MetaToken token, int error);

  // commands (resource_commands.cc)
  void begin_admin(AdminRequest request, AdminDone done);  // which gets its id here
  void close_disks(std::function<void()> then);
  OpenFailure cannot_have(const std::vector<PeerSettings>& peers);
  void take_over(const std::vector<PeerSettings>& peers);
  void when_clients_left(Instant deadline, std::function<void(bool left)> then);
  const std::string& disk_at(uint64_t address) const;
  std::optional<uint16_t> volume_named(std::string_view name) const;
  nbd::Lookup look_up(std::string_view name);
  std::vector<nbd::Extent> sync_status(const Range& range, size_t most) const;
  void find_allocated(const Range& range, size_t most, std::function<void(std::vector<nbd::Extent>)> done);

  ResourceSettings settings_;
  // Before the loop, and so destroyed after it: what was still deferred there may hold a link, with what it had to send.
  BufferPool peer_pool_;
  BufferPool read_pool_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<HoleFinder> holes_;
  PayloadTable payloads_;
  BlockDigests digests_;
  std::unique_ptr<BlockDevice> disk_;         // null: detached, and so is the rest
  JoinedDisk* joined_ = nullptr;              // `disk_`, if there are several volumes
  std::unique_ptr<BlockDevice> meta_device_;  // external metadata only
  std::unique_ptr<MetaStore> meta_;
  Layout layout_;                         // of the metadata that was attached
  std::unique_ptr<CheckedDisk> checked_;  // null: no digests at rest
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<FlightRecorder> flight_;  // null: off
  std::unique_ptr<LinkManager> links_;
  std::unique_ptr<ClientPort> clients_;
  std::unique_ptr<HandlerRunner> handlers_;
  LimitedLog peer_refusals_;
  LimitedLog paths_;
  LimitedLog strangers_;  // apart from those: a crowd of strangers must not hide why a peer is refused
  LimitedLog rot_;

  std::deque<Event> events_;
  Effects effects_;
  bool draining_ = false;
  bool ending_ = false;             // the loop has stopped: what still completes is nobody's business
  std::deque<Read> reads_waiting_;  // for memory
  bool retry_queued_ = false;
  TimerId timer_;
  Instant timer_due_ = kNever;
  bool primary_ = false;
  uint32_t closing_to_clients_ = 0;  // commands during which no client comes in
  bool metadata_failed_ = false;
  uint64_t last_admin_ = 0;
  std::vector<std::pair<AdminId, AdminDone>> admins_;
  std::thread thread_;
};

}  // namespace lockstep
