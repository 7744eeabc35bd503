#include "ctrl/cli/govern_view.h"

#include <fmt/format.h>

#include "ctrl/audit/record.h"
#include "ctrl/cli/table.h"

namespace sluice::cli {
namespace {

using ctrl::text_member;
using nlohmann::json;

std::string joined(const json& object, const char* key, const char* between = ", ") {
  std::string text;
  const auto at = object.find(key);
  if (at == object.end() || !at->is_array()) return "-";
  for (const json& item : *at) {
    if (item.is_string()) text += (text.empty() ? "" : between) + item.get<std::string>();
  }
  return text.empty() ? "-" : text;
}

}  // namespace

std::string can_view(const json& answer) {
  const std::string reason = text_member(answer, "reason");
  if (!answer.value("allowed", false)) return tinted(Tint::bad, "no") + ": " + reason + "\n";
  return tinted(Tint::good, "yes") + ": as " + text_member(answer, "role") +
         (answer.value("approval", false) ? ", with the approval of a second person" : "") + "\n";
}

std::string pending_view(const json& answer) {
  std::string out;
  for (const json& change : answer.value("pending", json::array())) {
    out += fmt::format("{}  {} by {} at {}, expires {}\n",
                       tinted(Tint::bold, text_member(change, "id")), text_member(change, "verb"),
                       text_member(change, "author"), text_member(change, "asked_at"),
                       text_member(change, "expires_at"));
    if (const std::string reason = text_member(change, "reason"); !reason.empty()) {
      out += "  reason: " + reason + "\n";
    }
    out +=
        "  routes: " + joined(change, "routes") + "\n  " + joined(change, "changes", "\n  ") + "\n";
  }
  return out.empty() ? "nothing waits for approval\n" : out;
}

std::string waits_view(const json& pending) {
  return fmt::format(
      "{}: change {} needs the approval of a second person until {}\n"
      "  somebody else: sluice approve {}\n  to take it back: sluice reject {}\n",
      tinted(Tint::warning, "not made yet"), text_member(pending, "id"),
      text_member(pending, "expires_at"), text_member(pending, "id"), text_member(pending, "id"));
}

std::string rejected_view(const json& answer) {
  return fmt::format("change {} is rejected\n",
                     text_member(answer.value("rejected", json::object()), "id"));
}

std::string freeze_view(const json& answer) {
  const json freeze = answer.value("freeze", json::object());
  return fmt::format(
      "frozen: {} until {}; only rollbacks are possible (sluice unfreeze {} lifts it)\n",
      joined(freeze, "routes"), text_member(freeze, "until"), text_member(freeze, "name"));
}

std::string lifted_view(const json& answer) {
  return fmt::format("freeze {} is lifted\n", text_member(answer, "lifted"));
}

std::string freezes_view(const json& answer) {
  Table table({"FREEZE", "ROUTES", "FROM", "UNTIL", "ON", "REASON"});
  for (const json& freeze : answer.value("freezes", json::array())) {
    table.add({text_member(freeze, "name"), joined(freeze, "routes"), text_member(freeze, "from"),
               text_member(freeze, "until"), freeze.value("on", false) ? "yes" : "no",
               text_member(freeze, "reason")});
  }
  return table.empty() ? "no freezes\n" : table.render();
}

std::string held_view(const json& held) {
  Table table({"HELD FIELD", "SERVED", "FILE", "BY", "SINCE", ">GENERATION"});
  for (const json& field : held) {
    table.add({text_member(field, "field"), text_member(field, "value"), text_member(field, "file"),
               text_member(field, "user"), text_member(field, "since"),
               field.value("generation", json(0)).dump()});
  }
  return table.empty() ? "" : table.render();
}

}  // namespace sluice::cli
