#include "shell/link/resolver.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace lockstep {

struct Resolver::Lookup {
  HostPort where;
  UniqueFd ready{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::mutex mutex;
  std::vector<SocketAddress> found;
};

void Resolver::resolve(const HostPort& where, Done done) {
  cancel();
  auto literal = resolve_now(where, true);
  if (!literal.empty()) {
    done(std::move(literal));
    return;
  }
  auto lookup = std::make_shared<Lookup>();
  lookup->where = where;
  if (!lookup->ready.ok()) {
    done({});
    return;
  }
  try {  // the standard library knows no other way to say that there is no thread
    std::thread([lookup] {
      auto found = resolve_now(lookup->where, false);
      const std::lock_guard<std::mutex> lock(lookup->mutex);
      lookup->found = std::move(found);
      if (eventfd_write(lookup->ready.get(), 1) != 0) return;  // cannot fail on a counter of one
    }).detach();
  } catch (const std::system_error&) {
    done({});
    return;
  }
  lookup_ = std::move(lookup);
  done_ = std::move(done);
  loop_.watch(lookup_->ready.get(), EPOLLIN, *this);
}

void Resolver::cancel() {
  if (!lookup_) return;
  loop_.unwatch(lookup_->ready.get());
  lookup_.reset();
  done_ = nullptr;
}

void Resolver::on_ready(uint32_t) {
  std::vector<SocketAddress> found;
  {
    const std::lock_guard<std::mutex> lock(lookup_->mutex);
    found = std::move(lookup_->found);
  }
  auto done = std::move(done_);
  cancel();
  done(std::move(found));
}

}  // namespace lockstep
