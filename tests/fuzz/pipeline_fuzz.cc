// libFuzzer's entry: parse and pipeline under whatever input (see pipeline_harness.h).
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/pipeline_harness.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static sluice::test::PipelineHarness harness;
  harness.run({data, size});
  return 0;
}

// Frames are small and many: short stacks and a small quarantine double the speed. Both only under
// AddressSanitizer, which calls this.
extern "C" const char* __asan_default_options() {
  return "malloc_context_size=4:quarantine_size_mb=8";
}
