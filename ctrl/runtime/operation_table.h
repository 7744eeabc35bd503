// OperationTable: what the event loop has asked of the kernel and not yet got back. An id names
// a slot and its generation, so that an answer that comes late never meets a newer operation.
// One thread.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "ctrl/runtime/event_loop.h"

namespace sluice::ctrl {

enum class OperationKind : uint8_t { read, write, accept, connect, poll };

struct Operation {
  OperationKind kind = OperationKind::read;
  int fd = -1;
  void* buffer = nullptr;  // read, write; write does not change it
  uint32_t bytes = 0;      // of the buffer, or of the address
  short events = 0;        // poll
  std::unique_ptr<sockaddr_storage> address =
      nullptr;  // connect: the kernel reads it at submission
  Completion done = nullptr;

  bool submitted = false;  // the kernel has it, or will with the next submission
  bool cancelled = false;  // its completion is kept alive, and not called
};

class OperationTable {
 public:
  OperationId add(Operation operation);
  /// Null when the operation has ended.
  Operation* find(OperationId id);
  /// Ends the operation and hands it out; the slot may be taken again at once.
  Operation take(OperationId id);

  size_t size() const { return slots_.size() - free_.size(); }
  /// Every operation that has not ended.
  std::vector<OperationId> ids() const;

 private:
  struct Slot {
    uint32_t generation = 1;  // 31 bits; the topmost bit of an id belongs to timers
    bool used = false;
    Operation operation;
  };
  OperationId id_of(size_t index) const;

  std::deque<Slot> slots_;  // addresses of operations hold while others are added
  std::vector<uint32_t> free_;
};

}  // namespace sluice::ctrl
