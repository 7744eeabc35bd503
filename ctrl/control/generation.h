// Generation: one committed configuration with who, when and why. The unit of the state
// directory, of history and of rollback. A value; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctrl/config/config.h"
#include "ctrl/control/bounded_json.h"
#include "ctrl/control/confirm.h"
#include "ctrl/govern/holders.h"
#include "dataplane/base/result.h"

namespace sluice::ctrl {

/// Who asked, by the credentials of the peer's end of the control socket.
struct Author {
  std::string user;  // login name, or the number when there is none
  uint32_t uid = 0;
  int32_t pid = 0;  // for the logs only; not kept, nor is what follows
  uint32_t gid = 0;
  std::vector<uint32_t> groups = {};  // supplementary ones
  bool internal = false;              // sluiced itself: no roles, approvals or freezes apply
};

struct Generation {
  uint64_t number = 0;  // from 1
  std::string time;     // UTC, RFC 3339 with milliseconds
  Author author;
  std::string verb;  // start, apply, weight, switch, rollback, drain
  std::string reason;
  std::string file;  // name of the file that `text` came from
  std::string text;  // TOML
  Overlay overlay;
  Holders holders;                   // who set what is in the overlay
  std::vector<std::string> changes;  // one line for a person each
  std::optional<Confirm> confirm;    // while it is served, this is awaited
};

Json to_json(const Overlay& overlay);
Result<Overlay> overlay_from_json(const Json& json);

/// The bytes of a generation file: JSON with a checksum over the content. It finds accidents
/// (a torn sector, a truncated copy, an edit by hand), not forgery.
std::string encode_generation(const Generation& generation);
/// Fails on anything that encode_generation did not write.
Result<Generation> decode_generation(std::string_view bytes);

/// "2026-01-31T08:15:30.123Z" of the wall clock now.
std::string wall_time_now();

}  // namespace sluice::ctrl
