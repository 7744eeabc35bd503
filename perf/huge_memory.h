// HugeMemory: zeroed memory on 2 MiB pages where the kernel has some reserved, on ordinary pages
// otherwise. For benchmarks.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <span>

namespace sluice::perf {

class HugeMemory {
 public:
  explicit HugeMemory(size_t bytes) : bytes_((bytes + page_bytes - 1) / page_bytes * page_bytes) {
    constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    data_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
    huge_ = data_ != MAP_FAILED;
    if (!huge_) data_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, flags, -1, 0);
  }
  ~HugeMemory() {
    if (valid()) ::munmap(data_, bytes_);
  }
  HugeMemory(const HugeMemory&) = delete;
  HugeMemory& operator=(const HugeMemory&) = delete;

  bool valid() const { return data_ != MAP_FAILED; }
  bool huge() const { return huge_; }
  std::span<std::byte> span() const { return {static_cast<std::byte*>(data_), bytes_}; }

 private:
  static constexpr size_t page_bytes = size_t{2} << 20;
  size_t bytes_;
  void* data_ = MAP_FAILED;
  bool huge_ = false;
};

}  // namespace sluice::perf
