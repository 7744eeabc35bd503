// TlsSession: the client's side of one TLS connection, over memory: bytes in, bytes out, no I/O.
// ctrl thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ctrl/health/check.h"

struct ssl_st;

namespace sluice::ctrl {

class TlsSession {
 public:
  enum class State : uint8_t { handshake, open, closed, failed };

  explicit TlsSession(const Check& check);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  /// Takes what the peer sent and goes on as far as it leads.
  State feed(std::string_view bytes);
  /// Sends `text` once the handshake is done.
  void send(std::string_view text);
  /// Decrypted bytes since the last call.
  std::string take_plain();
  /// What is to be written to the peer.
  std::string take_output();

  State state() const { return state_; }
  const std::string& error() const { return error_; }
  const char* version() const;
  /// Unix time at which the peer's certificate expires; 0 when there is none.
  int64_t certificate_expires_s() const;

 private:
  void advance();
  void fail(int result);

  ssl_st* ssl_ = nullptr;
  State state_ = State::handshake;
  std::string plain_, error_;
};

}  // namespace sluice::ctrl
