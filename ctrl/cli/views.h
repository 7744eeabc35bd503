// Views: answers of sluiced, as text for a person. Pure functions of the JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace sluice::cli {

using nlohmann::json;

std::string status_view(const json& status);
/// The proof of a change; see dataplane and design "A change, and its proof".
std::string proof_view(const json& proof);
/// Changes, generation and proof of a traffic-changing command.
std::string change_view(const json& result);
/// The answer of `verify`: the proof alone.
std::string verify_view(const json& result);
/// What became of a change that awaited confirmation.
std::string confirm_view(const json& result);
/// The line that says what awaits confirmation; empty for null.
std::string awaiting_view(const json& confirm);
/// The answer of `health`: pools, their backends, and how the prober keeps up.
std::string health_view(const json& result);
std::string history_view(const json& result);
std::string flows_view(const json& result);
std::string explain_view(const json& result);
/// The objects of `get KIND`, a key a line.
std::string items_view(const json& result);
/// The text of `get config`, as it was applied.
std::string config_text_view(const json& result);

/// Conditions of routes, a row each, and the connections that go on: of `status`, `conditions`.
std::string conditions_view(const json& routes);
/// "Ready", or of the first condition that is not true "not Ready: NoUsableBackend".
std::string conditions_text(const json& conditions);
/// "draining: 12 connections of web-v1 were there before, reset in 23.0 s (route web)": an entry
/// of a route's `draining`.
std::string draining_line(const std::string& route, const json& draining);

/// "850 us", "12 ms", "3.4 s", "5 min"; "never" for null.
std::string ago_text(const json& ms);
/// 1234567 → "1,234,567".
std::string grouped(uint64_t number);
std::string percent_text(double share);

}  // namespace sluice::cli
