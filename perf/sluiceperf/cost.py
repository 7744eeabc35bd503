"""Cost: cycles per packet on one core, beside the peers on identical ports."""

from __future__ import annotations

import contextlib
from pathlib import Path

from sluicelab import hugepages
from sluicelab.shell import LabError

from .rows import Row, row
from .sluice import Sluice
from .source import Traffic
from .subject import Subject
from .testpmd import Testpmd

TESTPMD_MODES = ("rxonly", "io", "macswap", "5tswap", "csum")
TESTPMD_MB = 160


def cases(quick: bool) -> list[tuple[Traffic, tuple[str, ...]]]:
    """(traffic, testpmd's modes beside it)."""
    if quick:
        return [(Traffic(flows=10_000), ("rxonly", "5tswap")),
                (Traffic(flows=1_000_000), TESTPMD_MODES)]
    few = ("rxonly", "5tswap")
    sweep = [(Traffic(flows=flows), TESTPMD_MODES) for flows in (1, 10_000, 100_000, 1_000_000, 8_000_000)]
    million = 1_000_000
    others = [Traffic(flows=million, zipf=1), Traffic(flows=million, proto="tcp"),
              Traffic(flows=million, family="6"), Traffic(flows=million, proto="tcp", family="6"),
              Traffic(flows=million, bytes="imix"), Traffic(flows=million, bytes="1500")]
    return sweep + [(traffic, few) for traffic in others]


class Comparison:
    """Subjects that are started, warm and paused; measured in turn."""

    def __init__(self, subjects: list[Subject], progress) -> None:
        self.subjects, self.progress = subjects, progress

    def __enter__(self) -> "Comparison":
        with contextlib.ExitStack() as stack:
            for subject in self.subjects:
                self.progress(f"starting {subject.name}")
                stack.callback(subject.stop)  # also what start() left behind when it failed
                subject.start()
                subject.warm()
                subject.pause()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def cost_rows(samples: dict[tuple[str, str], list[tuple[int, int]]], tsc_hz: float, **what) -> list[Row]:
    """Two rows for each (who, mode): cycles per packet and packets per CPU-second."""
    rows = []
    for (who, mode), runs in samples.items():
        cycles = [cpu * 1e-9 * tsc_hz / packets for packets, cpu in runs]
        rate = [packets / cpu * 1e3 for packets, cpu in runs]
        common = dict(what, who=who, mode=mode, workers=1)
        rows.append(row(cycles, "cycles/packet", **dict(common, what="cost")))
        rows.append(row(rate, "Mpps/CPU-second", **dict(common, what="rate per CPU-second")))
    return rows


def own_rows(rows: list[Row]) -> list[Row]:
    """What Sluice spends beyond taking the same packets from the same source and freeing them."""
    added = []
    cycles = [r for r in rows if r.what == "cost"]
    for ours in (r for r in cycles if r.who == "sluice"):
        source = next((r for r in cycles if r.mode == "rxonly" and r.key()[3:5] == ours.key()[3:5]
                       and r.variant == ours.variant), None)
        if source:
            added.append(Row(**{**vars(ours), "what": "own cost", "median": ours.median - source.median,
                                "min": ours.min - source.max, "max": ours.max - source.min,
                                "note": "cost without testpmd rxonly on the same source"}))
    return added


def ratio_rows(rows: list[Row]) -> list[Row]:
    """Rate of Sluice relative to each peer in the same comparison."""
    added = []
    rates = [r for r in rows if r.unit == "Mpps/CPU-second"]
    for ours in (r for r in rates if r.who == "sluice"):
        for peer in rates:
            same = (peer.bytes, peer.flows, peer.variant, peer.device) == (
                ours.bytes, ours.flows, ours.variant, ours.device)
            if same and peer.who != "sluice" and peer.mode != "rxonly":
                added.append(Row(**{**vars(ours), "what": f"rate beside {peer.who} {peer.mode}",
                                    "median": ours.median / peer.median, "min": ours.min / peer.max,
                                    "max": ours.max / peer.min, "unit": "ratio"}))
    return added


def run_case(traffic: Traffic, modes: tuple[str, ...], extra: list[Subject], scratch: Path, runs: int,
             seconds: float, progress) -> list[Row]:
    ours, pmd = Sluice(scratch, traffic), Testpmd(scratch, traffic)
    peers = [pmd] if modes else []
    pages = (ours.memory_mb() + TESTPMD_MB * len(peers) + sum(s.memory_mb() for s in extra)) // 2 + 16
    samples: dict[tuple[str, str], list[tuple[int, int]]] = {}
    with hugepages.reserved(pages), Comparison([ours, *peers, *extra], progress):
        for number in range(runs):
            progress(f"{traffic.flows:,} flows, {traffic.bytes} bytes, {traffic.variant}: run {number + 1} of {runs}")
            samples.setdefault((ours.who, ours.mode), []).append(ours.measure(seconds))
            for mode in modes:
                pmd.set_mode(mode)
                samples.setdefault((pmd.who, mode), []).append(pmd.measure(seconds))
            for peer in extra:
                samples.setdefault((peer.who, peer.mode), []).append(peer.measure(seconds))
        tsc_hz = ours.tsc_hz
    rows = cost_rows(samples, tsc_hz, device=ours.device, bytes=traffic.bytes, flows=traffic.flows,
                     variant=traffic.variant, what="")
    return rows + own_rows(rows) + ratio_rows(rows)


def run(scratch: Path, quick: bool, runs: int, peers: set[str], progress) -> list[Row]:
    from .ovs import Ovs  # its packages are asked for only when the peer is
    rows: list[Row] = []
    seconds = 0.4 if quick else 1.0
    for traffic, modes in cases(quick):
        if "testpmd" not in peers:
            modes = ()
        extra: list[Subject] = []
        if "ovs" in peers and Ovs.can_hold(traffic):
            extra.append(Ovs(scratch, traffic))
        try:
            rows += run_case(traffic, modes, extra, scratch, runs, seconds, progress)
        except LabError as error:
            if traffic.flows < 8_000_000 or "hugepages" not in str(error):
                raise
            progress(f"left out {traffic.flows:,} flows: {error}", keep=True)
    return rows
