"""The machine: CPU time of threads, the TSC, the load beside us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from sluicelab.shell import LabError


_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def start(command: Sequence[str], **options: object) -> subprocess.Popen:
    """A program that never outlives this one, even one that is paused (prctl(2))."""
    return subprocess.Popen(
        command, preexec_fn=lambda: _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL), **options)


def thread_ids(pid: int, name: str) -> list[int]:
    """Threads of `pid` whose name matches the pattern."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        if re.match(name, (task / "comm").read_text()):
            found.append(int(task.name))
    return sorted(found)


def cpu_ns(pid: int, tids: list[int]) -> int:
    """Nanoseconds that these threads were on a CPU."""
    return sum(int(Path(f"/proc/{pid}/task/{tid}/schedstat").read_text().split()[0]) for tid in tids)


def waited_ns(pid: int, tids: list[int]) -> int:
    """Nanoseconds that these threads were ready to run while others had their core."""
    return sum(int(Path(f"/proc/{pid}/task/{tid}/schedstat").read_text().split()[1]) for tid in tids)


@contextlib.contextmanager
def preferred() -> Iterator[None]:
    """This program and what it starts go before whatever else runs here. Where the kernel shares the cores
    among sessions (sched_autogroup), a nice value counts inside a session only: the session has its own."""
    session, own = Path("/proc/self/autogroup"), os.getpriority(os.PRIO_PROCESS, 0)
    before = session.read_text().split()[-1] if session.exists() else None
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    if before:
        session.write_text("-20")
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, own)
        if before:
            session.write_text(before)


def stolen_ticks() -> int:
    """Clock ticks that the hypervisor gave to others, of all cores since boot."""
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8])


def description() -> dict:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": model[1] if model else "unknown",
        "cores": os.cpu_count(),
        "kernel": os.uname().release,
        "load": round(os.getloadavg()[0], 1),
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
        "commit": commit(),
    }


def commit() -> str:
    """The commit that the tree stands on, with + when it was changed since."""
    here = Path(__file__).parent
    run = lambda *args: subprocess.run(("git", "-C", str(here), *args), capture_output=True, text=True)
    head = run("rev-parse", "--short", "HEAD")
    if head.returncode != 0:
        return "unknown"
    changed = run("status", "--porcelain", "--untracked-files=no").stdout.strip()
    return head.stdout.strip() + ("+" if changed else "")


def need_program(program: str) -> None:
    """Fails with the command that installs it."""
    if subprocess.run(("which", program), capture_output=True).returncode != 0:
        raise LabError(f"{program} is not installed: run scripts/setup --perf")
