"""Swaps: prepared snapshots published under full load. Connections come and go and established ones are used all the
while; each snapshot is marked in three of its tables, and every new connection shows which snapshot each of them was
read from (DutSnapshots::next_marked)."""

from __future__ import annotations

from pathlib import Path

from sluicelab.shell import LabError

from . import compiling, weights
from .churn import ChurnSluice
from .connections import Case, strict
from .rows import Row, percentile, row

SWAPS_PER_SECOND = 1000
SHARES = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))


def one_run(subject: ChurnSluice, swaps: int) -> dict:
    """Publishes; afterwards every packet is accounted for, and every established connection is tried."""
    before = subject.sample()
    subject.ask("churn churn")
    answer = subject.ask(f"swaps {swaps} {SWAPS_PER_SECOND}")
    end = subject.settle()
    if answer["timeouts"]:
        raise LabError(f"{answer['timeouts']} of {swaps} swaps were not acknowledged within 2 s")
    done = strict(end.since(before))
    answer["packets"], answer["cpu_ns"] = done.churn["packets"], done.cpu_ns
    answer["lost"] = done.churn["packets"] - done.churn["seen"]
    answer["broken"] = subject.harmed()
    answer["mixed"] = end.churn["mixed"]
    return answer


def rows_of(answers: list[dict], **what) -> list[Row]:
    """Delays of all swaps, and of those during which every worker kept its core."""
    calm = [[delay for delay, stolen in zip(a["delays_us"], a["stolen_us"]) if stolen == 0] for a in answers]
    rows = []
    for name, share in SHARES:
        rows.append(row([percentile(a["delays_us"], share) for a in answers], "us",
                        **dict(what, what="swap", mode=f"acknowledged {name}",
                               note="with the time that the kernel gave a worker's core to others")))
        if all(calm):
            rows.append(row([percentile(each, share) for each in calm], "us",
                            **dict(what, what="swap", mode=f"acknowledged {name}, core kept",
                                   note="swaps during which no worker waited for its core (schedstat)")))
    interrupted = [100 * (1 - len(each) / len(a["delays_us"])) for each, a in zip(calm, answers)]
    rows.append(row(interrupted, "% of swaps", **dict(what, what="swap", mode="a worker waited for its core")))
    for key, unit in (("lost", "packets lost"), ("broken", "connections broken"), ("mixed", "mixed reads")):
        rows.append(row([float(a[key]) for a in answers], unit, **dict(what, what="swap", mode="nat")))
    rows.append(row([a["packets"] / a["cpu_ns"] * 1e3 for a in answers], "Mpps/CPU-second",
                    **dict(what, what="swap", mode="nat", note="meanwhile, source included")))
    return rows


def run(scratch: Path, quick: bool, runs: int, peers: set[str], progress) -> list[Row]:
    rows: list[Row] = []
    for listeners in ((100,) if quick else (1, 100, 1000)):
        subject = ChurnSluice(scratch, 100_000, 1 << 20, ending_ticks=2, listeners=listeners, pings=20)
        progress(f"{listeners} listeners x 100 backends: starting")
        with Case(subject):
            subject.fill()
            answers = []
            for number in range(runs):
                progress(f"{listeners} listeners x 100 backends: swaps, run {number + 1} of {runs}")
                answers.append(one_run(subject, 1000 if quick else 2000))
        if lost := [a for a in answers if a["lost"] or a["broken"] or a["mixed"]]:
            raise LabError("swaps were not clean: " + ", ".join(
                f"{a['lost']} packets lost, {a['broken']} connections broken, {a['mixed']} mixed reads" for a in lost))
        rows += rows_of(answers, who="sluice", device=subject.device, bytes="64", flows=subject.live, workers=1,
                        variant=f"{listeners} x 100 backends")
    rows += compiling.run(quick, runs, progress)
    rows += weights.run(scratch, quick, runs, progress)
    return rows
