"""Stages: what perf/pipeline_bench and perf/flow_bench measure, as rows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from sluicelab import hugepages
from sluicelab.shell import LabError, binary

from .rows import Row, row

FLOWS = (10_000, 1_000_000)
PAGES = 300  # for the tables of a million flows of both families
HEADING = re.compile(r"^(?:(?P<family>IPv\d), )?(?P<flows>\d+) flows")
PIPELINE_LINE = re.compile(r"^  (?P<name>.+?)\s+median\s+(?P<median>[\d.]+)\s+best\s+(?P<best>[\d.]+)$")
FLOW_LINE = re.compile(r"^  (?P<name>.+?)\s+median\s+[\d.]+ ns\s+(?P<median>[\d.]+) cycles"
                       r"\s+best\s+[\d.]+ ns\s+(?P<best>[\d.]+) cycles$")


def parse(text: str) -> dict[tuple[str, int, str], tuple[float, float]]:
    """A benchmark's output as {(family, flows, name): (median, best twentieth)} in cycles."""
    found: dict[tuple[str, int, str], tuple[float, float]] = {}
    family, flows = "IPv4", 0
    for line in text.splitlines():
        if heading := HEADING.match(line):
            family, flows = heading["family"] or "IPv4", int(heading["flows"])
        elif match := FLOW_LINE.match(line) or PIPELINE_LINE.match(line):
            found[family, flows, match["name"]] = (float(match["median"]), float(match["best"]))
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
        best = min(each[key][1] for each in repeats)
        rows.append(row([each[key][0] for each in repeats], "cycles", what="stage", who="sluice",
                        device=bench, bytes="64" if bench == "pipeline_bench" else "", flows=flows,
                        mode=name, workers=1, variant=family, note=f"best {best:.1f}"))
    return rows


def run(scratch: Path, quick: bool, runs: int, peers: set[str], progress) -> list[Row]:
    rows: list[Row] = []
    flows = FLOWS[1:] if quick else FLOWS
    with hugepages.reserved(PAGES):
        for bench in ("pipeline_bench", "flow_bench"):
            repeats = []
            for number in range(1 if quick else runs):
                progress(f"{bench}: run {number + 1}")
                repeats.append(run_bench(bench, flows))
            rows += rows_of(bench, repeats)
    return rows
