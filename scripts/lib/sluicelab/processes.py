"""Processes that we started: recorded by pid and start time, ended by that, never by name."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path


def start_time(pid: int) -> int | None:
    """Start time in clock ticks since boot: with the pid it names a process. None: gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class Processes:
    """Named daemons, each the leader of a session of its own, recorded in a file."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._children: list[subprocess.Popen] = []  # reaped in _reap(), where we are the parent

    def _load(self) -> dict[str, dict]:
        try:
            return json.loads(self._record.read_text())
        except FileNotFoundError:
            return {}

    def _store(self, entries: dict[str, dict]) -> None:
        draft = self._record.with_suffix(".new")
        draft.write_text(json.dumps(entries, indent=1))
        draft.replace(self._record)

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]

    def _wait_for_last_thread(self, pid: int) -> None:
        """A killed leader shows as a zombie while its threads still hold files and locks."""
        for child in self._children:
            if child.pid == pid:
                child.wait()

    def start(self, name: str, command: list[str], log: Path, env: dict | None = None) -> int:
        """Starts `command` with its output appended to `log`; the pid. Replaces a dead namesake."""
        with open(log, "ab") as output:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                     stderr=output, start_new_session=True, env=env)
        self._children.append(child)
        entries = self._load()
        entries[name] = {"pid": child.pid, "started": start_time(child.pid)}
        self._store(entries)
        return child.pid

    def pid(self, name: str) -> int | None:
        """The pid while it lives."""
        self._reap()
        entry = self._load().get(name)
        if entry is None or start_time(entry["pid"]) != entry["started"]:
            return None
        return entry["pid"]

    def names(self) -> list[str]:
        return list(self._load())

    def stop(self, name: str, number: int = signal.SIGTERM, patience_s: float = 5.0) -> None:
        """Ends it and its children: `number` first, SIGKILL when it stays. Unknown: nothing."""
        pid = self.pid(name)
        if pid is not None:
            self._signal_group(pid, number)
            deadline = time.monotonic() + patience_s
            while self.pid(name) is not None and time.monotonic() < deadline:
                time.sleep(0.01)
            self._signal_group(pid, signal.SIGKILL)  # the rest of the group, or what does not go
            while self.pid(name) is not None:
                time.sleep(0.01)
            self._wait_for_last_thread(pid)
        entries = self._load()
        if entries.pop(name, None) is not None:
            self._store(entries)

    @staticmethod
    def _signal_group(pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
