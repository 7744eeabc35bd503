"""Compiling: time and memory of a snapshot against the size of the configuration (perf/compile_bench)."""

from __future__ import annotations

import json
import subprocess

from sluicelab.shell import LabError, binary

from .rows import Row, row

BACKENDS = 100  # of each pool
# (listeners, pools): up to the 65,535 backends that ids can name.
SIZES = ((10, 10), (100, 100), (1000, 100), (1000, 655))
CHANGES = (("full", "all tables new"), ("weights", "every weight"), ("weight", "one weight"), ("down", "one backend down"))


def rows_of(report: dict, listeners: int, pools: int) -> list[Row]:
    where = dict(who="sluice", device="cpu", bytes="", flows=0, workers=0,
                 variant=f"{listeners} listeners, {pools} pools x {BACKENDS}")
    rows = [row(report[key], "ms", what="compile", mode=mode, **where) for key, mode in CHANGES]
    rows.append(row([report["snapshot_bytes"] / 1e6], "MB", what="snapshot memory", mode="all tables new", **where))
    rows.append(row([report["weight_bytes"] / 1e6], "MB", what="snapshot memory", mode="one weight", **where,
                    note="what a snapshot does not share with the one before"))
    return rows


def run(quick: bool, runs: int, progress) -> list[Row]:
    rows: list[Row] = []
    for listeners, pools in ((10, 10), (1000, 100)) if quick else SIZES:
        progress(f"compiling {listeners} listeners, {pools} pools x {BACKENDS} backends")
        command = [binary("perf/compile_bench"), str(runs), str(listeners), str(pools), str(BACKENDS)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise LabError(f"compile_bench failed: {done.stderr.strip()[-200:]}")
        rows += rows_of(json.loads(done.stdout), listeners, pools)
    return rows
