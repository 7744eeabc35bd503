"""Captures at the far ends, and their judgement by checksum_check."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from sluicelab.lab import Lab
from sluicelab.shell import binary

SETTLE_S = 1.0  # for tcpdump to write what the kernel has given it


@contextlib.contextmanager
def captured(lab: Lab, role: str, file: Path, *expression: str,
             interface: str = "eth0") -> Iterator[None]:
    """Captures whole frames on a far end for the time of the block."""
    tcpdump = subprocess.Popen(
        lab.within(role, "tcpdump", "-Z", "root", "-n", "-U", "--immediate-mode", "-s", "2048",
                   "-B", "65536", "-i", interface,
                   "-w", str(file), *expression),
        stderr=subprocess.PIPE, text=True)
    try:
        assert tcpdump.stderr is not None
        first = tcpdump.stderr.readline()
        assert "listening" in first, first
        yield
        time.sleep(SETTLE_S)
    finally:
        tcpdump.terminate()
        _, words = tcpdump.communicate(timeout=10)
    assert "0 packets dropped by kernel" in words, words


def judge(*files: Path) -> dict:
    """Every checksum of every packet: the report of checksum_check."""
    command = [binary("tests/e2e/tools/checksum_check"), "--files", ",".join(map(str, files))]
    return json.loads(subprocess.check_output(command))
