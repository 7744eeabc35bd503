"""Workers: what one of two costs beside one alone. Each has queues of its own on both ports, with a
packet source on them that runs on the worker's own core: no generator stands between them, so none can
be the limit. Steered: a queue gives the flows of its own worker, as a NIC with RSS does. The flows are
opened at any worker and handed to their owners. testpmd on the same ports shows what the machine itself gives:
two cores that share caches and memory are not twice one."""

from __future__ import annotations

import time
from pathlib import Path

from sluicelab import hugepages
from sluicelab.shell import LabError

from . import machine
from .cost import Comparison
from .rows import Row, row
from .sluice import FORWARDED, Sluice
from .source import Traffic, read_status
from .subject import WORKER_THREADS
from .testpmd import Testpmd

ONE, TWO, MORE_THAN_CORES = (1,), (0, 1), (0, 1, 0, 1)
HANG_SECONDS = 30
CONTROL_MODE = "5tswap"
NOTE = "each worker's source is on its own queues and core"


def rate_mpps(sample: list[tuple[int, int]]) -> float:
    """Million packets per second of all workers, each on a core of its own; (packets, cpu_ns) of each."""
    return sum(packets / cpu_ns * 1e3 for packets, cpu_ns in sample)


def cycles_per_packet(sample: list[tuple[int, int]], tsc_hz: float) -> float:
    return sum(cpu_ns for _, cpu_ns in sample) * 1e-9 * tsc_hz / sum(packets for packets, _ in sample)


def not_forwarded(before: dict, after: dict) -> int:
    """Packets with another verdict than forward, between two answers of the device to `stats`."""
    others = lambda stats: sum(count for worker in stats["workers"]
                               for name, count in worker["verdicts"].items() if name not in FORWARDED)
    return others(after) - others(before)


def measure(subject: Sluice | Testpmd, seconds: float) -> tuple[list[tuple[int, int]], int]:
    """([(packets, cpu_ns) of each worker], packets that were not forwarded). Each worker gets its part of
    `seconds` on its core, or what it gets in three times that, but some packets at least."""
    subject.resume()
    subject.prepare()
    time.sleep(0.15)
    tids = machine.thread_ids(subject.pid, WORKER_THREADS)
    look = lambda: list(zip(read_status(subject.status).queues, [machine.cpu_ns(subject.pid, [t]) for t in tids]))
    stats = subject.ask("stats") if isinstance(subject, Sluice) else None
    before = look()
    wanted_ns = seconds * 1e9 * len(set(subject.cores)) / len(subject.cores)
    begin = time.monotonic()
    while True:
        time.sleep(0.02)
        sample = [(now[0] - then[0], now[1] - then[1]) for then, now in zip(before, look())]
        if min(cpu_ns for _, cpu_ns in sample) >= wanted_ns:
            break
        idle = any(packets == 0 for packets, _ in sample)
        if time.monotonic() > begin + (HANG_SECONDS if idle else 3 * seconds):
            break
    sample = [(now[0] - then[0], now[1] - then[1]) for then, now in zip(before, look())]
    lost = not_forwarded(stats, subject.ask("stats")) if stats else 0
    subject.pause()
    if any(packets == 0 for packets, _ in sample):
        raise LabError(f"{subject.name}: a worker carried no packets: {subject.last_words()}")
    return sample, lost


def rows_of(samples: dict[tuple[int, ...], list[list[tuple[int, int]]]], lost: dict[tuple[int, ...], list[int]],
            tsc_hz: float, **what) -> list[Row]:
    """`samples`: cores of the workers → runs, each with (packets, cpu_ns) of each worker."""
    rows = []
    for cores, runs in samples.items():
        common = dict(what, workers=len(cores), note=NOTE)
        rows.append(row([cycles_per_packet(run, tsc_hz) for run in runs], "cycles/packet", **dict(common, what="cost")))
        if len(set(cores)) == len(cores):
            rows.append(row([rate_mpps(run) for run in runs], "Mpps", **dict(common, what="rate of all workers")))
        if cores in lost:
            rows.append(row([float(n) for n in lost[cores]], "packets lost", **dict(common, what="workers")))
    pairs = zip(samples.get(ONE, []), samples.get(TWO, []))
    ratios = [rate_mpps(two) / rate_mpps(one) for one, two in pairs]
    if ratios:
        rows.append(row(ratios, "ratio", **dict(what, workers=2, note=NOTE, what="two workers beside one")))
    return rows


def cases(quick: bool) -> list[tuple[int, tuple[tuple[int, ...], ...]]]:
    """(flows, crews)."""
    if quick:
        return [(100_000, (ONE, TWO)), (10_000, (MORE_THAN_CORES,))]
    return [(10_000, (ONE, TWO, MORE_THAN_CORES)), (1_000_000, (ONE, TWO))]


def run_case(flows: int, crews: tuple[tuple[int, ...], ...], scratch: Path, runs: int, seconds: float,
             has_testpmd: bool, progress) -> list[Row]:
    traffic = Traffic(flows=flows, steered=True)
    subjects = {cores: Sluice(scratch, traffic, cores=cores, name=f"sluice-{len(cores)}-workers") for cores in crews}
    controls = {cores: Testpmd(scratch, traffic, f"testpmd-{len(cores)}-cores", cores)
                for cores in crews if has_testpmd and cores != MORE_THAN_CORES}
    samples: dict[tuple[int, ...], list] = {cores: [] for cores in crews}
    control_samples: dict[tuple[int, ...], list] = {cores: [] for cores in controls}
    lost: dict[tuple[int, ...], list[int]] = {cores: [] for cores in crews}
    everyone = [*subjects.values(), *controls.values()]
    with hugepages.reserved(sum(s.memory_mb() // 2 + 16 for s in everyone)), Comparison(everyone, progress):
        for control in controls.values():
            control.set_mode(CONTROL_MODE)
        for number in range(runs):
            progress(f"{flows:,} flows, up to {len(crews[-1])} workers: run {number + 1} of {runs}")
            for cores, subject in subjects.items():
                sample, count = measure(subject, seconds)
                samples[cores].append(sample)
                lost[cores].append(count)
            for cores, control in controls.items():
                control_samples[cores].append(measure(control, seconds)[0])
        first = subjects[crews[0]]
        common = dict(device=first.device, bytes=traffic.bytes, flows=flows, variant=f"{traffic.variant} steered")
        return (rows_of(samples, lost, first.tsc_hz, who="sluice", mode="nat", **common)
                + rows_of(control_samples, {}, first.tsc_hz, who="testpmd", mode=CONTROL_MODE, **common))


def run(scratch: Path, quick: bool, runs: int, peers: set[str], progress) -> list[Row]:
    rows: list[Row] = []
    for flows, crews in cases(quick):
        rows += run_case(flows, crews, scratch, runs, 0.4 if quick else 1.0, "testpmd" in peers, progress)
    return rows
