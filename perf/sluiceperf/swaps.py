"""Swaps: prepared snapshots published under full load; nothing may be lost or decided otherwise."""

from __future__ import annotations

from pathlib import Path

from sluicelab import hugepages
from sluicelab.shell import LabError

from .cost import Comparison
from .rows import Row, percentile, row
from .sluice import FORWARDED, Sluice
from .source import Traffic

SWAPS_PER_SECOND = 1000


def one_run(subject: Sluice, swaps: int) -> dict:
    """Publishes; afterwards every packet that came is accounted for, and no flow was lost."""
    before = subject.ask("stats")["workers"]
    answer = subject.ask(f"swaps {swaps} {SWAPS_PER_SECOND}")
    after = subject.ask("stats")["workers"]
    if answer["timeouts"]:
        raise LabError(f"{answer['timeouts']} of {swaps} swaps were not acknowledged within 2 s")
    other = sum(count for worker in after for name, count in worker["verdicts"].items()
                if name not in FORWARDED)
    answer["lost"] = other
    answer["broken"] = sum(then["flows"] - now["flows"] for then, now in zip(before, after))
    answer["packets"] = sum(now["rx"] - then["rx"] for then, now in zip(before, after))
    return answer


def rows_of(answers: list[dict], **what) -> list[Row]:
    delays = [answer["delays_us"] for answer in answers]
    rows = []
    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        rows.append(row([percentile(each, share) for each in delays], "us",
                        **dict(what, what="swap", mode=f"acknowledged {name}")))
    rows.append(row([float(a["lost"]) for a in answers], "packets lost", **dict(what, what="swap", mode="nat")))
    rows.append(row([float(a["broken"]) for a in answers], "flows broken", **dict(what, what="swap", mode="nat")))
    rows.append(row([percentile(a["prepare_us"], 0.5) for a in answers], "us",
                    **dict(what, what="snapshot copy with new weights", mode="")))
    return rows


def run(scratch: Path, quick: bool, runs: int, peers: set[str], progress) -> list[Row]:
    rows: list[Row] = []
    for listeners in ((1,) if quick else (1, 100, 1000)):
        traffic = Traffic(flows=100_000, listeners=listeners)
        subject = Sluice(scratch, traffic, listeners=listeners)
        with hugepages.reserved(subject.memory_mb() // 2 + 16), Comparison([subject], progress):
            subject.resume()
            answers = []
            for number in range(runs):
                progress(f"{listeners} listeners x 100 backends: run {number + 1} of {runs}")
                answers.append(one_run(subject, 500 if quick else 2000))
            subject.pause()
        rows += rows_of(answers, who="sluice", device=subject.device, bytes="64", flows=traffic.flows,
                        workers=1, variant=f"{listeners} x 100 backends")
    return rows
