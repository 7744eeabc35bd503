"""perf/compare: the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from sluicelab.shell import LabError, exit_on_signals, need_root

from . import commits, compare, report
from .cli import Progress, scenario_names
from .rows import Row

ABOUT = """The same figures before and after a change, and which of them differ by more than they
spread. Both sides are reports (report.json or its folder), or both are commits, "." being this tree
as it is: these are built and measured here, in turn."""


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="perf/compare", description=ABOUT)
    parser.add_argument("before", metavar="BEFORE", help="a report, or a commit")
    parser.add_argument("after", metavar="AFTER", help="a report, or a commit, or .")
    parser.add_argument("--all", action="store_true", help="show also what is within the spread")
    of_commits = parser.add_argument_group("when commits are measured")
    of_commits.add_argument("--scenario", default="cost", choices=scenario_names(),
                            help="what to measure (default %(default)s)")
    of_commits.add_argument("--full", action="store_true",
                            help="every case, not only those of --quick")
    of_commits.add_argument("--runs", type=int, default=5, help="turns (default %(default)s)")
    of_commits.add_argument("--peers", default="testpmd",
                            help="measured in each turn too (default %(default)s; none)")
    options = parser.parse_args(argv)
    if options.runs < 1:
        parser.error("--runs: at least 1")
    return options


def is_report(name: str) -> bool:
    path = Path(name)
    return path.is_file() or (path / "report.json").is_file()


def sides(options: argparse.Namespace) -> tuple[list[Row], list[Row]]:
    given = [is_report(name) for name in (options.before, options.after)]
    if all(given):
        return report.load(Path(options.before)), report.load(Path(options.after))
    if any(given):
        raise LabError("compare two reports or two commits, not one with the other")
    need_root()
    exit_on_signals()
    arguments = [options.scenario, "--peers", options.peers, *([] if options.full else ["--quick"])]
    return commits.measure(options.before, options.after, arguments, options.runs, Progress())


def main(argv: list[str]) -> int:
    options = parse(argv)
    progress = Progress()
    try:
        before, after = sides(options)
    except LabError as error:
        progress(f"perf/compare: {error}", keep=True)
        return 1
    except KeyboardInterrupt:
        progress("perf/compare: interrupted", keep=True)
        return 130
    if not compare.compare(before, after):
        progress("perf/compare: the two have no figure in common", keep=True)
        return 1
    print(compare.text(before, after, options.all))
    return 0
