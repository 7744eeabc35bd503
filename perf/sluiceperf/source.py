"""The packet source inside every subject (perf/flow_source.h): what it sends, how far it is."""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from sluicelab.shell import binary

ZIPF_DRAWS = 1 << 22  # flow_order.h
STATUS_MAGIC = 0x736C756963653031  # "sluice01"
RUNNING = 2
QUEUES_MAX = 32  # source_queues_max


@dataclass(frozen=True)
class Traffic:
    """Established flows, both directions mixed."""

    flows: int = 10_000
    bytes: str = "64"  # of a frame without FCS, or "imix"
    proto: str = "udp"
    family: str = "4"
    zipf: float = 0
    listeners: int = 1
    steered: bool = False  # every queue gives the flows of its own worker, as a NIC with RSS does

    @property
    def variant(self) -> str:
        return f"{self.proto}{self.family}" + (f" zipf {self.zipf:g}" if self.zipf else "")

    @property
    def round_packets(self) -> int:
        """Packets until each flow that is used was used once in both directions."""
        return 2 * (ZIPF_DRAWS if self.zipf else self.flows)

    def options(self, status: Path, learns: bool) -> str:
        return (f"flows={self.flows},bytes={self.bytes},proto={self.proto},family={self.family},"
                f"zipf={self.zipf:g},listeners={self.listeners},learn={int(learns)},"
                f"steer={int(self.steered)},status={status}")


@dataclass(frozen=True)
class SourceState:
    phase: int
    flows: int
    learned: int
    confirmed: int
    wrong: int
    queues: tuple[int, ...]  # packets given while running

    @property
    def packets(self) -> int:
        return sum(self.queues)


def read_status(path: Path) -> SourceState | None:
    """None before the source has written it."""
    try:
        words = struct.unpack(f"<{8 + 8 * QUEUES_MAX}Q", path.read_bytes()[:64 + 64 * QUEUES_MAX])
    except (FileNotFoundError, struct.error):
        return None
    if words[0] != STATUS_MAGIC:
        return None
    return SourceState(*words[1:6], queues=tuple(words[at] + words[at + 1]
                                                 for at in range(8, len(words), 8)))


def plugin(scratch: Path) -> str:
    """The source for programs that are not ours. DPDK loads no plugin from below a folder that
    everybody may write to, as /tmp is: hence a copy, one for all who have it mapped."""
    copy = scratch / "flow_source.so"
    if not copy.exists():
        shutil.copy(binary("perf/flow_source.so"), copy)
    return str(copy)
