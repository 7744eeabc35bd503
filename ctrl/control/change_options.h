// How a change is to be made, whatever it is, and why one is refused. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ctrl/config/config.h"
#include "ctrl/control/bounded_json.h"
#include "ctrl/control/generation.h"
#include "ctrl/control/proof.h"
#include "ctrl/govern/holders.h"

namespace sluice::ctrl {

inline constexpr uint64_t drain_default_ms = 30'000;

/// A second person's yes to exactly this change.
struct Approval {
  std::string hash;  // of the diff that was approved
  Json record;       // for the audit log: id, by, at
};

struct ChangeOptions {
  Author author;
  std::string reason;
  uint64_t wait_ms = 5000;
  Existing existing = Existing::keep;
  uint64_t drain_ms = drain_default_ms;
  std::optional<uint64_t> expect_generation;
  bool dry_run = false;
  std::optional<uint64_t> confirm_within_ms;  // rolled back after it unless confirmed (confirm.h)
  std::string verb = {};  // as it was asked for, and its parameters: for the audit log
  Json intent = nullptr;
  std::string method = {};  // the call itself, to make it again when it is approved
  Json params = nullptr;
  std::optional<Approval> approval = {};
  bool break_glass = false;  // overrides approval, freeze and policy; needs a reason
  Takeover takeover = {};    // of an apply
};

struct Refusal {
  enum class Kind : uint8_t { refused, conflict } kind = Kind::refused;
  std::string message;              // one sentence
  std::vector<ConfigError> errors;  // of a file
  std::string why = "invalid";      // for the audit log and the metrics, in one word
};

}  // namespace sluice::ctrl
