// TLS on one non-blocking stream socket, which belongs to somebody else. Behaves as recv() and sendmsg() do, but that bytes may be here that the
// socket does not announce any more (pending()).
//
// TLS 1.3 between nodes, 1.2 too for clients. No tickets, no renegotiation, no early data.
#pragma once

#include <gnutls/gnutls.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "shell/tls/tls_credentials.h"

namespace lockstep {

class TlsSession {
 public:
  enum class Side : uint8_t { server_for_clients, server_for_nodes, connecting };
  enum class Progress : uint8_t { done, needs_input, needs_output, failed };

  // `expected`, for the connecting side: names and addresses; the other's certificate has to be for one of them.
  TlsSession(std::shared_ptr<const TlsCredentials> credentials, Side side, int fd, std::vector<std::string> expected = {});
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // Goes on with the handshake as far as it can.
  Progress handshake();
  bool established() const { return established_; }
  bool wants_output() const { return !kept_.empty(); }  // and not input, to go on with the handshake
  // For people: of the handshake; later, of what the other side has said, which in TLS 1.3 may find fault with this side's certificate only
  // when this side believes to be through.
  const std::string& failure() const { return failure_; }

  // Once established. Bytes; 0 at an end that the other side has announced; -1 and errno, EAGAIN for later. After a short count, or
  // EAGAIN, part of a record may be here, and behind a change of keys there may be more. A stream that just ends was cut off: ECONNRESET.
  ssize_t receive(std::span<const iovec> parts);
  // Takes some of it, or -1 and errno. After EAGAIN the next call has to begin with the same bytes.
  ssize_t send(std::span<const iovec> parts);
  // Tells the other side that no more comes, if that can be said at once.
  void say_goodbye();
  bool pending() const { return gnutls_record_check_pending(session_) > 0 || untold_; }
  // Bytes that have been taken from the socket and have not been received: of a record that is not whole (with its head), or of one that is.
  size_t unread_in_part() const { return pulled_ + gnutls_record_check_pending(session_); }

  // Who the other side has proved to be: as the client list shows it, and as an allow list may name it.
  struct Identity {
    std::string shown;  // empty: it has proved nothing
    std::vector<std::string> names;
  };
  Identity identity() const;
  // For GnuTLS: the key of a name, of the session's credentials.
  static int key_of(gnutls_session_t session, const gnutls_datum_t* name, gnutls_datum_t* key);
  // Whether the other side's certificate is for one of these names or addresses.
  bool is_certified_for(const std::vector<std::string>& names) const;
  // The same at both ends of this connection, and nowhere else [RFC 9266, tls-exporter].
  std::vector<std::byte> channel() const;

 private:
  static ssize_t pull(gnutls_transport_ptr_t self, void* data, size_t size);
  static ssize_t push(gnutls_transport_ptr_t self, const giovec_t* parts, int count);
  void count(std::span<const std::byte> pulled);
  static int wait(gnutls_transport_ptr_t self, unsigned milliseconds);
  bool set_up(Side side);
  static int verify(gnutls_session_t session);
  bool flush();
  ssize_t send_record(std::span<const iovec> parts);
  ssize_t receive_record(void* data, size_t size);
  std::string why(int error) const;
  Identity from_certificate() const;

  std::shared_ptr<const TlsCredentials> credentials_;
  int fd_;
  gnutls_session_t session_ = nullptr;
  std::vector<std::string> expected_;
  gnutls_typed_vdata_st purpose_{};  // GnuTLS keeps a pointer to it
  bool established_ = false;
  bool ended_ = false;
  bool cut_off_ = false;
  bool untold_ = false;  // the end came behind bytes, and the next receive() gives it
  bool shaken_ = false;  // the handshake is over, but perhaps not all of it sent
  unsigned warnings_ = 0;
  size_t pulled_ = 0;                // bytes of a record that is not whole yet
  std::array<std::byte, 5> head_{};  // the first of them
  std::string failure_;
  std::vector<std::byte> kept_;    // made by TLS, and not yet taken by the socket
  size_t flushed_ = 0;             // of that, bytes that were
  size_t sending_ = 0;             // bytes of the caller's that are in it
  std::vector<std::byte> record_;  // small parts are sent together
};

}  // namespace lockstep
