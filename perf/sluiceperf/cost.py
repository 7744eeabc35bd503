"""Cost: cycles per packet on one core, beside the peers on identical ports.

Two kinds of ports. `null+source`: the packet source of perf/flow_source.h, for any number of flows.
`pcap`: capture files, which every DPDK program can replay by itself, for as many flows as fit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sluicelab import hugepages
from sluicelab.shell import LabError

from . import profile
from .ovs import Ovs
from .replay import Capture, ReplayOvs, ReplaySluice, ReplayTestpmd
from .rows import Row, row
from .sluice import Sluice
from .source import Traffic
from .subject import Subject
from .testpmd import Testpmd

LIMITS = ("rxonly", "io", "macswap", "5tswap", "csum")  # testpmd's modes
BRIEF = ("rxonly", "5tswap")
MILLION = 1_000_000
PROFILED = Traffic(flows=MILLION)


@dataclass(frozen=True)
class Case:
    traffic: Traffic
    modes: tuple[str, ...] = BRIEF  # of testpmd, beside Sluice
    is_capture: bool = False
    ovs: bool = False


def cases(quick: bool) -> list[Case]:
    """Flows are swept with the smallest packets; everything else is varied at a million flows."""
    if quick:
        return [Case(Traffic(flows=10_000), is_capture=True, ovs=True),
                Case(Traffic(flows=10_000)), Case(PROFILED, LIMITS),
                Case(Traffic(flows=100_000, proto="tcp", family="6", bytes="imix", zipf=1))]
    replays = [Case(Traffic(flows=10_000, bytes=size), LIMITS if size == "64" else BRIEF,
                    is_capture=True, ovs=True) for size in ("64", "imix", "1500")]
    sweep = [Case(Traffic(flows=flows), LIMITS, ovs=flows <= MILLION)
             for flows in (1, 10_000, 100_000, MILLION, 8 * MILLION)]
    varied = [Case(Traffic(flows=MILLION, **what)) for what in (
        {"zipf": 1}, {"proto": "tcp"}, {"family": "6"}, {"proto": "tcp", "family": "6"},
        {"bytes": "imix"}, {"bytes": "1500"},
        {"proto": "tcp", "family": "6", "bytes": "imix", "zipf": 1})]
    return replays + sweep + varied + [Case(Traffic(flows=8 * MILLION, zipf=1))]


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


@dataclass(frozen=True)
class Sample:
    packets: int
    cpu_ns: int

    def cycles(self, tsc_hz: float) -> float:
        return self.cpu_ns * 1e-9 * tsc_hz / self.packets

    @property
    def mpps(self) -> float:
        """Million packets per CPU-second."""
        return self.packets / self.cpu_ns * 1e3


Samples = dict[tuple[str, str], list[Sample]]  # by (who, mode); number i of all is from turn i


def cost_rows(samples: Samples, tsc_hz: float, **where) -> list[Row]:
    """Two rows for each (who, mode): cycles per packet and packets per CPU-second."""
    rows = []
    for (who, mode), turns in samples.items():
        common = dict(where, who=who, mode=mode, workers=1)
        rows.append(row([s.cycles(tsc_hz) for s in turns], "cycles/packet", what="cost", **common))
        rows.append(row([s.mpps for s in turns], "Mpps/CPU-second", what="rate per CPU-second",
                        **common))
    return rows


def paired_rows(samples: Samples, ours: tuple[str, str], tsc_hz: float, **where) -> list[Row]:
    """What Sluice spends beyond taking the same packets and freeing them, and its rate relative to
    each peer. Each turn is compared with itself: what slows the whole machine down cancels out."""
    common = dict(where, who=ours[0], mode=ours[1], workers=1)
    rows = []
    for (who, mode), turns in samples.items():
        pairs = list(zip(samples[ours], turns))
        if mode == "rxonly":
            rows.append(row([our.cycles(tsc_hz) - s.cycles(tsc_hz) for our, s in pairs],
                            "cycles/packet", what="own cost",
                            note="cost without testpmd rxonly in the same turn", **common))
        elif (who, mode) != ours:
            rows.append(row([our.mpps / s.mpps for our, s in pairs], "ratio",
                            what=f"rate beside {who} {mode}", **common))
    return rows


def run_case(case: Case, subjects: list[Subject], scratch: Path, runs: int, seconds: float,
             progress) -> list[Row]:
    ours, traffic = subjects[0], case.traffic
    pages = sum(subject.memory_mb() for subject in subjects) // 2 + 16
    samples: Samples = {}

    def measure(subject: Subject, mode: str) -> None:
        samples.setdefault((subject.who, mode), []).append(Sample(*subject.measure(seconds)))

    with hugepages.reserved(pages), Comparison(subjects, progress):
        ours.measure(seconds)  # not counted: timers that came due while the others started
        for number in range(runs):
            progress(f"{ours.device}: {traffic.flows:,} flows, {traffic.bytes} bytes, "
                     f"{traffic.variant}: run {number + 1} of {runs}")
            for subject in subjects:
                if isinstance(subject, Testpmd):
                    for mode in case.modes:
                        subject.set_mode(mode)
                        measure(subject, mode)
                else:
                    measure(subject, subject.mode)
        if traffic == PROFILED:
            progress("profiling the worker")
            if problem := profile.take(ours, scratch):
                progress(f"no CPU profile: {problem}", keep=True)
        tsc_hz = ours.tsc_hz
    where = {"device": ours.device, "bytes": traffic.bytes, "flows": traffic.flows,
             "variant": traffic.variant}
    return (cost_rows(samples, tsc_hz, **where)
            + paired_rows(samples, (ours.who, ours.mode), tsc_hz, **where))


def make_subjects(case: Case, peers: set[str], scratch: Path) -> list[Subject]:
    """Sluice first, then the peers that are asked for and can carry this traffic."""
    with_ovs = case.ovs and "ovs" in peers
    if case.is_capture:
        capture = Capture(scratch / "capture", case.traffic)
        ours = ReplaySluice(scratch, capture)
        return [ours, *([ReplayTestpmd(scratch, capture, ours)] if "testpmd" in peers else []),
                *([ReplayOvs(scratch, capture)] if with_ovs else [])]
    return [Sluice(scratch, case.traffic),
            *([Testpmd(scratch, case.traffic)] if "testpmd" in peers else []),
            *([Ovs(scratch, case.traffic)] if with_ovs else [])]


def run(scratch: Path, quick: bool, runs: int, peers: set[str], progress) -> Iterator[Row]:
    for case in cases(quick):
        try:
            yield from run_case(case, make_subjects(case, peers, scratch), scratch, runs,
                                0.25 if quick else 0.5, progress)
        except LabError as error:
            if case.traffic.flows <= MILLION or "hugepages" not in str(error):
                raise
            progress(f"left out {case.traffic.flows:,} flows: {error}", keep=True)
