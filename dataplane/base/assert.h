// SLUICE_ASSERT: a bug if false; always on, for cold code and the edges of a burst.
// SLUICE_DEBUG_ASSERT: the same per packet; compiled out of release builds.
// A condition that a peer can cause is never an assertion.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace sluice {

[[noreturn, gnu::cold]] inline void assertion_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "sluice: assertion failed: %s (%s:%d)\n", what, file, line);
  std::abort();
}

}  // namespace sluice

#define SLUICE_ASSERT(condition)      \
  (__builtin_expect(!!(condition), 1) \
       ? void(0)                      \
       : ::sluice::assertion_failed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define SLUICE_DEBUG_ASSERT(condition) void(0)
#else
#define SLUICE_DEBUG_ASSERT(condition) SLUICE_ASSERT(condition)
#endif
