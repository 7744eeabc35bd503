// Roles: whether somebody may do something to what it touches. Root and sluiced's own user may do
// everything, so that nobody can lock the machine's owner out; whoever has no role may look.
// Reads the group database for groups given by name; otherwise pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ctrl/config/config.h"
#include "ctrl/govern/touched.h"

namespace sluice::ctrl {

struct Person {
  std::string user;
  uint32_t uid = 0;
  std::vector<uint32_t> gids = {};
  bool internal = false;  // sluiced itself
};

struct AccessAnswer {
  bool allowed = false;
  std::string role;  // which lets them, or the ones that they have
  std::string why;   // not: a sentence
};

class Access {
 public:
  Access(const GovernConfig& govern, uint32_t own_uid) : govern_(govern), own_uid_(own_uid) {}

  /// `verb` on all that is touched. Nothing touched: whether anywhere at all.
  AccessAnswer may(const Person& person, std::string_view verb, const Touched& touched) const;
  /// The names of their roles: "admin" for root, "viewer" for those who have none.
  std::string roles_of(const Person& person) const;

 private:
  bool owns_all(const Person& person) const;
  std::vector<const RoleConfig*> of(const Person& person) const;

  const GovernConfig& govern_;
  uint32_t own_uid_;
};

}  // namespace sluice::ctrl
