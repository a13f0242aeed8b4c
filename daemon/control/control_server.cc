#include "control/control_server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "shell/loop/socket_acceptor.h"
#include "shell/loop/unique_fd.h"

namespace lockstep {

namespace {

constexpr size_t kMaxOutput = 8 * 1024 * 1024;    // of a reply: a client that reads no faster is dropped
constexpr size_t kMaxStreamOutput = 1024 * 1024;  // of a stream: there are many, and they live long
constexpr Duration kRequestTimeout = seconds(10);
constexpr Duration kReplyTimeout = seconds(30);
constexpr Duration kLifeSignPause = seconds(1);  // well within the CLI's patience

class Connection;

class Server final : public ControlServer {
 public:
  Server(EventLoop& loop, ControlHandler& handler, UniqueFd lock, UniqueFd listener, std::string path);
  ~Server() override;
  size_t connections() const override { return connections_.size(); }

  EventLoop& loop() { return loop_; }
  ControlHandler& handler() { return handler_; }
  void closed(const Connection& connection);
  bool may_stream() const { return streams() < kMaxStreams; }

 private:
  SocketAcceptor::Owner accept_one(UniqueFd fd);
  bool make_room();
  size_t streams() const;

  EventLoop& loop_;
  ControlHandler& handler_;
  UniqueFd lock_;  // held as long as this lives: the run directory is ours
  std::string path_;
  std::vector<std::shared_ptr<Connection>> connections_;  // oldest first
  SocketAcceptor acceptor_;
};

// One client. The server owns it while the socket is open; the handler reaches it through an Obligation.
class Connection final : public ControlResponder, public FdHandler, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server& server, UniqueFd fd) : server_(&server), fd_(std::move(fd)) {}
  void start();
  void shut();  // closes the socket; the server forgets this connection
  void refuse(std::string why, int exit_status = 1) { finish({exit_status, "", "lockstepd: " + std::move(why) + "\n"}); }

  void on_ready(uint32_t events) override;
  void event(std::string_view line) override;
  void progress(const nlohmann::json& value) override;
  void finish(const ControlReply& reply) override;
  bool open() const override { return server_ != nullptr && !finished_; }
  bool begin_stream() override;
  void on_hangup(std::function<void()> what) override;

  // Nobody works for it: it has not said what it wants, or does not take the answer.
  bool idle() const { return !dispatched_ || finished_; }
  bool stream() const { return stream_; }

 private:
  void shut_after(Duration patience);
  void read_some();
  void dispatch(size_t length);
  void show_life();
  void send(std::string text);
  void write_some();
  void drop_input();
  void hang_up();

  Server* server_;  // null once closed
  UniqueFd fd_;
  TimerId timer_;
  std::string input_;
  std::string output_;
  size_t sent_ = 0;
  bool dispatched_ = false;
  bool finished_ = false;
  bool stream_ = false;
  std::function<void()> on_hangup_;
};

// What the handler keeps. If it lets go without an answer (the resource went down under the command), the client is told so rather
// than left waiting.
class Obligation final : public ControlResponder {
 public:
  Obligation(EventLoop& loop, std::shared_ptr<Connection> connection) : loop_(loop), connection_(std::move(connection)) {}
  Obligation(const Obligation&) = delete;
  ~Obligation() override {
    if (finished_) return;
    // The last one to let go may be another thread.
    loop_.post([connection = std::move(connection_)] {
      connection->refuse("the resource went down before this command was done; look at status, then repeat it", 20);
    });
  }
  void event(std::string_view line) override { connection_->event(line); }
  void progress(const nlohmann::json& value) override { connection_->progress(value); }
  void finish(const ControlReply& reply) override {
    finished_ = true;
    connection_->finish(reply);
  }
  bool begin_stream() override { return connection_->begin_stream(); }
  bool open() const override { return connection_->open(); }
  void on_hangup(std::function<void()> what) override { connection_->on_hangup(std::move(what)); }

 private:
  EventLoop& loop_;
  std::shared_ptr<Connection> connection_;
  bool finished_ = false;
};

size_t Server::streams() const {
  return static_cast<size_t>(
      std::count_if(connections_.begin(), connections_.end(), [](const auto& each) { return each->stream(); }));
}

void Server::closed(const Connection& connection) {
  std::erase_if(connections_, [&connection](const auto& each) { return each.get() == &connection; });
}

void Connection::start() {
  server_->loop().watch(fd_.get(), EPOLLIN, *this);
  timer_ = server_->loop().call_at(server_->loop().now() + kRequestTimeout, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->timer_ = {};
    if (!self->dispatched_) self->refuse("no request came in time");
  });
}

// The answer is there; who does not fetch it is not waited for.
void Connection::shut_after(Duration patience) {
  if (timer_.value != 0) server_->loop().cancel(timer_);
  timer_ = server_->loop().call_at(server_->loop().now() + patience, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->timer_ = {};
    self->shut();
  });
}

bool Connection::begin_stream() {
  if (!open() || (!stream_ && !server_->may_stream())) return false;
  stream_ = true;
  return true;
}

void Connection::shut() {
  if (!server_) return;
  Server* server = std::exchange(server_, nullptr);
  if (timer_.value != 0) server->loop().cancel(timer_);
  server->loop().unwatch(fd_.get());
  fd_ = UniqueFd();
  server->closed(*this);
}

void Connection::on_ready(uint32_t events) {
  const auto keep = shared_from_this();
  if ((events & EPOLLOUT) != 0) write_some();
  if (server_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_some();
}

void Connection::read_some() {
  char chunk[4096];
  for (;;) {
    const ssize_t got = ::read(fd_.get(), chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      hang_up();
      return;
    }
    if (dispatched_) continue;  // nothing further is expected; only the end of the stream matters
    input_.append(chunk, static_cast<size_t>(got));
    const size_t newline = input_.find('\n');
    if (newline == std::string::npos && input_.size() <= kMaxRequestBytes) continue;
    dispatch(newline);
    if (!server_) return;
  }
}

void Connection::dispatch(size_t length) {
  dispatched_ = true;
  if (length == std::string::npos || length > kMaxRequestBytes) {
    refuse("the request is too long");
    return;
  }
  auto parsed = parse_request(std::string_view(input_).substr(0, length));
  if (const std::string* wrong = std::get_if<std::string>(&parsed)) {
    refuse(*wrong);
    return;
  }
  input_ = std::string();
  if (timer_.value != 0) server_->loop().cancel(timer_);
  show_life();
  auto obligation = std::make_shared<Obligation>(server_->loop(), shared_from_this());
  server_->handler().handle(std::move(std::get<ControlRequest>(parsed)), std::move(obligation));
}

// Lets a client that waits for a long command tell it from a daemon that hangs. Not behind what it has not yet read: that is a sign
// too, and who reads nothing shall not collect them.
void Connection::show_life() {
  timer_ = server_->loop().call_at(server_->loop().now() + kLifeSignPause, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || !self->open()) return;
    self->show_life();
    if (self->output_.empty()) self->progress(nlohmann::json::object());
  });
}

void Connection::hang_up() {
  // Half a request and then the end: somebody's script, who may still read what was wrong.
  if (!dispatched_ && !input_.empty()) {
    dispatched_ = true;
    refuse("the request ends without a newline");
    if (!server_) return;
  }
  const auto tell = std::exchange(on_hangup_, nullptr);
  const bool unanswered = !finished_;
  shut();
  if (unanswered && tell) tell();
}

void Connection::on_hangup(std::function<void()> what) {
  if (open()) on_hangup_ = std::move(what);
}

void Connection::event(std::string_view line) {
  if (!open()) return;
  send(nlohmann::json{{"event", line}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void Connection::progress(const nlohmann::json& value) {
  if (!open()) return;
  send(nlohmann::json{{"progress", value}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void Connection::finish(const ControlReply& reply) {
  if (!open()) return;
  finished_ = true;
  stream_ = false;
  on_hangup_ = nullptr;
  const auto keep = shared_from_this();  // it may be gone when all is sent
  send(format_reply(reply));
  if (server_) shut_after(kReplyTimeout);
}

void Connection::send(std::string text) {
  if (output_.size() - sent_ + text.size() > (stream_ ? kMaxStreamOutput : kMaxOutput)) {
    // Not from within the handler's call: it may hold references into what on_hangup releases.
    server_->loop().defer([self = shared_from_this()] {
      if (self->server_) self->hang_up();
    });
    return;
  }
  output_ += text;
  write_some();
}

void Connection::write_some() {
  while (server_ && sent_ < output_.size()) {
    const ssize_t put = ::send(fd_.get(), output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) {
      server_->loop().modify(fd_.get(), EPOLLIN | EPOLLOUT);
      return;
    }
    if (put < 0) break;  // the read side notices the hang-up
    sent_ += static_cast<size_t>(put);
  }
  if (!server_) return;
  output_.clear();
  sent_ = 0;
  server_->loop().modify(fd_.get(), EPOLLIN);
  if (finished_) {
    drop_input();
    shut();
  }
}

// Closing a unix socket with unread bytes makes the peer's read fail before it has seen the reply.
void Connection::drop_input() {
  char chunk[4096];
  for (int i = 0; i < 256; ++i) {
    if (::read(fd_.get(), chunk, sizeof chunk) <= 0) return;
  }
}

Server::Server(EventLoop& loop, ControlHandler& handler, UniqueFd lock, UniqueFd listener, std::string path)
    : loop_(loop),
      handler_(handler),
      lock_(std::move(lock)),
      path_(std::move(path)),
      acceptor_(loop, std::move(listener), [this](UniqueFd fd) { return accept_one(std::move(fd)); }) {}

Server::~Server() {
  while (!connections_.empty()) {
    const std::shared_ptr<Connection> keep = connections_.front();
    keep->shut();
  }
  ::unlink(path_.c_str());
}

SocketAcceptor::Owner Server::accept_one(UniqueFd fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  const bool known = ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
  const bool crowded = connections_.size() >= kMaxConnections;
  const bool served = make_room();
  const auto connection = std::make_shared<Connection>(*this, std::move(fd));
  connections_.push_back(connection);
  connection->start();
  if (!known || (peer.uid != 0 && peer.uid != ::geteuid())) {
    connection->refuse("only root and the daemon's own user may give commands", 20);
  } else if (!served) {
    connection->refuse("as many commands are running as may at once\n  Try again when one has ended.", 20);
    connection->shut();  // a line fits the socket's buffer
  }
  return crowded ? SocketAcceptor::Owner::crowded : SocketAcceptor::Owner::has_room;
}

// Bounded (P10): the oldest that keeps nobody busy makes room for an operator who may have something to say.
bool Server::make_room() {
  if (connections_.size() < kMaxConnections) return true;
  const auto oldest = std::find_if(connections_.begin(), connections_.end(), [](const auto& each) { return each->idle(); });
  if (oldest == connections_.end()) return false;
  const std::shared_ptr<Connection> keep = *oldest;
  keep->shut();
  return true;
}

Error system_error(const char* where) { return {errno, where}; }

Result<UniqueFd> take_run_dir(const std::string& run_dir) {
  if (::mkdir(run_dir.c_str(), 0755) != 0 && errno != EEXIST) return system_error("create the run directory");
  UniqueFd lock(::open((run_dir + "/control.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.get() < 0) return system_error("open the run directory's lock");
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error{errno == EWOULDBLOCK ? EADDRINUSE : errno, "take the run directory: another lockstepd uses it"};
  }
  return lock;
}

Result<UniqueFd> listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return Error{ENAMETOOLONG, "name the control socket"};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("remove a stale control socket");
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return system_error("create the control socket");
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (::bind(fd.get(), generic, sizeof address) != 0) return system_error("bind the control socket");
  if (::chmod(path.c_str(), 0600) != 0) return system_error("protect the control socket");
  if (::listen(fd.get(), 1024) != 0) return system_error("listen at the control socket");
  return fd;
}

}  // namespace

std::string control_socket_path(const std::string& run_dir) { return run_dir + "/control.sock"; }

Result<std::unique_ptr<ControlServer>> ControlServer::create(EventLoop& loop, const std::string& run_dir,
                                                             ControlHandler& handler) {
  Result<UniqueFd> lock = take_run_dir(run_dir);
  if (!lock) return lock.error();
  const std::string path = control_socket_path(run_dir);
  Result<UniqueFd> listener = listen_at(path);
  if (!listener) return listener.error();
  return std::unique_ptr<ControlServer>(
      std::make_unique<Server>(loop, handler, std::move(lock).value(), std::move(listener).value(), path));
}

}  // namespace lockstep
