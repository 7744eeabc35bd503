// Verdict: what happens to one packet, and the named reason. Exactly one per packet, so that
// rx == forward + punt + drop on every worker (packets in hand-off rings aside).
// The name is the metric label, and leads to the code in one grep.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

#define SLUICE_VERDICTS(V)                                                                \
  /* none: parsed, undecided; never counted */                                            \
  V(none, none)                                                                           \
  V(forward, to_backend)                                                                  \
  V(forward, to_client)                                                                   \
  V(punt, not_ip)          /* ARP, LLDP and every other ethertype */                      \
  V(punt, icmp)            /* ICMP and ICMPv6, ND included */                             \
  V(punt, other_protocol)  /* neither TCP, UDP nor ICMP */                                \
  V(punt, not_virtual)     /* for an address that is not a listener's */                  \
  V(punt, no_listener)     /* a listener's address, but another port or protocol */       \
  V(punt, local_fragment)  /* a fragment for one of the node's own addresses */           \
  V(drop, short_frame)     /* shorter than its own headers say */                         \
  V(drop, bad_ipv4_header) /* version, IHL or total length */                             \
  V(drop, bad_ipv4_checksum)                                                              \
  V(drop, bad_ipv6_header) /* version, payload length, extension chain */                 \
  V(drop, bad_tcp_header)  /* data offset, or a flag set that no TCP sends */             \
  V(drop, bad_udp_header)  /* UDP length, or IPv6 without a checksum */                   \
  V(drop, bad_source)      /* group, loopback, mapped, unset, or the destination's own */ \
  V(drop, bad_l4_checksum) /* reported by the device */                                   \
  V(drop, fragment)        /* a fragment for a virtual address */                         \
  V(drop, ttl_expired)                                                                    \
  V(drop, no_flow)            /* TCP without SYN and without a flow; answered with RST */ \
  V(drop, no_flow_rst)        /* a RST without a flow */                                  \
  V(drop, no_rule)            /* no rule of the route matches */                          \
  V(drop, pool_empty_reject)  /* no backend; answered with RST or ICMP unreachable */     \
  V(drop, pool_empty)         /* no backend; policy "drop" */                             \
  V(drop, backend_gone)       /* the flow's backend left; answered with RST */            \
  V(drop, backend_unresolved) /* no next hop (yet) */                                     \
  V(drop, flow_reset)         /* the flow was reset by an operator; answered with RST */  \
  V(drop, flow_table_full)                                                                \
  V(drop, snat_ports_exhausted)                                                           \
  V(drop, no_snat_address) /* the egress port has no address of this family */            \
  V(drop, too_big)         /* longer than the egress MTU */                               \
  V(drop, tx_full)         /* the device's TX ring stayed full */                         \
  V(drop, punt_full)       /* the punt ring to ctrl was full */                           \
  V(drop, handoff_full)    /* the ring to the owner was full */                           \
  V(drop, no_device)       /* the egress port is gone */

enum class Disposition : uint8_t { none, forward, punt, drop };

enum class Verdict : uint8_t {
#define SLUICE_VERDICT_ENUM(disposition, name) name,
  SLUICE_VERDICTS(SLUICE_VERDICT_ENUM)
#undef SLUICE_VERDICT_ENUM
      count_
};

inline constexpr size_t verdict_count = static_cast<size_t>(Verdict::count_);

inline constexpr std::array<std::string_view, verdict_count> verdict_names = {
#define SLUICE_VERDICT_NAME(disposition, name) #name,
    SLUICE_VERDICTS(SLUICE_VERDICT_NAME)
#undef SLUICE_VERDICT_NAME
};

inline constexpr std::array<Disposition, verdict_count> verdict_dispositions = {
#define SLUICE_VERDICT_DISPOSITION(disposition, name) Disposition::disposition,
    SLUICE_VERDICTS(SLUICE_VERDICT_DISPOSITION)
#undef SLUICE_VERDICT_DISPOSITION
};

inline constexpr std::string_view verdict_name(Verdict verdict) {
  return verdict_names[static_cast<size_t>(verdict)];
}
inline constexpr Disposition disposition_of(Verdict verdict) {
  return verdict_dispositions[static_cast<size_t>(verdict)];
}

}  // namespace sluice
