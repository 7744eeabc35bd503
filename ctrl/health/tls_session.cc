#include "ctrl/health/tls_session.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <time.h>

#include <array>
#include <utility>

namespace sluice::ctrl {

TlsSession::TlsSession(const Check& check) : ssl_(::SSL_new(check.tls())) {
  if (ssl_ == nullptr) {
    state_ = State::failed;
    error_ = "no memory";
    return;
  }
  ::SSL_set_bio(ssl_, ::BIO_new(::BIO_s_mem()), ::BIO_new(::BIO_s_mem()));
  ::SSL_set_connect_state(ssl_);
  const TlsCheck& tls = check.config().tls;
  if (!tls.sni.empty()) ::SSL_set_tlsext_host_name(ssl_, tls.sni.c_str());
  if (tls.verify) {
    ::SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    ::SSL_set1_host(ssl_, tls.sni.c_str());
  }
  advance();
}

TlsSession::~TlsSession() { ::SSL_free(ssl_); }

TlsSession::State TlsSession::feed(std::string_view bytes) {
  if (state_ == State::failed) return state_;
  ::BIO_write(::SSL_get_rbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
  advance();
  return state_;
}

void TlsSession::advance() {
  ::ERR_clear_error();
  if (state_ == State::handshake) {
    const int result = ::SSL_do_handshake(ssl_);
    if (result != 1) return fail(result);
    state_ = State::open;
  }
  if (state_ != State::open) return;
  std::array<char, 4096> piece;
  for (;;) {
    const int got = ::SSL_read(ssl_, piece.data(), piece.size());
    if (got <= 0) return fail(got);
    plain_.append(piece.data(), static_cast<size_t>(got));
  }
}

/// Waiting for more bytes is no failure.
void TlsSession::fail(int result) {
  const int why = ::SSL_get_error(ssl_, result);
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return;
  if (why == SSL_ERROR_ZERO_RETURN) {
    state_ = State::closed;
    return;
  }
  state_ = State::failed;
  const bool verifies = ::SSL_get_verify_mode(ssl_) != SSL_VERIFY_NONE;
  const long verified = verifies ? ::SSL_get_verify_result(ssl_) : X509_V_OK;
  const char* reason = ::ERR_reason_error_string(::ERR_peek_last_error());
  if (verified != X509_V_OK) {
    error_ = ::X509_verify_cert_error_string(verified);
  } else {
    error_ = reason == nullptr ? "broken off" : reason;
  }
  ::ERR_clear_error();
}

void TlsSession::send(std::string_view text) {
  ::ERR_clear_error();
  if (state_ != State::open || text.empty()) return;
  const int sent = ::SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
  if (sent <= 0) fail(sent);
}

std::string TlsSession::take_plain() { return std::exchange(plain_, {}); }

std::string TlsSession::take_output() {
  std::string output;
  if (ssl_ == nullptr) return output;
  BIO* out = ::SSL_get_wbio(ssl_);
  output.resize(::BIO_ctrl_pending(out));
  if (!output.empty()) ::BIO_read(out, output.data(), static_cast<int>(output.size()));
  return output;
}

const char* TlsSession::version() const { return ::SSL_get_version(ssl_); }

int64_t TlsSession::certificate_expires_s() const {
  if (ssl_ == nullptr) return 0;
  const X509* certificate = ::SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return 0;
  tm expires{};
  if (::ASN1_TIME_to_tm(::X509_get0_notAfter(certificate), &expires) != 1) return 0;
  return ::timegm(&expires);
}

}  // namespace sluice::ctrl
