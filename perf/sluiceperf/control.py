"""Control: what a busy control socket costs the workers. A real sluiced forwards generated packets; in every other turn
clients ask for 2,000 answers a second, and 200 others watch. One weight a second changes in all turns, so that there
is something to watch."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sluicelab.control import Control
from sluicelab.shell import LabError, binary

from . import machine, weights
from .rows import Row, row
from .sluice import FORWARDED
from .source import RUNNING, Traffic, plugin, read_status
from .subject import WARM_SECONDS_MAX, WORKER_THREADS

RATE, WATCHERS, ASKERS = 2000, 200, 16
METHODS = "status,config.get:pool,config.get:route,status"
MAIN_THREAD = "sluiced$"
TRAFFIC = Traffic(flows=10_000)
MAX_FLOWS = 1 << 15
SETTLE_SECONDS = 0.3


class Forwarding:
    """A sluiced that forwards: its socket, its worker's time and packets."""

    def __init__(self, socket: Path, status: Path) -> None:
        self.socket, self._status = socket, status
        with Control(socket) as control:
            self._pid = control.call("status")["pid"]
        self._workers = machine.thread_ids(self._pid, WORKER_THREADS)
        self._main = machine.thread_ids(self._pid, MAIN_THREAD)

    def warm(self) -> None:
        """Until each flow is answered, and was used once."""
        deadline = time.monotonic() + WARM_SECONDS_MAX
        while not ((state := read_status(self._status)) and state.phase == RUNNING
                   and state.packets >= TRAFFIC.round_packets):
            if time.monotonic() > deadline:
                raise LabError(f"sluiced is not warm after {WARM_SECONDS_MAX} s: {state}")
            time.sleep(0.05)

    def _look(self) -> tuple[int, int, int]:
        return (read_status(self._status).packets, machine.cpu_ns(self._pid, self._workers),
                machine.cpu_ns(self._pid, self._main))

    def _others(self) -> int:
        """Packets with another verdict than forward, so far."""
        with Control(self.socket) as control:
            verdicts = control.call("status")["verdicts"]
        return sum(count for name, count in verdicts.items() if name not in FORWARDED)

    def measure(self, seconds: float) -> tuple[float, float]:
        """(ns of the worker per packet, share of a core that the control thread took)."""
        others, before, begin = self._others(), self._look(), time.monotonic()
        with Control(self.socket) as control:
            for number in range(max(1, round(seconds))):
                control.call("route.weight", route="route-0", wait_ms=0, reason="perf/run control",
                             weights={"pool-0": 95 - number % 2, "pool-1": 5 + number % 2})
                time.sleep(min(1.0, seconds))
        packets, worker_ns, main_ns = (now - then for then, now in zip(before, self._look()))
        wall_ns = (time.monotonic() - begin) * 1e9
        if (lost := self._others() - others) > 0:
            raise LabError(f"{lost} packets were not forwarded")
        if packets == 0:
            raise LabError("the worker carried no packets")
        return worker_ns / packets, main_ns / wall_ns


class Crowd:
    """tests/e2e/tools/control_load, asking from start() to stop()."""

    def __init__(self, socket: Path) -> None:
        self._process = machine.start(
            [binary("tests/e2e/tools/control_load"), "--socket", str(socket), "--watchers", str(WATCHERS),
             "--askers", str(ASKERS), "--rate", str(RATE), "--methods", METHODS],
            stdout=subprocess.PIPE, text=True)
        if self._process.stdout.readline() != "ready\n":
            raise LabError("control_load does not start")

    def stop(self) -> dict:
        self._process.terminate()
        said = self._process.communicate(timeout=120)[0]
        if self._process.returncode != 0:
            raise LabError("control_load failed: a client was not served")
        report = json.loads(said)
        seen = [events.get("generation", 0) for events in report["events"]]
        if report["errors"] or min(seen) == 0 or min(seen) != max(seen):
            raise LabError(f"{report['errors']} errors; watchers saw {min(seen)} to {max(seen)} changes")
        return report


def config(folder: Path, state: Path) -> str:
    return weights.config(folder, state, listeners=10, pools=10, backends=10, forwards=True).replace(
        "max_flows = 4096", f"max_flows = {MAX_FLOWS}")


def measure_pairs(forwarding: Forwarding, runs: int, seconds: float, progress: Callable[[str], None]
                  ) -> tuple[list[tuple[float, float]], list[tuple[float, float]], list[dict]]:
    """Quiet and busy in turns, the first of each pair alternating; the crowd's reports."""
    quiet, busy, reports = [], [], []
    for number in range(runs):
        progress(f"control socket: pair {number + 1} of {runs}")
        for with_crowd in ((False, True), (True, False))[number % 2]:
            time.sleep(SETTLE_SECONDS)
            if with_crowd:
                crowd = Crowd(forwarding.socket)
                busy.append(forwarding.measure(seconds))
                reports.append(crowd.stop())
            else:
                quiet.append(forwarding.measure(seconds))
    return quiet, busy, reports


def rows_of(quiet: list[tuple[float, float]], busy: list[tuple[float, float]], reports: list[dict]) -> list[Row]:
    what = dict(who="sluice", device="null+source", bytes=TRAFFIC.bytes, flows=TRAFFIC.flows, workers=1,
                variant=f"{TRAFFIC.variant}, 10 listeners, 10 pools x 10")
    crowd = f"{RATE} requests/s, {WATCHERS} watchers"
    rows = [row([ns for ns, _ in each], "ns/packet", what="control socket", mode=mode,
                note="CPU time of the worker, source included", **what)
            for each, mode in ((quiet, "quiet"), (busy, crowd))]
    rows.append(row([with_it / without for (with_it, _), (without, _) in zip(busy, quiet)], "ratio",
                    what="worker's cost beside a quiet socket", mode=crowd, note="of pairs", **what))
    rows.append(row([100 * share for _, share in busy], "% of a core", what="control thread", mode=crowd, **what))
    for key, unit, mode in (("rate", "requests/s", "answered"), ("p50_ms", "ms", "answer p50"),
                            ("p99_ms", "ms", "answer p99")):
        rows.append(row([report[key] for report in reports], unit, what="control socket", mode=f"{crowd}, {mode}",
                        note="from when a request was due", **what))
    return rows


def run(scratch: Path, quick: bool, runs: int, peers: set[str], progress) -> list[Row]:
    folder = scratch / "control"
    folder.mkdir()
    status = folder / "source.status"
    environment = {"LD_PRELOAD": plugin(folder), "SLUICE_SOURCE": TRAFFIC.options(status, learns=True)}
    progress("control socket: starting sluiced")
    with (tempfile.TemporaryDirectory(prefix="sluice-perf-", dir=weights.DISK) as state,
          weights.sluiced(folder, config(folder, Path(state)), environment) as socket):
        forwarding = Forwarding(socket, status)
        forwarding.warm()
        return rows_of(*measure_pairs(forwarding, max(runs, 3 if quick else 8), 1 if quick else 3, progress))
