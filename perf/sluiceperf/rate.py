"""Rate: the fastest rate without loss and the fastest of all, from a generator on a core of its own.

Every packet is numbered and checked; a wrong, duplicated, corrupted or misdelivered one fails the run. Two
cores talk over a distance that differs from machine to machine and, on a virtual one, from hour to hour:
each run measures it and the table shows it beside the figures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sluicelab import hugepages
from sluicelab.shell import LabError

from . import machine
from .cost import Comparison
from .generator import SEED
from .rig import RING, MemifSluice, MemifTestpmd, Rig
from .rows import Row, percentile, row
from .search import zero_loss
from .source import Traffic

MILLION = 1_000_000
BLOCKED = 0.1  # a generator that waits for the device more often is not the limit
HEADROOM = 1.05  # the search begins so far above the fastest rate


@dataclass(frozen=True)
class Case:
    traffic: Traffic
    modes: tuple[str, ...]  # of testpmd, beside Sluice


def cases(quick: bool) -> list[Case]:
    """Flows are swept with the smallest packets; everything else is varied at a million flows."""
    if quick:
        return [Case(Traffic(flows=10_000), ("io",))]
    sweep = [Case(Traffic(flows=flows), ("io", "5tswap")) for flows in (1, 10_000, 100_000, MILLION, 8 * MILLION)]
    others = [Traffic(flows=MILLION, zipf=1), Traffic(flows=MILLION, proto="tcp"), Traffic(flows=MILLION, family="6"),
              Traffic(flows=MILLION, proto="tcp", family="6"), Traffic(flows=MILLION, bytes="imix"),
              Traffic(flows=MILLION, bytes="1500")]
    return sweep + [Case(traffic, ("io",)) for traffic in others]


@dataclass
class Sample:
    """One run of one rig. Rates in million packets per second."""

    maximum: float
    per_cpu_second: float
    zero_loss: float
    trials: int
    disturbed: int
    blocked: float  # share of the generator's bursts at the maximum that met a full ring
    core_round_trip_ns: list[float] = field(default_factory=list)


def measure(rig: Rig, seconds: float, resolution: float) -> Sample:
    round_trips = rig.core_round_trip_ns()
    tids, pid = rig.worker_threads(), rig.device.pid
    cpu_ns = machine.cpu_ns(pid, tids)
    fastest = rig.trial(0, seconds)
    used_ns = machine.cpu_ns(pid, tids) - cpu_ns
    if fastest.forwarded == 0:
        raise LabError(f"{rig.device.name} carried no packets: {rig.device.last_words()}")
    found = zero_loss(lambda rate: rig.trial(rate, seconds), fastest.forwarded * HEADROOM, resolution)
    return Sample(maximum=fastest.forwarded / 1e6, per_cpu_second=fastest.forwarded * seconds / used_ns * 1e3,
                  zero_loss=found.rate / 1e6, trials=found.trials, disturbed=found.disturbed, blocked=fastest.blocked,
                  core_round_trip_ns=round_trips)


def note_of(samples: list[Sample], seconds: float) -> str:
    """What a reader must know to judge a rate: how it came about, and who was the limit."""
    note = (f"trials of {seconds:g} s, seed {SEED}, {sum(s.trials for s in samples)} trials of which "
            f"{sum(s.disturbed for s in samples)} lost packets while the machine had taken a core away")
    blocked = percentile([s.blocked for s in samples], 0.5)
    limit = "the device" if blocked > BLOCKED else "the generator"
    trips = [percentile(s.core_round_trip_ns, 0.5) for s in samples]
    note += f"; cores {min(trips):.0f} to {max(trips):.0f} ns apart"
    return f"{note}; at the maximum {blocked:.0%} of the bursts met a full ring: {limit} was the limit"


def core_row(round_trips_ns: list[float], **what) -> Row:
    return row(round_trips_ns, "ns", **dict(what, what="core round trip", who="machine", mode="cache line",
                                            note="from the generator's core to the device's and back"))


def rows_of(samples: dict[tuple[str, str], list[Sample]], seconds: float, **what) -> list[Row]:
    """`samples`: (who, mode) → runs, Sluice's first; they were made in turn, so equal numbers belong together."""
    trips = [percentile(s.core_round_trip_ns, 0.5) for runs in samples.values() for s in runs]
    rows = [core_row(trips, **what)]
    ours = next((runs for (who, _), runs in samples.items() if who == "sluice"), [])
    for (who, mode), runs in samples.items():
        common = dict(what, who=who, mode=mode, note=note_of(runs, seconds))
        rows.append(row([s.zero_loss for s in runs], "Mpps", **dict(common, what="zero-loss rate")))
        rows.append(row([s.maximum for s in runs], "Mpps", **dict(common, what="maximum rate")))
        rows.append(row([s.per_cpu_second for s in runs], "Mpps/CPU-second",
                        **dict(common, what="maximum rate per CPU-second")))
        if who == "sluice":
            continue
        for name, attribute in (("zero-loss rate", "zero_loss"), ("maximum rate", "maximum")):
            pairs = [(getattr(a, attribute), getattr(b, attribute)) for a, b in zip(ours, runs)]
            ratios = [a / b for a, b in pairs if b > 0]
            if ratios:
                rows.append(row(ratios, "ratio", **dict(what, who="sluice", mode="nat",
                                                        what=f"{name} beside {who} {mode}")))
    return rows


def run_case(case: Case, scratch: Path, runs: int, seconds: float, resolution: float, progress) -> list[Row]:
    traffic = case.traffic
    rigs = [Rig(MemifSluice(scratch, traffic)), *[Rig(MemifTestpmd(scratch, traffic, mode)) for mode in case.modes]]
    samples: dict[tuple[str, str], list[Sample]] = {rig.who: [] for rig in rigs}
    with hugepages.reserved(sum(rig.memory_mb() for rig in rigs) // 2 + 16), Comparison(rigs, progress):
        for number in range(runs):
            for rig in rigs:
                progress(f"{traffic.flows:,} flows, {traffic.bytes} bytes, {traffic.variant}, {rig.device.name}: "
                         f"run {number + 1} of {runs}")
                rig.resume()
                samples[rig.who].append(measure(rig, seconds, resolution))
                rig.pause()
    return rows_of(samples, seconds, device=f"memif {1 << RING}", bytes=traffic.bytes, flows=traffic.flows,
                   variant=traffic.variant, workers=1)


def run(scratch: Path, quick: bool, runs: int, peers: set[str], progress) -> list[Row]:
    rows: list[Row] = []
    seconds, resolution = (0.1, 0.05) if quick else (0.5, 0.02)
    for case in cases(quick):
        if "testpmd" not in peers:
            case = Case(case.traffic, ())
        try:
            rows += run_case(case, scratch, runs, seconds, resolution, progress)
        except LabError as error:
            if case.traffic.flows < 8 * MILLION or "hugepages" not in str(error):
                raise
            progress(f"left out {case.traffic.flows:,} flows: {error}", keep=True)
    return rows
