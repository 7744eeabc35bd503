"""Connections: what opening one costs while the table fills up. Each packet is the first of a new
connection (TCP: its SYN). The source learns each one's answer on the same core, so these figures are
below what Sluice reaches."""

from __future__ import annotations

import time
from pathlib import Path

from sluicelab import hugepages
from sluicelab.shell import LabError

from . import machine
from .rows import Row, row
from .sluice import Sluice
from .source import Traffic, read_status
from .subject import WORKER_THREADS

FILLS = (0.10, 0.50, 0.90)
HALF_WINDOW = 0.05
OPENING = 0


def windows(samples: list[tuple[int, int]], table: int) -> dict[float, float]:
    """{fill: ns on the CPU for one connection}, from (connections, cpu_ns) samples in order."""
    found = {}
    for fill in FILLS:
        inside = [s for s in samples if abs(s[0] / table - fill) <= HALF_WINDOW]
        if len(inside) >= 2 and inside[-1][0] > inside[0][0]:
            found[fill] = (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])
    return found


def fill_table(subject: Sluice) -> list[tuple[int, int]]:
    """Samples (connections, worker's cpu_ns) while the source opens all of its flows."""
    subject.start()
    tids = machine.thread_ids(subject.pid, WORKER_THREADS)
    samples, deadline = [], time.monotonic() + 120
    while (state := read_status(subject.status)).phase == OPENING:
        samples.append((state.learned, machine.cpu_ns(subject.pid, tids)))
        if time.monotonic() > deadline:
            raise LabError(f"the connections are not open after 120 s: {state}")
        time.sleep(0.002)
    subject.check()
    return samples


def run(scratch: Path, quick: bool, runs: int, peers: set[str], progress) -> list[Row]:
    rows: list[Row] = []
    table = 1 << 21
    for proto in ("tcp",) if quick else ("tcp", "udp"):
        traffic = Traffic(flows=int(table * 0.95), proto=proto)
        costs: dict[float, list[float]] = {}
        for number in range(runs):
            progress(f"{proto}: {traffic.flows:,} connections, run {number + 1} of {runs}")
            subject = Sluice(scratch, traffic, flows_max=table)
            with hugepages.reserved(subject.memory_mb() // 2 + 16):
                try:
                    samples = fill_table(subject)
                finally:
                    subject.stop()
            for fill, cost_ns in windows(samples, table).items():
                costs.setdefault(fill, []).append(cost_ns)
        for fill, values in costs.items():
            common = dict(what="connections", who="sluice", device=subject.device, bytes="128", workers=1,
                          flows=int(fill * table), mode="new", variant=f"{proto}4, table {fill:.0%} full")
            rows.append(row([1e6 / ns for ns in values], "k connections/CPU-second", **common))
            rows.append(row(values, "ns", **common))
    return rows
