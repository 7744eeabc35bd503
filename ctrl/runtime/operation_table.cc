#include "ctrl/runtime/operation_table.h"

#include <utility>

#include "dataplane/base/assert.h"

namespace sluice::ctrl {

namespace {
constexpr uint32_t generation_mask = 0x7fff'ffff;
}

OperationId OperationTable::id_of(size_t index) const {
  return uint64_t{slots_[index].generation} << 32 | (index + 1);
}

OperationId OperationTable::add(Operation operation) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const uint32_t index = free_.back();
  free_.pop_back();
  slots_[index].operation = std::move(operation);
  slots_[index].used = true;
  return id_of(index);
}

Operation* OperationTable::find(OperationId id) {
  const uint64_t position = id & 0xffff'ffff;
  if (position == 0 || position > slots_.size()) return nullptr;
  Slot& slot = slots_[position - 1];
  return slot.used && slot.generation == id >> 32 ? &slot.operation : nullptr;
}

Operation OperationTable::take(OperationId id) {
  Operation* operation = find(id);
  SLUICE_ASSERT(operation != nullptr);
  const uint64_t index = (id & 0xffff'ffff) - 1;
  Slot& slot = slots_[index];
  slot.used = false;
  slot.generation = (slot.generation + 1) & generation_mask;
  if (slot.generation == 0) slot.generation = 1;
  free_.push_back(static_cast<uint32_t>(index));
  return std::exchange(*operation, Operation{});
}

std::vector<OperationId> OperationTable::ids() const {
  std::vector<OperationId> ids;
  for (size_t index = 0; index < slots_.size(); ++index) {
    if (slots_[index].used) ids.push_back(id_of(index));
  }
  return ids;
}

}  // namespace sluice::ctrl
