#include "shell/link/peer_link.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lockstep {

namespace {

constexpr Duration kRefusalHolds = seconds(30);  // at least; who is refused comes again sooner, or is gone

}  // namespace

const char* name_of(LinkState state) {
  switch (state) {
    case LinkState::stand_alone:
      return "StandAlone";
    case LinkState::connecting:
      return "Connecting";
    case LinkState::connected:
      return "Connected";
  }
  UNREACHABLE("LinkState");
}

PeerLink::PeerLink(EventLoop& loop, BufferPool& pool, const LinkSettings& settings, const PeerSettings& peer,
                   const LinkKeys& keys, LinkOwner& owner, std::function<LinkId()> draw_id)
    : loop_(loop), settings_(settings), peer_(peer), owner_(owner), draw_id_(std::move(draw_id)) {
  CHECK(!peer_.paths.empty() && peer_.paths.size() <= kMaxPaths);
  for (size_t i = 0; i < peer_.paths.size(); ++i)
    paths_.push_back(std::make_unique<Path>(loop, pool, settings, peer_, static_cast<uint8_t>(i), keys, *this));
  complaints_.resize(paths_.size());
  begin_session();
}

PeerLink::~PeerLink() {
  *alive_ = false;
  if (up_) up_->lanes->end();
  paths_.clear();
}

LinkStatus PeerLink::status() const {
  LinkStatus status;
  status.last_error = last_error_;
  const Duration holds = std::max(kRefusalHolds, settings_.connect_int * 3);
  if (!up_ && !stand_alone_ && loop_.now() - refused_at_ < holds) status.refusal = last_refusal_;
  status.state = stand_alone_ ? LinkState::stand_alone : LinkState::connecting;
  if (up_) {
    status.state = LinkState::connected;
    status.link = up_->id;
    status.negotiated = up_->negotiated;
    status.tls = settings_.tls != nullptr;
    status.queued_bytes = up_->lanes->queued_bytes();
  }
  for (const auto& path : paths_) {
    const PathSettings& settings = path->settings();
    status.paths.push_back({settings.local, settings.where, settings.control_only, path->standing(),
                            up_ && up_->lanes->goes_over(*path, Lane::data), up_ && up_->lanes->goes_over(*path, Lane::control),
                            path->last_error()});
  }
  return status;
}

// --- getting there ---------------------------------------------------------------------------------------

void PeerLink::start() {
  for (const auto& path : paths_) path->retry();
}

// Of the next link. Who connects draws it.
void PeerLink::begin_session() {
  if (dials() && paths_.size() > 1) session_ = draw_uuid();
}

Greeting PeerLink::greeting() const { return {session_, up_.has_value()}; }

// Of a path, while the link stands. The same is told once.
void PeerLink::complain(const Path& path, const std::string& why) {
  if (std::exchange(complaints_[path.number()], why) != why) owner_.path_changed(peer_.seat, path.name() + ": " + why, false);
}

void PeerLink::path_failed(Path& path, const DialResult& result) {
  if (up_) {
    if (!result.refused || result.code != RefusalCode::session) return complain(path, result.failure);
    for (const auto& other : paths_) other->probe();  // if it is true, they are dead, and some may not have said so
    return;
  }
  // It was up at the other end for a moment, and the last word of the handshake did not come here.
  if (result.refused && result.code == RefusalCode::session) {
    if (result.greeting.session == session_) begin_session();
    return;
  }
  last_error_ = paths_.size() > 1 ? path.name() + ": " + result.failure : result.failure;
  if (result.refused) return report_refusal(result.failure, result.stand_alone);
  if (paths_.size() == 1) refused_at_ = kLongAgo;  // there is another reason now
}

void PeerLink::report_refusal(std::string why, bool stand_alone) {
  if (stand_alone && up_) return;  // a stranger's word, or an old one
  if (stand_alone)
    why = peer_.name + " is StandAlone towards this node: lockstep connect " + settings_.name + " on " + peer_.name;
  last_error_ = why;
  refused_at_ = loop_.now();
  if (std::exchange(last_refusal_, why) != why) owner_.refused(peer_.seat, why);
}

void PeerLink::cannot_listen(const HostPort& address, const std::string& why) {
  for (const auto& path : paths_) {
    if (path->settings().local != address || path->standing()) continue;
    path->say(why);
    complain(*path, why);
  }
}

void PeerLink::refused_caller(const HandshakeResult& result) {
  if (stand_alone_ || (result.refused && result.code == RefusalCode::session)) return;  // it will notice by itself
  if (!result.refused || result.code != RefusalCode::path) return report_refusal(result.failure, result.stand_alone);
  const size_t number = std::min<size_t>(result.hello.path, paths_.size() - 1);
  complain(*paths_[number], result.failure);
}

std::optional<Refusal> PeerLink::admit(const Hello& hello) const {
  if (stand_alone_) return Refusal{RefusalCode::stand_alone, ""};
  const bool here = hello.path < paths_.size() && paths_[hello.path]->settings().control_only == hello.control_only;
  if (!here) {
    return Refusal{RefusalCode::path, "the configuration here has no path " + std::to_string(hello.path) +
                                          (hello.control_only ? " for control alone" : "") +
                                          ": adjust both nodes to the same one"};
  }
  if ((hello.joins && !can_join(hello.session)) || is_over(hello.session))
    return Refusal{RefusalCode::session, "that link is down at this end"};
  return std::nullopt;
}

void PeerLink::offer(HandshakeResult result, const HostPort& door) {
  if (admit(result.hello)) return result.connection->close();  // something has changed since it was let in
  Path& path = *paths_[result.hello.path];
  if (paths_.size() > 1 && path.settings().local != door) {
    result.connection->close();
    return complain(path, peer_.name + " calls it at " + to_text(door) +
                              ": the two nodes have the paths in another order; adjust both to "
                              "the same configuration");
  }
  path.offer(std::move(result));
}

// A path joins the link that it names. One of a new link replaces the old one: the peer would not have come if it still believed in that.
bool PeerLink::path_proved(Path& path, const Greeting& greeting, const Negotiated& negotiated) {
  if (stand_alone_) return false;
  const bool numbers = (negotiated.features & kFeaturePaths) != 0;
  // An attempt that was begun before this link was up is of no use: an end may have forgotten since, and begin the same session anew.
  if (can_join(greeting.session)) return numbers && greeting.joins;
  if (greeting.joins || is_over(greeting.session) || path.settings().control_only) return false;
  if (dials() && (up_ || greeting.session != session_)) return false;  // the link that it was for is over
  take_down("replaced by a new connection of the peer");
  tell_down();
  session_ = greeting.session;
  return !stand_alone_;  // what was told may have changed that
}

void PeerLink::path_stands(Path& path) {
  complaints_[path.number()].clear();
  if (!up_) return go_up(path);
  const auto lanes = up_->lanes;
  lanes->stands(path);
  if (up_ && up_->lanes == lanes) owner_.path_changed(peer_.seat, path.name() + " stands", true);
}

void PeerLink::go_up(Path& path) {
  const bool numbers = session_ != Uuid{} && (path.negotiated().features & kFeaturePaths) != 0;
  const LinkId id = draw_id_();
  up_ = Up{id, path.negotiated(), std::make_shared<LinkLanes>(loop_, settings_, paths_, numbers, *this)};
  last_error_.clear();
  last_refusal_.clear();
  up_->lanes->stands(path);
  for (const auto& other : paths_) {  // they join now; a peer that knows no sessions would take them for another link
    if (other.get() != &path) numbers ? other->retry() : other->stop();
  }
  owner_.link_up(peer_.seat, id);
}

// --- being there -----------------------------------------------------------------------------------------

void PeerLink::path_frame(Path& path, Lane lane, Frame frame) {
  if (!up_) return;
  if (frame.type == FrameType::refusal) return refused_after_all(path, frame);
  const auto lanes = up_->lanes;  // what it brings may end the link
  lanes->frame(path, lane, std::move(frame));
}

// The initiator does not believe our proof. It is the end of that path; of the link, if it has no other.
void PeerLink::refused_after_all(Path& path, const Frame& frame) {
  const auto refusal = decode_refusal(frame.body);
  const std::string why = peer_.name + " refused: " + (refusal ? text_of(refusal->code) : "malformed refusal") +
                          (refusal && !refusal->text.empty() ? " (" + refusal->text + ")" : "");
  path.lose(why);
  if (!up_) report_refusal(why);
}

void PeerLink::delivered(Message message, BufferRef payload) {
  owner_.message(peer_.seat, up_->id, std::move(message), std::move(payload));
}

bool PeerLink::send(LinkId link, const Message& message, BufferRef payload) {
  if (!up_ || up_->id != link) return false;
  if (up_->lanes->send(message, std::move(payload))) return true;
  take_down("the send queue is full");
  return false;
}

void PeerLink::path_lost(Path& path, const std::string& why) {
  if (!up_) return;
  const auto lanes = up_->lanes;
  lanes->lost(path);
  if (up_ && up_->lanes == lanes) owner_.path_changed(peer_.seat, path.name() + " is lost: " + why, false);
}

void PeerLink::lane_moved(Path& path, bool back, const std::string& why) {
  owner_.path_changed(peer_.seat, path.name() + (back ? " is used again" : " is left for another: " + why), back);
}

// --- going -----------------------------------------------------------------------------------------------

void PeerLink::take_down(const std::string& why) {
  if (!up_) return;
  Up was = std::move(*up_);
  up_.reset();
  was.lanes->end();
  ended_ = session_;
  session_ = {};
  begin_session();
  for (const auto& path : paths_) path->close(why);
  last_error_ = why;
  down_ = Down{was.id, why};
  loop_.defer([this, alive = alive_] {
    if (*alive) tell_down();
  });
}

void PeerLink::tell_down() {
  if (!down_) return;
  const Down down = *std::exchange(down_, std::nullopt);
  owner_.link_down(peer_.seat, down.id, down.why);
}

void PeerLink::close(LinkId link, const std::string& why) {
  if (up_ && up_->id == link) take_down(why);
}

void PeerLink::set_stand_alone(const std::string& why) {
  stand_alone_ = true;
  take_down(why);
  for (const auto& path : paths_) {
    path->stop();
    path->retry();
  }
  last_error_ = why;
}

void PeerLink::leave(const std::string& why) {
  stand_alone_ = true;
  take_down(why);
  for (const auto& path : paths_) path->stop();
  tell_down();
}

void PeerLink::connect() {
  if (!stand_alone_) return;
  stand_alone_ = false;
  last_error_.clear();
  last_refusal_.clear();
  for (const auto& path : paths_) {
    path->stop();  // which was only to say that we do not come
    path->retry();
  }
}

}  // namespace lockstep
