"""Running commands: one place that turns a failed command into one clear line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


class LabError(Exception):
    """Something that the user must know about, in one line."""


def build_dir() -> Path:
    """Where the binaries are: $SLUICE_BUILD or build/ of the repository."""
    return Path(os.environ.get("SLUICE_BUILD", REPOSITORY / "build")).resolve()


def binary(relative: str) -> str:
    """Path of a built program, for example "tests/e2e/tools/bulk"."""
    path = build_dir() / relative
    if not path.is_file():
        raise LabError(f"{path} is not there: run scripts/build first")
    return str(path)


def need_root() -> None:
    if os.geteuid() != 0:
        raise LabError("needs root (network namespaces): run it again with sudo")


def run(*command: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess:
    """Runs to the end, text output captured; LabError with the command's own words on failure."""
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
    if check and done.returncode != 0:
        words = "; ".join((done.stderr or done.stdout).strip().splitlines()[-2:])
        raise LabError(f"{' '.join(command)}: {words or 'failed'}")
    return done


def exit_on_signals() -> None:
    """SIGTERM and SIGHUP unwind the stack like Ctrl-C does, so that every cleanup runs."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def uninterrupted() -> None:
    """From here on signals are ignored: the cleanup itself must not be cut short."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
