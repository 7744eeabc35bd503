// Controller: the one place that changes what is served. It owns the configuration, its
// identities and the published snapshot; every verb is all or nothing:
//
//   parse → overlay → compile → commit to disk → publish → proof
//
// What the node learns (health, next hops) and what time brings (drain deadlines, connections
// that ended) publishes again under the same generation. ctrl thread only.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ctrl/compile/compile.h"
#include "ctrl/compile/moved_slots.h"
#include "ctrl/control/audit_trail.h"
#include "ctrl/control/busy_meter.h"
#include "ctrl/control/change.h"
#include "ctrl/control/change_options.h"
#include "ctrl/control/closed_refs.h"
#include "ctrl/control/condition_keeper.h"
#include "ctrl/control/event_hub.h"
#include "ctrl/control/fences.h"
#include "ctrl/control/governor.h"
#include "ctrl/control/node.h"
#include "ctrl/control/panic_watch.h"
#include "ctrl/control/passive_watch.h"
#include "ctrl/control/proof_keeper.h"
#include "ctrl/control/sampler.h"
#include "ctrl/control/share_window.h"
#include "ctrl/control/state_store.h"
#include "dataplane/engine.h"

namespace sluice::ctrl {

struct ChangeResult {
  uint64_t generation = 0;
  std::vector<std::string> changes;
  std::vector<std::string> restart_required;
  std::vector<MovedSlots> moved;  // dry run only
  Json waits = nullptr;           // it was not made, but waits for a second person
  Json held = nullptr;            // dry run of a file: fields that people hold
  Json proof;                     // null for a dry run
  Json confirm;                   // null unless it awaits confirmation
};

using ChangeDone = std::function<void(std::expected<ChangeResult, Refusal> result)>;

/// Where the controller lives. All of it outlives the controller.
struct Surroundings {
  EventLoop& loop;
  dataplane::Engine& engine;
  StateStore& store;
  AuditTrail& audit;
  Node& node;
  EventHub& events;
  NowNs now_ns;
  std::function<uint64_t()> unix_ms = unix_ms_now;  // the wall clock
};

/// How waits for confirmation ended, since the start.
struct ConfirmCounts {
  uint64_t confirmed = 0, rolled_back = 0, expired = 0;
};

struct StartContent {
  Config config;  // of the file that sluiced was started with
  std::string text;
  std::string file;
  std::vector<model::Port> ports;
  HashKey decision_key;
};

class Controller {
 public:
  /// Loads the newest generation, or commits the file as generation 1, and compiles it.
  static Result<std::unique_ptr<Controller>> create(const Surroundings& around, StartContent start);
  ~Controller();

  /// Starts the engine on the first snapshot, and the upkeep.
  Status start();

  /// `done` is called once, maybe before this returns (when refused).
  void change(std::expected<Change, Error> change, const ChangeOptions& options, ChangeDone done);
  void rollback(std::optional<uint64_t> generation, const ChangeOptions& options, ChangeDone done);
  /// Keeps the change that awaits confirmation; with a number only if it is that one.
  std::expected<Json, Refusal> confirm(std::optional<uint64_t> generation, const Author& author,
                                       const std::string& reason);
  const std::optional<Confirm>& awaiting() const { return pending_; }
  /// What awaits confirmation, for people; null when nothing does.
  Json pending_json() const;
  const ConfirmCounts& confirms() const { return confirms_; }
  /// Whether every worker serves the newest snapshot, and that is what was asked.
  Result<void> verify(const std::string& route, uint64_t wait_ms, ProofDone done);

  /// Health or next hops changed: publishes soon, once for many calls.
  void node_changed();

  const Config& config() const { return config_; }
  const Config& start_config() const { return start_config_; }
  const Content& content() const { return content_; }
  const model::Snapshot& snapshot() const { return *snapshot_; }
  const Registry& registry() const { return registry_; }
  const Observed& observed() const { return observed_; }
  const Sampler& sampler() const { return sampler_; }
  const ProofKeeper& proofs() const { return proofs_; }
  const BusyMeter& busy() const { return busy_; }
  ConditionKeeper& conditions() const { return *conditions_; }
  const ClosedRefs& closed() const { return closed_; }
  const Fences& fences() const { return fences_; }
  /// Decisions for `ref` since the generation that is served was published.
  uint64_t decisions_since_generation(uint16_t ref) const;
  AuditTrail& audit() const { return around_.audit; }
  Governor& governor() const { return *governor_; }
  uint64_t unix_ms() const { return around_.unix_ms(); }
  StateStore& store() { return around_.store; }
  const Node& node() const { return around_.node; }
  dataplane::Engine& engine() const { return around_.engine; }
  uint64_t generation() const { return observed_.generation; }
  uint64_t revision() const { return observed_.revision; }
  uint64_t now_ns() const { return around_.now_ns(); }
  /// Every worker serves the newest snapshot.
  bool all_acknowledged() const;

 private:
  /// A change that was computed but not made.
  struct Candidate {
    Content content;
    Config base;    // the text alone
    Config config;  // with overlay, and the running node, port, control and admin sections
    Registry registry;
    std::shared_ptr<const model::Snapshot> snapshot;
    std::vector<std::string> changes;
    std::vector<std::string> restart_required;
    Json held = nullptr;
  };

  Controller(const Surroundings& around, StartContent start);
  // Confirmation (controller_confirm.cc).
  std::optional<Refusal> conflict_with_confirm(const Change& change,
                                               const ChangeOptions& options) const;
  Confirm new_confirm(const ChangeOptions& options, uint64_t number,
                      const AuditDetails& details) const;
  void await_confirm(const Confirm& confirm, uint64_t left_ms);
  void arm_confirm(std::chrono::nanoseconds delay);
  void take_back_unconfirmed();
  void confirm_rolled_back(Confirm confirm, const Author& author, uint64_t by, bool in_time);
  uint64_t confirm_left_ms() const;
  Result<Generation> settle_confirm(const Generation& newest);

  Status load_or_commit_first(const std::string& text, const std::string& file);
  Status take_up(const Generation& generation);
  void warn_if_file_differs() const;
  Result<std::shared_ptr<const model::Snapshot>> compile_now(Registry& registry,
                                                             const Config& config,
                                                             uint64_t generation) const;

  std::expected<Candidate, Refusal> consider(const Change& change, const ChangeOptions& options,
                                             uint64_t generation) const;
  void tell_break_glass(const Change& change, const ChangeOptions& options,
                        const AuditDetails& details, uint64_t number) const;
  std::expected<void, Refusal> settle_held(const Change& change, const ChangeOptions& options,
                                           Candidate& candidate) const;
  std::expected<Config, Refusal> parse(const Content& content) const;
  Config with_start_sections(Config config) const;
  void make(const Change& change, Candidate candidate, const ChangeOptions& options,
            const AuditDetails& details, ChangeDone done);
  ChangeDone recorded(const ChangeOptions& options, ChangeDone done);
  AuditDetails details_of_start(const Generation& generation) const;
  Status record_and_commit(const Generation& generation, const AuditDetails& details);
  Status commit(const Change& change, const Candidate& candidate, const ChangeOptions& options,
                const std::optional<Confirm>& confirm, const AuditDetails& details);
  ProofPlan plan_of(const Change& change, Existing existing, const Config& before) const;
  std::map<BackendKey, uint16_t> backend_ids() const;
  std::set<uint16_t> drained_backends() const;
  void publish(std::shared_ptr<const model::Snapshot> snapshot);

  // Upkeep (controller_upkeep.cc).
  void serve_node();
  void refresh_observed();
  void tell_panic();
  void republish();
  void arm_deadline();
  void arm_tick();
  void tick();
  void note_lingering();
  bool release_lingering();
  uint64_t slowest_revision() const;
  ShareWindow::Decisions decisions_now() const;

  Surroundings around_;
  Config start_config_;
  Sampler sampler_;
  ProofKeeper proofs_;
  std::unique_ptr<ConditionKeeper> conditions_;
  std::unique_ptr<Governor> governor_;
  Content content_;
  Config base_;
  Config config_;
  Registry registry_;
  Observed observed_;
  std::shared_ptr<const model::Snapshot> snapshot_;
  uint64_t published_ns_ = 0;
  ClosedRefs closed_;
  Fences fences_;
  ShareWindow window_;
  ShareWindow::Decisions generation_base_;  // as the served generation was published
  BusyMeter busy_;
  PanicWatch panic_;
  PassiveWatch passive_;
  std::map<uint16_t, uint64_t> lingering_backends_;  // id → first revision without it
  std::map<uint16_t, uint64_t> lingering_refs_;
  std::string start_verb_;  // of the generation that was committed by starting; empty: none was
  std::optional<Confirm> pending_;
  uint64_t confirm_by_ns_ = 0;
  ConfirmCounts confirms_;
  OperationId republish_ = 0, tick_ = 0, deadline_ = 0, confirm_timer_ = 0;
};

}  // namespace sluice::ctrl
