// MbufTag: the few bytes that travel with an mbuf from thread to thread, in a dynamic field
// (rte_mbuf_dyn.h) that no driver touches. Written before a ring, read behind it.
#pragma once

#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include <cstdint>

#include "dataplane/base/result.h"
#include "dataplane/base/verdict.h"

namespace sluice::dataplane {

struct MbufTag {
  uint8_t port = 0;                 // received on (hand-off, punt), or to be sent on
  uint8_t flags = 0;                // forward::FrameFlag
  Verdict verdict = Verdict::none;  // counted by whoever sends it; none: not a packet's, a reply
  uint8_t unused = 0;
};
static_assert(sizeof(MbufTag) == 4);

/// Offset of the field. Set by register_mbuf_tag() before any worker starts.
inline int mbuf_tag_offset = -1;

/// Reserves the field; again and again is fine.
Status register_mbuf_tag();

inline MbufTag& tag_of(rte_mbuf* frame) {
  return *RTE_MBUF_DYNFIELD(frame, mbuf_tag_offset, MbufTag*);
}

}  // namespace sluice::dataplane
