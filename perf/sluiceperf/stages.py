"""Stages: what perf/pipeline_bench, flow_bench and stage_bench measure, as rows; and the instructions of each step,
which callgrind counts and which repeat exactly."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from sluicelab import hugepages
from sluicelab.shell import LabError, binary

from . import machine
from .rows import Row, row

FLOWS = (10_000, 1_000_000)
PAGES = 300  # for the tables of a million flows of both families
HEADING = re.compile(r"^(?:(?P<family>IPv\d), )?(?P<flows>\d+) flows")
PIPELINE_LINE = re.compile(r"^  (?P<name>.+?)\s+median\s+(?P<median>[\d.]+)\s+best\s+(?P<best>[\d.]+)$")
FLOW_LINE = re.compile(r"^  (?P<name>.+?)\s+median\s+(?P<ns>[\d.]+) ns\s+(?P<median>[\d.]+) cycles"
                       r"\s+best\s+[\d.]+ ns\s+(?P<best>[\d.]+) cycles$")
COUNTED = re.compile(r"^\s*([\d,]+) .*?:(collect_\w+)", re.MULTILINE)


class Cost(NamedTuple):
    """Cycles: the median of a run and its best twentieth; the median in nanoseconds where printed."""

    median: float
    best: float
    ns: float | None = None


def parse(text: str) -> dict[tuple[str, int, str], Cost]:
    """A benchmark's output by (family, flows, name)."""
    found: dict[tuple[str, int, str], Cost] = {}
    family, flows = "IPv4", 0
    for line in text.splitlines():
        if heading := HEADING.match(line):
            family, flows = heading["family"] or "IPv4", int(heading["flows"])
        elif match := FLOW_LINE.match(line) or PIPELINE_LINE.match(line):
            ns = float(match["ns"]) if "ns" in match.groupdict() else None
            found[family, flows, match["name"]] = Cost(float(match["median"]), float(match["best"]), ns)
    return found


def run_bench(name: str, flows: tuple[int, ...]) -> dict:
    done = subprocess.run([binary(f"perf/{name}"), *map(str, flows)], capture_output=True, text=True)
    found = parse(done.stdout)
    if done.returncode != 0 or not found:
        raise LabError(f"{name} failed: {(done.stderr or done.stdout).strip()[-200:]}")
    return found


def rows_of(bench: str, repeats: list[dict]) -> list[Row]:
    """Median over the runs' medians; the note has the best twentieth of the best run."""
    rows = []
    for key in repeats[0]:
        family, flows, name = key
        costs = [each[key] for each in repeats]
        common = dict(what="stage", who="sluice", device=bench, flows=flows, mode=name, workers=1,
                      bytes="64" if bench == "pipeline_bench" else "", variant=family)
        rows.append(row([cost.median for cost in costs], "cycles",
                        note=f"best {min(cost.best for cost in costs):.1f}", **common))
        if costs[0].ns is not None:
            rows.append(row([cost.ns for cost in costs], "ns", **common))
    return rows


def parse_counts(operations: str, annotated: str) -> dict[str, float]:
    """Instructions per operation by step, from what stage_bench --count and callgrind_annotate print."""
    counts = {match[2]: int(match[1].replace(",", "")) for match in COUNTED.finditer(annotated)}
    found = {}
    for line in operations.splitlines():
        symbol, number, name = line.split(" ", 2)
        if symbol not in counts:
            raise LabError(f"callgrind saw nothing of {symbol}")
        found[name] = counts[symbol] / int(number)
    return found


def instructions(scratch: Path) -> list[Row]:
    machine.need_program("valgrind")
    out = scratch / "callgrind.out"
    program = [binary("perf/stage_bench"), "--count"]
    ran = subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=collect_*", f"--callgrind-out-file={out}",
                          "-q", *program], capture_output=True, text=True)
    if ran.returncode != 0:
        raise LabError(f"stage_bench under valgrind failed: {ran.stderr.strip()[-200:]}")
    told = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", str(out)], capture_output=True,
                          text=True)
    return [row([count], "instructions", what="stage", who="sluice", device="stage_bench", bytes="", flows=0, mode=name,
                workers=1, variant="callgrind", note="repeats exactly")
            for name, count in parse_counts(ran.stdout, told.stdout).items()]


def run(scratch: Path, quick: bool, runs: int, peers: set[str], progress) -> list[Row]:
    rows: list[Row] = []
    flows = FLOWS[1:] if quick else FLOWS
    with hugepages.reserved(PAGES):
        for bench in ("pipeline_bench", "flow_bench", "stage_bench"):
            repeats = []
            for number in range(1 if quick else runs):
                progress(f"{bench}: run {number + 1}")
                repeats.append(run_bench(bench, flows[-1:] if bench == "stage_bench" else flows))
            rows += rows_of(bench, repeats)
        progress("counting instructions (callgrind)")
        rows += instructions(scratch)
    return rows
