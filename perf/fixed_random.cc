// The device under test draws the same "random" numbers in every run: this getrandom(2) stands
// before the C library's. The order of its SNAT ports is drawn, so only this way do the answers in
// a capture file, made from what one run sent, fit the next run; and two runs differ by one thing
// less. The stream is that of SplitMix64 (Steele, Lea, Flood 2014).
#include <sys/random.h>

#include <cstdint>
#include <cstring>

extern "C" ssize_t getrandom(void* to, size_t bytes, unsigned) {
  static uint64_t state = 1;
  for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
    state += 0x9e37'79b9'7f4a'7c15;
    uint64_t mixed = (state ^ state >> 30) * 0xbf58'476d'1ce4'e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d0'49bb'1331'11eb;
    mixed ^= mixed >> 31;
    std::memcpy(static_cast<char*>(to) + at, &mixed,
                bytes - at < sizeof(mixed) ? bytes - at : sizeof(mixed));
  }
  return static_cast<ssize_t>(bytes);
}
