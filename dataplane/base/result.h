// Result<T>: an operation that can fail with a sentence for a person.
// Used in cold code only; the packet path speaks in verdicts (verdict.h).
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace sluice {

/// What went wrong, naming the file, key, device or peer, and what to do about it.
struct Error {
  std::string message;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

/// `return fail("port front: no such interface");`
inline std::unexpected<Error> fail(std::string message) {
  return std::unexpected(Error{std::move(message)});
}

}  // namespace sluice
