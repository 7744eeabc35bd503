"""Subject: a program that carries packets from the source's port 0 to port 1 and back, on one core.

All subjects of a comparison are started and warm before the first measurement; all but the one
that is measured are stopped (SIGSTOP), so that A/B/A/B costs no restarts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from sluicelab.shell import LabError

from . import machine
from .source import RUNNING, read_status

WORKER_THREADS = r"(rte|lcore)-worker"
WARM_SECONDS_MAX = 120
PATIENCE_SECONDS = 30


def await_true(done: Callable[[], bool], what: str) -> None:
    """Looks now and then. Fails when a program that should be quick is not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not after {PATIENCE_SECONDS} s")
        time.sleep(0.02)


class Subject:
    who = ""
    mode = ""
    device = "null+source"
    threads = WORKER_THREADS
    process: subprocess.Popen | None = None

    def __init__(self, scratch: Path, name: str) -> None:
        self.name, self.scratch = name, scratch
        self.status = scratch / f"{name}.status"
        self.log = scratch / f"{name}.log"
        self.status.unlink(missing_ok=True)

    # What each kind of subject answers for itself.
    def start(self) -> None:
        raise NotImplementedError

    def check(self) -> None:
        """Fails when packets since the last resume() were not carried."""

    def prepare(self) -> None:
        """Called each time before it is measured."""

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def pid(self) -> int:
        return self.process.pid

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def last_words(self) -> str:
        said = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = said.strip().splitlines()
        return "; ".join(lines[-3:]) or "it said nothing"

    def warm(self) -> None:
        """Waits until every flow is answered and was used once: until a TCP client acknowledges,
        its flow lives for seconds only."""
        deadline = time.monotonic() + WARM_SECONDS_MAX
        while True:
            state = read_status(self.status)
            if state and state.phase == RUNNING and state.packets >= self.traffic.round_packets:
                return
            if self.process.poll() is not None:
                raise LabError(f"{self.name} ended while it was warming up: {self.last_words()}")
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} is not warm after {WARM_SECONDS_MAX} s: {state}; "
                               f"{self.last_words()}")
            time.sleep(0.02)

    def packets(self) -> int:
        return read_status(self.status).packets

    def measure(self, seconds: float) -> tuple[int, int]:
        """(packets, nanoseconds on the CPU) of `seconds` CPU-seconds, or three times that long."""
        self.resume()
        self.prepare()
        time.sleep(0.15)
        if self.process.poll() is not None:
            raise LabError(f"{self.name} ended with status {self.process.returncode}: "
                           f"{self.last_words()}")
        tids = machine.thread_ids(self.pid, self.threads)
        if not tids:
            raise LabError(f"{self.name} has no worker thread: {self.last_words()}")
        cpu, packets = machine.cpu_ns(self.pid, tids), self.packets()
        deadline = time.monotonic() + 3 * seconds
        while machine.cpu_ns(self.pid, tids) - cpu < seconds * 1e9 and time.monotonic() < deadline:
            time.sleep(0.02)
        used, carried = machine.cpu_ns(self.pid, tids) - cpu, self.packets() - packets
        self.check()
        self.pause()
        if carried == 0:
            raise LabError(f"{self.name} carried no packets: {self.last_words()}")
        return carried, used
