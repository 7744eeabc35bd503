"""Weights: how many `weight` calls a second the real sluiced takes over its control socket: each one is parsed,
compiled, committed to disk (fsync), published, and acknowledged by the worker. With clients that `watch`, and with
callers that wait for the proof."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from sluicelab import hugepages, namespaces
from sluicelab.control import Control
from sluicelab.shell import LabError, binary
from sluicelab.shell import run as run_command

from . import machine
from .rows import Row, percentile, row

MEMORY_MB = 128
START_SECONDS_MAX = 60
WAIT_MS = 5000
DISK = "/var/tmp"  # where fsync means a disk: not below /run


def config(folder: Path, state: Path, listeners: int, pools: int, backends: int, forwards: bool = False) -> str:
    """Two null ports (of different sizes: a device can be used once); every backend is behind one gateway. Without
    traffic, or for what perf/flow_source.h makes."""
    protocol, device = ("udp", "null") if forwards else ("tcp", "null,no-rx=1")
    port = '[[port]]\nname = "{0}"\ndevice = "%s,size={2}"\naddresses = ["{1}/24"]\n' % device
    parts = [f'[node]\nworker_cores = [1]\nmemory_mb = {MEMORY_MB}\nmax_flows = 4096\n',
             f'[control]\nsocket = "{folder}/control.sock"\nstate_dir = "{state}"\n',
             port.format("front", "10.0.0.2", 64), port.format("back", "10.0.1.2", 65)]
    for number in range(pools):
        members = ", ".join(f'{{ address = "11.{number >> 8}.{number & 255}.{host}", port = 8080 }}'
                            for host in range(1, backends + 1))
        parts.append(f'[[pool]]\nname = "pool-{number}"\nservice = "s{number // 2}"\nversion = "v{number % 2}"\n'
                     f"backends = [{members}]\n")
    for number in range(listeners):
        first, second = number % pools, (number + 1) % pools
        parts.append(f'[[listener]]\nname = "listener-{number}"\nprotocol = "{protocol}"\naddress = "10.0.0.100"\n'
                     f'port = {1000 + number}\n[[route]]\nname = "route-{number}"\n'
                     f'listeners = ["listener-{number}"]\n[[route.rule]]\nbackends = ['
                     f'{{ pool = "pool-{first}", weight = 95 }}, {{ pool = "pool-{second}", weight = 5 }}]\n')
    return "\n".join(parts)


@contextlib.contextmanager
def sluiced(folder: Path, text: str, environment: dict[str, str] | None = None) -> Iterator[Path]:
    """A sluiced in a network namespace of its own, with these variables; yields its socket."""
    namespace = f"sluice-perf-{os.getpid()}"
    (folder / "sluiced.toml").write_text(text)
    log, socket = folder / "sluiced.log", folder / "control.sock"
    with contextlib.ExitStack() as stack:
        stack.enter_context(hugepages.reserved(MEMORY_MB // 2 + 32))
        namespaces.create(namespace)
        stack.callback(namespaces.delete, namespace)
        with open(log, "w") as out:
            variables = [f"{name}={value}" for name, value in (environment or {}).items()]
            process = machine.start(["ip", "netns", "exec", namespace, "env", *variables,
                                     binary("ctrl/control/sluiced"), "--config", str(folder / "sluiced.toml")],
                                    stdout=out, stderr=out)
        stack.callback(_stop, process)
        deadline = time.monotonic() + START_SECONDS_MAX
        while not _is_ready(socket):
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"sluiced does not start: {' '.join(log.read_text().strip().splitlines()[-2:])}")
            time.sleep(0.05)
        namespaces.ip(namespace, "neigh replace 10.0.1.254 lladdr 02:00:00:00:00:12 dev tap-back nud permanent",
                      "route replace 11.0.0.0/8 via 10.0.1.254")
        yield socket


def filesystem(folder: str) -> str:
    """The type of the file system that a folder is on."""
    return run_command("stat", "--file-system", "--format=%T", folder).stdout.strip()


def _stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _is_ready(socket: Path) -> bool:
    try:
        with Control(socket, timeout_s=5) as control:
            return all(worker["generation"] > 0 for worker in control.call("status")["workers"])
    except OSError:
        return False


def wait_until_resolved(socket: Path) -> None:
    """Every backend can be reached: from then on weight calls are all that changes."""
    deadline = time.monotonic() + START_SECONDS_MAX
    with Control(socket) as control:
        while missing := [pool["name"] for pool in control.call("status")["pools"] if pool["usable"] != pool["total"]]:
            if time.monotonic() > deadline:
                raise LabError(f"backends of {missing[0]} and {len(missing) - 1} other pools are not resolved")
            time.sleep(0.2)


class Watchers:
    """Clients that read every event; `events` says how many came."""

    def __init__(self, socket: Path, count: int) -> None:
        self.events = 0
        self._controls = [Control(socket) for _ in range(count)]
        for control in self._controls:
            control.call("watch")
            threading.Thread(target=self._read, args=(control,), daemon=True).start()

    def _read(self, control: Control) -> None:
        with contextlib.suppress(OSError, ValueError):
            while control.read_message():
                self.events += 1

    def close(self) -> None:
        for control in self._controls:
            with contextlib.suppress(OSError):
                control._socket.shutdown(2)


def call_weights(socket: Path, seconds: float, wait_ms: int) -> list[float]:
    """Milliseconds of each call; fails unless each made one generation, and was proved when it waited."""
    times: list[float] = []
    with Control(socket) as control:
        generation = control.call("status")["generation"]
        begin = time.monotonic()
        while (now := time.monotonic()) < begin + seconds:
            weight = 5 + len(times) % 90
            done = control.call("route.weight", route="route-0", weights={"pool-0": 100 - weight, "pool-1": weight},
                                wait_ms=wait_ms, reason="perf/run swaps")
            times.append((time.monotonic() - now) * 1e3)
            generation += 1
            if done["generation"] != generation:
                raise LabError(f"weight call made generation {done['generation']}, not {generation}")
            if wait_ms and done["proof"]["verdict"] != "proved":
                raise LabError(f"generation {generation} is {done['proof']['verdict']}: {done['proof']['reason']}")
    return times


def run(scratch: Path, quick: bool, runs: int, progress) -> list[Row]:
    rows: list[Row] = []
    seconds = 0.7 if quick else 3.0
    for listeners, pools, backends in ((10, 10, 10),) if quick else ((10, 10, 10), (1000, 100, 100)):
        folder = scratch / f"weights-{listeners}"
        folder.mkdir()
        where = f"{listeners} listeners, {pools} pools x {backends}"
        progress(f"weight calls, {where}: starting sluiced")
        with (tempfile.TemporaryDirectory(prefix="sluice-perf-", dir=DISK) as state,
              sluiced(folder, config(folder, Path(state), listeners, pools, backends)) as socket):
            wait_until_resolved(socket)
            for mode, wait_ms, watchers in (("committed", 0, 0), ("committed, 20 watchers", 0, 20),
                                            ("proved", WAIT_MS, 0)):
                progress(f"weight calls, {where}, {mode}")
                watching = Watchers(socket, watchers)
                measured = [call_weights(socket, seconds, wait_ms) for _ in range(runs)]
                watching.close()
                if watchers and watching.events == 0:
                    raise LabError("no watcher saw an event")
                what = dict(what="weight call", who="sluice", device="null", bytes="", flows=0, workers=1, mode=mode,
                            variant=where, note=f"state on {filesystem(DISK)}")
                rows.append(row([len(times) / sum(times) * 1e3 for times in measured], "calls/s", **what))
                rows += [row([percentile(times, share) for times in measured], "ms", **dict(what, mode=f"{mode}, {name}"))
                         for name, share in (("p50", 0.5), ("p99", 0.99))]
    return rows
