"""The packet source inside every subject (perf/flow_source.h): what it shall send, and how far it is."""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from sluicelab.shell import binary

STATUS_MAGIC = 0x736C756963653031  # "sluice01"
RUNNING = 2


@dataclass(frozen=True)
class Traffic:
    """Established flows, both directions mixed."""

    flows: int = 10_000
    bytes: str = "64"  # of a frame without FCS, or "imix"
    proto: str = "udp"
    family: str = "4"
    zipf: float = 0
    listeners: int = 1

    @property
    def variant(self) -> str:
        return f"{self.proto}{self.family}" + (f" zipf {self.zipf:g}" if self.zipf else "")

    def options(self, status: Path, learns: bool) -> str:
        return (f"flows={self.flows},bytes={self.bytes},proto={self.proto},family={self.family},"
                f"zipf={self.zipf:g},listeners={self.listeners},learn={int(learns)},status={status}")


@dataclass(frozen=True)
class SourceState:
    phase: int
    flows: int
    learned: int
    confirmed: int
    wrong: int
    packets: int


def read_status(path: Path) -> SourceState | None:
    """None before the source has written it."""
    try:
        words = struct.unpack("<8Q", path.read_bytes()[:64])
    except (FileNotFoundError, struct.error):
        return None
    if words[0] != STATUS_MAGIC:
        return None
    return SourceState(*words[1:6], packets=words[6] + words[7])


def plugin(scratch: Path) -> str:
    """The source for programs that are not ours. DPDK loads no plugin from below a folder that
    everybody may write to, as /tmp is: hence a copy, one for all who have it mapped."""
    copy = scratch / "flow_source.so"
    if not copy.exists():
        shutil.copy(binary("perf/flow_source.so"), copy)
    return str(copy)
