"""Latency: what Sluice adds to a packet's way at 10, 50 and 90 % of its zero-loss rate, and how long it
takes to wake.

The packets carry time stamps of the generator's own clock. testpmd `io` on the same ports at the same rates
is the way without a load balancer: what Sluice takes longer, percentile by percentile, is added latency.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sluicelab import hugepages

from .cost import Comparison
from .generator import SEED, Generator
from .rate import HEADROOM, core_row
from .rig import RING, MemifSluice, MemifTestpmd, Rig
from .rows import Row, percentile, row
from .search import Outcome, zero_loss
from .source import Traffic
from .veth import PacketLoad, VethSluice
from .veth_lab import VethLab

LOADS = (0.10, 0.50, 0.90)
ATTEMPTS = 3
PERCENTILES = ("p50", "p90", "p99", "p99.9", "max")
WAKING = Traffic(flows=1000)
GAP_US = 2_000  # pauses are this to twice as long: a worker sleeps by then


def cases(quick: bool) -> list[Traffic]:
    if quick:
        return [Traffic(flows=10_000)]
    million = 1_000_000
    return [Traffic(flows=million), Traffic(flows=million, family="6"), Traffic(flows=million, bytes="imix")]


def base_rate(rig: Rig, seconds: float, resolution: float) -> tuple[float, str]:
    """Packets per second that the loads are shares of, and what that is."""
    fastest = rig.trial(0, seconds)
    found = zero_loss(lambda rate: rig.trial(rate, seconds), fastest.forwarded * HEADROOM, resolution)
    if found.rate > 0:
        return found.rate, "zero-loss rate"
    return fastest.forwarded / 2, "half the maximum rate, as no trial was without loss"


def quiet_trial(rig: Rig, packets_per_second: float, seconds: float) -> Outcome:
    """A trial that the machine did not disturb, or the last of a few."""
    for _ in range(ATTEMPTS):
        done = rig.trial(packets_per_second, seconds)
        if not done.is_disturbed:
            break
    return done


def rows_of(samples: dict[tuple[str, str], list[Outcome]], note: str, **what) -> list[Row]:
    """Percentiles of each (who, mode), and what those of Sluice are above testpmd io's of the same run."""
    rows = []
    us = lambda runs, name: [run.latency_ns[name] / 1e3 for run in runs]
    ours, bare = samples.get(("sluice", "nat"), []), samples.get(("testpmd", "io"), [])
    for name in PERCENTILES:
        for (who, mode), runs in samples.items():
            lost = sum(run.lost for run in runs)
            disturbed = sum(run.is_disturbed for run in runs)
            told = f"{note}; {lost} packets lost, {disturbed} runs disturbed"
            rows.append(row(us(runs, name), "us", **dict(what, what="latency", who=who, mode=f"{mode} {name}",
                                                         note=told)))
        added = [a - b for a, b in zip(us(ours, name), us(bare, name))]
        if added:
            rows.append(row(added, "us", **dict(what, what="added latency", who="sluice", mode=f"nat {name}",
                                                note=f"{note}; beside testpmd io")))
    return rows


def loaded(traffic: Traffic, peers: set[str], scratch: Path, runs: int, seconds: float, resolution: float,
           progress) -> list[Row]:
    ours = Rig(MemifSluice(scratch, traffic))
    rigs = [ours] + ([Rig(MemifTestpmd(scratch, traffic, "io"))] if "testpmd" in peers else [])
    samples: dict[float, dict[tuple[str, str], list[Outcome]]] = {
        load: {rig.who: [] for rig in rigs} for load in LOADS}
    with hugepages.reserved(sum(rig.memory_mb() for rig in rigs) // 2 + 16), Comparison(rigs, progress):
        progress(f"{traffic.flows:,} flows, {traffic.bytes} bytes, {traffic.variant}: zero-loss rate")
        ours.resume()
        trips = [percentile(ours.core_round_trip_ns(), 0.5)]
        rate, meaning = base_rate(ours, seconds, resolution)
        ours.pause()
        for number in range(runs):
            progress(f"{traffic.flows:,} flows, {traffic.bytes} bytes, {traffic.variant}: run {number + 1} of {runs}")
            for load in LOADS:
                for rig in rigs:
                    rig.resume()
                    samples[load][rig.who].append(quiet_trial(rig, rate * load, seconds))
                    rig.pause()
    rows: list[Row] = []
    common = dict(device=f"memif {1 << RING}", bytes=traffic.bytes, flows=traffic.flows, workers=1)
    for load in LOADS:
        note = f"at {rate * load / 1e6:.2f} Mpps, {load:.0%} of the {meaning} of Sluice; seed {SEED}"
        rows += rows_of(samples[load], note, variant=f"{traffic.variant} at {load:.0%}", **common)
    return [core_row(trips, variant=traffic.variant, **common), *rows]


class IdleVethSluice(VethSluice):
    def __init__(self, scratch: Path, lab: VethLab, idle: str) -> None:
        super().__init__(scratch, lab, "udp")
        self.idle = idle

    def feed(self) -> list[str]:
        return [*super().feed(), "--idle", self.idle]


@contextlib.contextmanager
def idle_over_memif(scratch: Path, idle: str, progress) -> Iterator[Generator]:
    rig = Rig(MemifSluice(scratch, WAKING, idle))
    with hugepages.reserved(rig.memory_mb() // 2 + 16), Comparison([rig], progress):
        rig.resume()
        yield rig.generator


@contextlib.contextmanager
def idle_over_veth(scratch: Path, idle: str, progress) -> Iterator[Generator]:
    progress(f"starting sluice-{idle} over veth")
    with VethLab(scratch, idle[0], True) as lab:
        device, load = IdleVethSluice(scratch, lab, idle), PacketLoad(lab, WAKING)
        with hugepages.reserved((device.memory_mb() + load.generator.memory_mb) // 2 + 16):
            try:
                device.start()
                load.start()
                yield load.generator
            finally:
                load.stop()
                device.stop()


def waking(scratch: Path, runs: int, packets: int, progress) -> list[Row]:
    """Single packets with pauses: through workers that sleep while idle, and such as never do."""
    rows = []
    for device, started in ((f"memif {1 << RING}", idle_over_memif), (VethSluice.device, idle_over_veth)):
        for idle in ("adaptive", "busy"):
            with started(scratch, idle, progress) as generator:
                answers = []
                for number in range(runs):
                    progress(f"waking an idle worker ({device}, {idle}): run {number + 1} of {runs}")
                    answers.append(generator.wake(packets, GAP_US))
            lost = sum(count for _, count in answers)
            for name in PERCENTILES:
                rows.append(row([latency_ns[name] / 1e3 for latency_ns, _ in answers], "us", what="wake-up latency",
                                who="sluice", device=device, bytes=WAKING.bytes, flows=WAKING.flows, workers=1,
                                mode=f"{idle} {name}", variant=WAKING.variant,
                                note=f"{packets} packets a run, {GAP_US / 1e3:g} to {2 * GAP_US / 1e3:g} ms apart; "
                                     f"{lost} lost"))
    return rows


def run(scratch: Path, quick: bool, runs: int, peers: set[str], progress) -> list[Row]:
    rows: list[Row] = []
    seconds, resolution = (0.1, 0.1) if quick else (1.0, 0.02)
    for traffic in cases(quick):
        rows += loaded(traffic, peers, scratch, runs, seconds, resolution, progress)
    return rows + waking(scratch, runs, 100 if quick else 1000, progress)
