"""perf/run: the command line."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import textwrap
import time
from pathlib import Path

from sluicelab.shell import LabError, REPOSITORY, exit_on_signals, need_root

from . import (
    connections, control, cost, latency, machine, rate, report, stages, swaps, veth, workers)
from .rows import Row, table

OUT = REPOSITORY / "perf" / "out"
SCENARIOS = {"cost": cost.run, "veth": veth.run, "workers": workers.run, "rate": rate.run,
             "latency": latency.run, "connections": connections.run, "swaps": swaps.run,
             "control": control.run, "stages": stages.run}
PEERS = ("testpmd", "ovs", "nftables", "haproxy")


def scenario_names() -> list[str]:
    return list(SCENARIOS)


class Progress:
    """One line that says what is going on; kept lines on a terminal that cannot rewrite."""

    def __init__(self) -> None:
        self.rewrites, self.began = sys.stderr.isatty(), time.monotonic()

    def __call__(self, text: str, keep: bool = False) -> None:
        line = f"[{time.monotonic() - self.began:4.0f} s] {text}"
        if self.rewrites and not keep:
            print(f"\r\033[K{line[:110]}", end="", file=sys.stderr, flush=True)
        else:
            print(("\r\033[K" if self.rewrites else "") + line, file=sys.stderr, flush=True)


def scenario_help() -> str:
    """What each scenario measures: the first sentence of its module."""
    lines = ["scenarios:"]
    for name, scenario in SCENARIOS.items():
        about = " ".join(sys.modules[scenario.__module__].__doc__.split())
        sentence = about.removeprefix(f"{name.capitalize()}: ").removeprefix(f"{name}: ")
        lines.append(textwrap.fill(re.split(r"[.:;] ", sentence)[0].rstrip("."), 96,
                                   initial_indent=f"  {name:12}", subsequent_indent=" " * 14))
    return "\n".join(lines)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="perf/run", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="How fast Sluice is beside its peers on this machine. Writes report.json, "
                    "report.html and profile.html.", epilog=scenario_help())
    parser.add_argument("scenario", nargs="?", default="all", choices=[*scenario_names(), "all"])
    parser.add_argument("--quick", action="store_true",
                        help="fewer cases and shorter runs: under 3 minutes")
    parser.add_argument("--runs", type=int,
                        help="measurements of each thing (default 5; quick 3)")
    parser.add_argument("--peers", default=",".join(PEERS),
                        help="peers to measure beside, or none (default %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT,
                        help="where the report goes (default perf/out)")
    options = parser.parse_args(argv)
    if options.runs is None:
        options.runs = 3 if options.quick else 5
    if options.runs < 1:
        parser.error("--runs: at least 1")
    options.peers = set() if options.peers == "none" else set(options.peers.split(","))
    if unknown := options.peers - set(PEERS):
        parser.error(f"--peers: {', '.join(sorted(unknown))}: none, or some of {', '.join(PEERS)}")
    return options


def measure(names: list[str], options: argparse.Namespace, scratch: Path, progress: Progress
            ) -> tuple[list[Row], bool]:
    """The rows of all that could be measured, and whether everything could."""
    rows: list[Row] = []
    whole = True
    for name in names:
        progress(name, keep=True)
        try:
            made = SCENARIOS[name](scratch, options.quick, options.runs, options.peers, progress)
            for row in made:
                rows.append(row)  # one by one: what was measured before an error counts
        except LabError as error:
            progress(f"perf/run: {name}: {error}", keep=True)
            whole = False
    return rows, whole


def main(argv: list[str]) -> int:
    options = parse(argv)
    progress = Progress()
    names = scenario_names() if options.scenario == "all" else [options.scenario]
    try:
        need_root()
        exit_on_signals()
        facts = machine.description()
        with (machine.preferred(),
              tempfile.TemporaryDirectory(prefix="sluice-perf-", dir="/run") as scratch):
            rows, whole = measure(names, options, Path(scratch), progress)
            facts["load at the end"] = machine.description()["load"]
            page = report.write(options.out, facts, rows, Path(scratch)) if rows else None
    except LabError as error:
        progress(f"perf/run: {error}", keep=True)
        return 1
    except KeyboardInterrupt:
        progress("perf/run: interrupted, nothing written", keep=True)
        return 130
    except SystemExit as left:  # exit_on_signals()
        progress(f"perf/run: ended by signal {left.code - 128}, nothing written", keep=True)
        return left.code
    progress("done" if whole else "not everything could be measured", keep=True)
    if page:
        print(table(rows))
        print(f"\n{page}")
    return 0 if whole else 1
