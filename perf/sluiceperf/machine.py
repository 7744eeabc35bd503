"""The machine: CPU time of threads, the TSC, the load beside us."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from sluicelab.shell import LabError


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


def description() -> dict:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": model[1] if model else "unknown",
        "cores": os.cpu_count(),
        "kernel": os.uname().release,
        "load": os.getloadavg()[0],
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
