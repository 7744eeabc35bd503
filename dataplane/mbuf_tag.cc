#include "dataplane/mbuf_tag.h"

#include <rte_errno.h>

#include <string>

namespace sluice::dataplane {

Status register_mbuf_tag() {
  static const rte_mbuf_dynfield field = {"sluice_tag", sizeof(MbufTag), alignof(uint32_t), 0};
  mbuf_tag_offset = rte_mbuf_dynfield_register(&field);
  if (mbuf_tag_offset < 0) {
    return fail(std::string("no room for 4 bytes in DPDK's packet buffers: ") +
                rte_strerror(rte_errno));
  }
  return {};
}

}  // namespace sluice::dataplane
