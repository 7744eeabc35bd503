// ScriptServer: a server on loopback, on a thread of its own, that plays what a test tells it for
// every connection; with TLS when it is given a certificate that it makes itself.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>

#include "dataplane/base/address.h"

namespace sluice::ctrl::test {

/// One accepted connection, plain or TLS, for the script. Blocking.
class Session {
 public:
  Session(int fd, SSL* ssl) : fd_(fd), ssl_(ssl) {}
  std::string read() const {
    std::array<char, 4096> buffer;
    const auto got = ssl_ != nullptr ? SSL_read(ssl_, buffer.data(), buffer.size())
                                     : ::recv(fd_, buffer.data(), buffer.size(), 0);
    return got > 0 ? std::string(buffer.data(), static_cast<size_t>(got)) : "";
  }
  void write(std::string_view text) const {
    if (ssl_ != nullptr) {
      SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
    } else {
      [[maybe_unused]] const auto sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
    }
  }
  /// Waits until the client has gone.
  void wait_for_end() const {
    while (!read().empty()) {
    }
  }
  void reset() const {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }

 private:
  int fd_;
  SSL* ssl_;
};

/// A self-signed certificate for `name`, valid from `from_s` to `to_s` seconds from now.
class Certificate {
 public:
  Certificate(const char* name, long from_s, long to_s)
      : key_(EVP_EC_gen("P-256")), x509_(X509_new()) {
    X509_set_version(x509_, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509_), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509_), from_s);
    X509_gmtime_adj(X509_getm_notAfter(x509_), to_s);
    X509_set_pubkey(x509_, key_);
    X509_NAME* subject = X509_get_subject_name(x509_);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(x509_, subject);
    X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name,
                                                ("DNS:" + std::string(name)).c_str());
    X509_add_ext(x509_, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(x509_, key_, EVP_sha256());
  }
  ~Certificate() {
    X509_free(x509_);
    EVP_PKEY_free(key_);
  }
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;

  void save(const std::string& path) const {
    FILE* file = std::fopen(path.c_str(), "w");
    PEM_write_X509(file, x509_);
    std::fclose(file);
  }
  void use(SSL_CTX* context) const {
    SSL_CTX_use_certificate(context, x509_);
    SSL_CTX_use_PrivateKey(context, key_);
  }

 private:
  EVP_PKEY* key_;
  X509* x509_;
};

class ScriptServer {
 public:
  using Script = std::function<void(const Session& session)>;

  explicit ScriptServer(Script script, const Certificate* certificate = nullptr)
      : script_(std::move(script)) {
    if (certificate != nullptr) {
      context_ = SSL_CTX_new(TLS_server_method());
      certificate->use(context_);
    }
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof address;
    ::bind(fd_, reinterpret_cast<sockaddr*>(&address), bytes);
    ::listen(fd_, 64);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &bytes);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptServer() {
    stopping_ = true;
    thread_.join();
    ::close(fd_);
    SSL_CTX_free(context_);
  }
  ScriptServer(const ScriptServer&) = delete;
  ScriptServer& operator=(const ScriptServer&) = delete;

  Endpoint endpoint() const { return {*parse_ip("127.0.0.1"), port_}; }

 private:
  void serve() {
    while (!stopping_) {
      pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, 20) != 1) continue;
      const int client = ::accept(fd_, nullptr, nullptr);
      if (client < 0) continue;
      SSL* ssl = nullptr;
      if (context_ != nullptr) {
        ssl = SSL_new(context_);
        SSL_set_fd(ssl, client);
        if (SSL_accept(ssl) == 1) script_({client, ssl});
        SSL_free(ssl);
      } else {
        script_({client, nullptr});
      }
      ::close(client);
    }
  }

  Script script_;
  SSL_CTX* context_ = nullptr;
  int fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace sluice::ctrl::test
