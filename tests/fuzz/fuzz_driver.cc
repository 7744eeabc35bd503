// Runs a fuzz target without libFuzzer, so that every test run fuzzes a little: mutates inputs from
// a pool that it grows from nothing. fuzz_driver INPUTS; SLUICE_TEST_SEED chooses the seed.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "tests/dataplane/base/test_seed.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;

constexpr size_t pool_max = 256;
constexpr size_t input_bytes_max = 1024;

Input mutate(Input input, const Input& other, std::mt19937_64& random) {
  const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
  for (size_t left = 1 + below(8); left > 0; --left) {
    const size_t at = input.empty() ? 0 : below(input.size());
    switch (below(5)) {
      case 0:  // append
        for (size_t i = 1 + below(32); i > 0; --i) input.push_back(static_cast<uint8_t>(random()));
        break;
      case 1:  // overwrite
        if (!input.empty()) input[at] = static_cast<uint8_t>(random());
        break;
      case 2:  // one bit
        if (!input.empty()) input[at] ^= static_cast<uint8_t>(1u << below(8));
        break;
      case 3:  // remove a piece
        input.erase(input.begin() + static_cast<long>(at),
                    input.begin() + static_cast<long>(at + below(input.size() - at + 1)));
        break;
      default:  // splice
        input.resize(at);
        input.insert(input.end(), other.begin() + static_cast<long>(below(other.size() + 1)),
                     other.end());
        break;
    }
  }
  input.resize(std::min(input.size(), input_bytes_max));
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned long inputs = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 100'000;
  std::mt19937_64 random(sluice::test::test_seed());
  std::vector<Input> pool(1);
  for (unsigned long i = 0; i < inputs; ++i) {
    const Input input = mutate(pool[random() % pool.size()], pool[random() % pool.size()], random);
    LLVMFuzzerTestOneInput(input.data(), input.size());
    if (pool.size() < pool_max) {
      pool.push_back(input);
    } else if (random() % 4 == 0) {
      pool[random() % pool.size()] = input;
    }
  }
  std::printf("%lu inputs\n", inputs);
  return 0;
}
