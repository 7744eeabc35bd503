"""Hugepages (2 MB): reserve what is missing, give back exactly what was added.

Several programs may hold reservations at once. A ledger under /run says who added how many pages.
It is changed under a file lock, and what processes added that are gone is given back by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from sluicelab.processes import start_time
from sluicelab.shell import LabError

LEDGER = Path("/run/sluice-hugepages.json")
POOL = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")


def _count(name: str) -> int:
    return int((POOL / name).read_text())


def _set_total(pages: int) -> None:
    (POOL / "nr_hugepages").write_text(str(max(0, pages)))


def _open_locked() -> TextIO:
    """The ledger's file under an exclusive lock; it is removed whenever it becomes empty."""
    while True:
        file = open(LEDGER, "a+", encoding="ascii")
        fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(LEDGER)):
                return file
        file.close()  # somebody removed it between open and lock


@contextlib.contextmanager
def _ledger() -> Iterator[dict[str, dict]]:
    """The entries {pid: {started, added}} of live processes, locked; written back on exit."""
    with _open_locked() as file:
        file.seek(0)
        entries = json.loads(file.read() or "{}")
        for pid in list(entries):
            if start_time(int(pid)) != entries[pid]["started"]:
                _set_total(_count("nr_hugepages") - entries.pop(pid)["added"])
        try:
            yield entries
        finally:
            file.truncate(0)
            file.write(json.dumps(entries))
            if not entries:
                LEDGER.unlink()


def _grow_to(total: int) -> None:
    """The kernel may need several attempts: it must first move what is in the way."""
    for attempt in range(5):
        _set_total(total)
        if _count("nr_hugepages") >= total:
            return
        Path("/proc/sys/vm/compact_memory").write_text("1")
        if attempt == 1:
            os.sync()
            Path("/proc/sys/vm/drop_caches").write_text("1")
        time.sleep(0.2)


def reserve(pages: int, pid: int | None = None) -> int:
    """Makes sure that `pages` pages are there for process `pid` (default: this one).

    Returns how many were added. Free pages count only while nobody else holds a reservation: they
    may be spoken for. Fails, leaving nothing behind, when the machine has not enough memory.
    """
    pid = pid or os.getpid()
    with _ledger() as entries:
        others = [entry for owner, entry in entries.items() if owner != str(pid)]
        before, free = _count("nr_hugepages"), _count("free_hugepages")
        missing = pages if others else max(0, pages - free)
        if missing:
            _grow_to(before + missing)
        got = _count("nr_hugepages") - before
        if got < missing:
            _set_total(before)
            raise LabError(
                f"cannot reserve {pages} hugepages of 2 MB: {missing} are missing and the machine "
                f"gave {max(0, got)}; free some memory or reserve them at boot")
        held = entries.get(str(pid), {}).get("added", 0)
        entries[str(pid)] = {"started": start_time(pid), "added": held + missing}
        return missing


def release(pid: int | None = None) -> None:
    """Gives back what `pid` added. Pages still in use go back when their user ends."""
    with _ledger() as entries:
        entry = entries.pop(str(pid or os.getpid()), None)
        if entry and entry["added"]:
            _set_total(_count("nr_hugepages") - entry["added"])


def hand_over(to_pid: int) -> None:
    """What this process holds belongs to `to_pid` from now on, and goes back when that one ends."""
    with _ledger() as entries:
        entry = entries.pop(str(os.getpid()), None)
        if entry:
            entries[str(to_pid)] = {"started": start_time(to_pid), "added": entry["added"]}


@contextlib.contextmanager
def reserved(pages: int) -> Iterator[int]:
    """reserve() for the time of a `with` block."""
    added = reserve(pages)
    try:
        yield added
    finally:
        release()
