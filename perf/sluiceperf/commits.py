"""Commits as the two sides of a comparison: each is built in a tree of its own and measured by its
own perf/run, turn by turn, so that a machine that becomes slower does so for both."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sluicelab.shell import LabError, REPOSITORY, run

from . import machine, report
from .rows import Row, merged


def resolve(name: str) -> str | None:
    """The full hash of a commit; None when there is none of this name."""
    done = run("git", "-C", str(REPOSITORY), "rev-parse", "--verify", "--quiet",
               f"{name}^{{commit}}", check=False)
    return done.stdout.strip() or None


@contextlib.contextmanager
def tree_of(name: str, folder: Path, progress) -> Iterator[Path]:
    """A built tree: this one for ".", else one of the commit, which goes away afterwards."""
    if name == ".":
        _build(REPOSITORY, [])
        yield REPOSITORY
        return
    commit = resolve(name)
    if commit is None:
        raise LabError(f"{name} is neither a report (report.json or its folder) nor a commit")
    tree = folder / f"tree-{commit[:12]}"
    run("git", "-C", str(REPOSITORY), "worktree", "add", "--detach", str(tree), commit)
    try:
        progress(f"building {name} ({commit[:12]})", keep=True)
        _build(tree, ["-Dtests=false"])
        yield tree
    finally:
        run("git", "-C", str(REPOSITORY), "worktree", "remove", "--force", str(tree), check=False)


def _build(tree: Path, options: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "SLUICE_BUILD"}
    done = subprocess.run([str(tree / "scripts" / "build"), str(tree / "build"), *options],
                          capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise LabError(f"{tree}: {(done.stderr or done.stdout).strip()[-300:]}")


def measure_once(tree: Path, arguments: list[str], out: Path) -> list[Row]:
    environment = {name: value for name, value in os.environ.items() if name != "SLUICE_BUILD"}
    command = [str(tree / "perf" / "run"), *arguments, "--runs", "1", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise LabError(f"{tree}: {(done.stderr or done.stdout).strip()[-300:]}")
    return report.load(out)


def measure(before: str, after: str, arguments: list[str], runs: int, progress
            ) -> tuple[list[Row], list[Row]]:
    """The rows of both, each with `runs` measurements. `arguments` are perf/run's."""
    with (tempfile.TemporaryDirectory(prefix="sluice-compare-", dir="/var/tmp") as folder,
          tree_of(before, Path(folder), progress) as first,
          tree_of(after, Path(folder), progress) as second):
        found: tuple[list[list[Row]], list[list[Row]]] = ([], [])
        with machine.preferred():  # also of a commit that did not see to it itself
            for number in range(runs):
                for name, tree, reports in ((before, first, found[0]), (after, second, found[1])):
                    progress(f"{name}: run {number + 1} of {runs}", keep=True)
                    reports.append(measure_once(tree, arguments, Path(folder) / "out"))
    return merged(found[0]), merged(found[1])
