"""The demo's clients: http_clients in the background, counted as their reports come in."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass, field

from sluicelab.lab import Lab
from sluicelab.shell import LabError, binary
from sluicelab.topology import CLIENTS_V4, VIRTUAL_V4


@dataclass
class Seen:
    """What clients saw in some time."""

    requests: int = 0
    failed: int = 0
    stacks: Counter = field(default_factory=Counter)
    backends: Counter = field(default_factory=Counter)

    def add(self, report: dict) -> None:
        self.requests += report["requests"]
        self.failed += report["failed"]
        self.stacks.update(report["stacks"])
        self.backends.update(report["backends"])

    def minus(self, before: Seen) -> Seen:
        return Seen(self.requests - before.requests, self.failed - before.failed,
                    self.stacks - before.stacks, self.backends - before.backends)

    def copy(self) -> Seen:
        return Seen(self.requests, self.failed, self.stacks.copy(), self.backends.copy())


class DemoLoad:
    def __init__(self, lab: Lab, kept: int, parallel: int, pause_ms: int) -> None:
        command = lab.within(
            "client", binary("tests/e2e/tools/http_clients"), "--to", VIRTUAL_V4, "--port", "80",
            "--from", CLIENTS_V4[0], "--kept", str(kept), "--parallel", str(parallel),
            "--pause-ms", str(pause_ms), "--progress-ms", "100", "--patience-ms", "5000",
            "--keep-records", "0")
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                         start_new_session=True)
        self._lock = threading.Lock()
        self._total = Seen()
        self._recent = Seen()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            report = json.loads(line)
            if "elapsed_s" not in report:  # the totals at the end
                continue
            with self._lock:
                self._total.add(report)
                self._recent = Seen()
                self._recent.add(report)

    def total(self) -> Seen:
        if self._process.poll() is not None:
            raise LabError(f"http_clients ended with code {self._process.returncode}")
        with self._lock:
            return self._total.copy()

    def recent(self) -> Seen:
        """The last 100 ms."""
        with self._lock:
            return self._recent.copy()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(timeout=5)
