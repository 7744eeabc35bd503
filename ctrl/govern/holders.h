// Field ownership: a weight or a drain that somebody set by hand is theirs until a file says the
// same, or somebody takes it over by name. Pure; any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ctrl/config/config.h"
#include "dataplane/base/result.h"

namespace sluice::ctrl {

struct Holder {
  std::string user;
  uint32_t uid = 0;
  std::string since;  // RFC 3339
  uint64_t generation = 0;
  std::string verb;  // what set it: weight, switch, drain, ...
  bool operator==(const Holder&) const = default;
};

/// By field: "route orders rule 0 pool orders-v2 weight", "pool web-v1 drained",
/// "pool web-v1 backend 10.0.1.11:80 drained".
using Holders = std::map<std::string, Holder>;

struct HeldField {
  std::string field;
  std::string owner_name;  // the route or pool that takes it over by name
  std::string value;       // as it is served
  std::string file_value;  // what the file says; "nothing" when the field is not there
  Holder holder;
  bool differs = false;
};

/// Every field of `overlay` with its holder, and what `file` says about it.
std::vector<HeldField> held_fields(const Overlay& overlay, const Holders& holders,
                                   const Config& file);

struct Takeover {
  std::vector<std::string> names;  // routes and pools whose held fields give way to the file
  bool keep_held = false;          // held fields stay as they are, the rest of the file is applied
  bool all = false;
};

/// What is left of `held` when `file` is applied. Fails when a field that is held would change
/// and was not taken over: names field, owner and since when, and what can be done.
Result<Overlay> overlay_after_apply(const Overlay& held, const Holders& holders, const Config& file,
                                    const Takeover& takeover);

/// Holders of the fields of `after`: those that are as they were keep theirs, those that
/// `restored` knows (a rollback) get theirs back, the rest is `by`'s.
Holders holders_after(const Overlay& before, const Holders& holders, const Overlay& after,
                      const Holders& restored, const Holder& by);

nlohmann::json to_json(const Holders& holders);
/// Throws nlohmann's exceptions on anything that to_json() did not write.
Holders holders_from_json(const nlohmann::json& json);

}  // namespace sluice::ctrl
