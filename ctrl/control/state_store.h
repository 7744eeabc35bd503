// StateStore: the state directory. Every generation is kept, one file each, and is on the disk
// before the change that made it is acknowledged. One sluiced per directory (flock). Blocking
// calls; ctrl thread only.
//
//   DIR/lock                            held while sluiced runs; holds its pid
//   DIR/hash_key                        16 bytes in hex, drawn once, mode 0600
//   DIR/generations/000000000012.json   generation.h
//   DIR/proofs/000000000012.json        its proof, replaced as the proof moves on
//   DIR/confirmations/000000000012.json who confirmed it, or that it was rolled back
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ctrl/control/bounded_json.h"
#include "ctrl/control/generation.h"
#include "ctrl/control/unique_fd.h"
#include "dataplane/base/hash.h"
#include "dataplane/base/result.h"

namespace sluice::ctrl {

inline constexpr size_t generation_file_bytes_max = 64u << 20;

class StateStore {
 public:
  /// Creates the directory where needed, takes the lock and removes unfinished files. Fails when
  /// another sluiced holds the directory or it cannot be written.
  static Result<StateStore> open(const std::filesystem::path& directory);

  /// What load_newest() found.
  struct Loaded {
    std::optional<Generation> newest;  // the highest whole generation; none: a fresh directory
    std::vector<std::string> skipped;  // one line for each corrupt file above it
  };
  Loaded load_newest() const;

  Result<Generation> load(uint64_t number) const;
  /// Numbers of the generation files, ascending, corrupt ones included.
  const std::vector<uint64_t>& numbers() const { return numbers_; }
  /// The number that the next commit must carry: above every file there is.
  uint64_t next_number() const { return numbers_.empty() ? 1 : numbers_.back() + 1; }

  /// Makes `generation` durable. On failure it is not in the directory, and the error is one
  /// sentence for the operator whose change is refused.
  Status commit(const Generation& generation);

  Status save_proof(uint64_t number, const Json& proof);
  /// Null JSON when there is none or it cannot be read.
  Json load_proof(uint64_t number) const;

  /// What became of a generation that awaited confirmation.
  Status save_confirmation(uint64_t number, const Json& outcome);
  /// Null JSON when nothing has become of it yet.
  Json load_confirmation(uint64_t number) const;

  /// The key of the decision hash: read, or drawn and kept at the first call.
  Result<HashKey> hash_key();

  const std::filesystem::path& directory() const { return directory_; }

 private:
  StateStore(std::filesystem::path directory, UniqueFd lock);
  Status prepare();
  std::filesystem::path generation_path(uint64_t number) const;
  std::filesystem::path proof_path(uint64_t number) const;
  std::filesystem::path confirmation_path(uint64_t number) const;

  std::filesystem::path directory_;
  UniqueFd lock_;
  std::vector<uint64_t> numbers_;
};

}  // namespace sluice::ctrl
