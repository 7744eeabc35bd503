// Check: what a probe sends and accepts, made once and shared by all backends that are checked the
// same way: the request, the compiled expression, the TLS context. Immutable; ctrl thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ctrl/config/expression.h"
#include "ctrl/config/health_config.h"
#include "dataplane/base/address.h"

struct ssl_ctx_st;

namespace sluice::ctrl {

class Check {
 public:
  /// Never fails: what cannot be made (a CA file that is gone) is problem(), and the reason that
  /// every probe of this check fails for.
  static std::shared_ptr<const Check> make(const HealthConfig& health);
  ~Check();
  Check(const Check&) = delete;
  Check& operator=(const Check&) = delete;

  const HealthConfig& config() const { return config_; }
  /// Empty when the check can be made.
  const std::string& problem() const { return problem_; }
  bool is_http() const { return config_.type == HealthType::http || is_https(); }
  bool is_https() const { return config_.type == HealthType::https; }
  bool uses_tls() const { return config_.type == HealthType::tls || is_https(); }

  /// The HTTP request for a backend.
  std::string request(const Endpoint& backend) const;
  bool accepts_status(int status) const;
  /// Null when no expression is looked for.
  const std::shared_ptr<const Expression>& expression() const { return expression_; }
  /// Whether a datagram is the answer that is expected.
  bool accepts_datagram(std::string_view datagram) const;
  ssl_ctx_st* tls() const { return tls_; }

 private:
  explicit Check(const HealthConfig& health) : config_(health) {}
  void make_expression();
  void make_tls();

  HealthConfig config_;
  std::string problem_;
  std::shared_ptr<const Expression> expression_;
  ssl_ctx_st* tls_ = nullptr;
};

/// Why the files that a check names cannot be used; empty when they can, or when it names none.
std::string file_problem(const HealthConfig& health);

}  // namespace sluice::ctrl
