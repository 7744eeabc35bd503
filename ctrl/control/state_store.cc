#include "ctrl/control/state_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ranges>

#include "ctrl/control/whole_file.h"

namespace sluice::ctrl {
namespace {

constexpr mode_t file_mode = 0640;
constexpr std::array folders = {"generations", "proofs", "confirmations"};

std::string file_name(uint64_t number) { return fmt::format("{:012}.json", number); }

/// "000000000012.json" → 12; nothing for any other name.
std::optional<uint64_t> number_of(const std::string& name) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || number == 0 || name != file_name(number)) return std::nullopt;
  return number;
}

Result<UniqueFd> take_lock(const std::filesystem::path& directory) {
  const auto path = directory / "lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, file_mode));
  if (!fd) return fail(fmt::format("cannot open {}: {}", path.string(), std::strerror(errno)));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    const ssize_t got = ::pread(fd.get(), holder, sizeof(holder) - 1, 0);
    std::string pid(holder, got > 0 ? static_cast<size_t>(got) : 0);
    while (!pid.empty() && pid.back() == '\n') pid.pop_back();
    return fail(fmt::format("state directory {} is in use by another sluiced (pid {})",
                            directory.string(), pid.empty() ? "unknown" : pid));
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  // The pid only helps a person; a full disk must not keep sluiced from starting.
  if (::ftruncate(fd.get(), 0) == 0) [[maybe_unused]]
    auto ignored = ::pwrite(fd.get(), pid.data(), pid.size(), 0);
  return fd;
}

/// Null when there is no such file or it holds no object.
Json load_json(const std::filesystem::path& path) {
  const auto bytes = read_whole_file(path, generation_file_bytes_max);
  if (!bytes) return nullptr;
  Json json = Json::parse(*bytes, nullptr, false);
  return json.is_object() ? json : Json(nullptr);
}

Result<HashKey> decode_key(std::string_view text, const std::filesystem::path& path) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  HashKey key;
  bool good = text.size() == 2 * key.bytes.size();
  for (size_t i = 0; good && i < key.bytes.size(); i++) {
    const char* digits = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, key.bytes[i], 16);
    good = error == std::errc{} && end == digits + 2;
  }
  if (good) return key;
  return fail(
      fmt::format("{} does not hold 32 hexadecimal digits; restore it, or remove it to "
                  "draw a new key (every client is then assigned anew)",
                  path.string()));
}

}  // namespace

StateStore::StateStore(std::filesystem::path directory, UniqueFd lock)
    : directory_(std::move(directory)), lock_(std::move(lock)) {}

Result<StateStore> StateStore::open(const std::filesystem::path& directory) {
  std::error_code error;
  for (const char* name : folders) {
    std::filesystem::create_directories(directory / name, error);
    if (error) {
      return fail(
          fmt::format("cannot create {}: {}", (directory / name).string(), error.message()));
    }
  }
  auto lock = take_lock(directory);
  if (!lock) return std::unexpected(lock.error());
  StateStore store(directory, std::move(*lock));
  if (auto prepared = store.prepare(); !prepared) return std::unexpected(prepared.error());
  return store;
}

Status StateStore::prepare() {
  std::error_code error;
  for (const char* name : folders) {
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / name, error)) {
      if (entry.path().native().ends_with(unfinished_suffix)) {
        std::error_code ignored;
        std::filesystem::remove(entry.path(), ignored);
      } else if (auto number = number_of(entry.path().filename()); number && *name == 'g') {
        numbers_.push_back(*number);
      }
    }
    if (error) {
      return fail(fmt::format("cannot read {}: {}", (directory_ / name).string(), error.message()));
    }
  }
  std::ranges::sort(numbers_);
  return {};
}

std::filesystem::path StateStore::generation_path(uint64_t number) const {
  return directory_ / "generations" / file_name(number);
}

std::filesystem::path StateStore::proof_path(uint64_t number) const {
  return directory_ / "proofs" / file_name(number);
}

Result<Generation> StateStore::load(uint64_t number) const {
  const auto path = generation_path(number);
  if (!std::ranges::binary_search(numbers_, number)) {
    return fail(fmt::format("there is no generation {}", number));
  }
  auto bytes = read_whole_file(path, generation_file_bytes_max);
  if (!bytes) return std::unexpected(bytes.error());
  auto generation = decode_generation(*bytes);
  if (generation && generation->number != number) {
    generation = fail(fmt::format("it holds generation {}", generation->number));
  }
  if (!generation) {
    return fail(fmt::format("generation file {} is corrupt: {}", path.string(),
                            generation.error().message));
  }
  return generation;
}

StateStore::Loaded StateStore::load_newest() const {
  Loaded loaded;
  for (const uint64_t number : std::views::reverse(numbers_)) {
    auto generation = load(number);
    if (generation) {
      loaded.newest = std::move(*generation);
      break;
    }
    loaded.skipped.push_back(generation.error().message);
  }
  return loaded;
}

std::filesystem::path StateStore::confirmation_path(uint64_t number) const {
  return directory_ / "confirmations" / file_name(number);
}

Status StateStore::commit(const Generation& generation) {
  const auto path = generation_path(generation.number);
  auto written = create_whole_file(path, encode_generation(generation), file_mode);
  if (!written) {
    return fail(
        fmt::format("generation {} could not be stored ({}); the change is refused and "
                    "traffic is as before",
                    generation.number, written.error().message));
  }
  numbers_.push_back(generation.number);
  return {};
}

Status StateStore::save_proof(uint64_t number, const Json& proof) {
  return write_whole_file(proof_path(number), to_line(proof) + "\n", file_mode);
}

Json StateStore::load_proof(uint64_t number) const { return load_json(proof_path(number)); }

Status StateStore::save_confirmation(uint64_t number, const Json& outcome) {
  return write_whole_file(confirmation_path(number), to_line(outcome) + "\n", file_mode);
}

Json StateStore::load_confirmation(uint64_t number) const {
  return load_json(confirmation_path(number));
}

Result<HashKey> StateStore::hash_key() {
  const auto path = directory_ / "hash_key";
  if (std::filesystem::exists(path)) {
    auto text = read_whole_file(path, 4096);
    if (!text) return std::unexpected(text.error());
    return decode_key(*text, path);
  }
  HashKey key;
  if (::getrandom(key.bytes.data(), key.bytes.size(), 0) != ssize_t(key.bytes.size())) {
    return fail(fmt::format("cannot draw a hash key: {}", std::strerror(errno)));
  }
  std::string text;
  for (const uint8_t byte : key.bytes) text += fmt::format("{:02x}", byte);
  if (auto written = create_whole_file(path, text + "\n", 0600); !written) {
    return std::unexpected(written.error());
  }
  return key;
}

}  // namespace sluice::ctrl
