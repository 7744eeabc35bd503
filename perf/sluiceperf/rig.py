"""A device under test between the two ends of perf/generator, connected by memif: the generator on core 0,
the device's worker on core 1. Both are paused while others are measured."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from sluicelab.shell import LabError

from . import machine
from .generator import SEED, Generator
from .search import Outcome, outcome
from .sluice import Sluice
from .source import Traffic
from .subject import Subject
from .testpmd import Testpmd

RING = 10  # 2^10 packets: what the driver has by default


def sockets(scratch: Path, name: str) -> list[str]:
    return [f"{scratch}/{name}-{side}.sock" for side in ("clients", "backends")]


class MemifSluice(Sluice):
    device = "memif"

    def __init__(self, scratch: Path, traffic: Traffic, idle: str = "busy") -> None:
        super().__init__(scratch, traffic, name=f"sluice-{idle}")
        self.idle = idle

    def feed(self) -> list[str]:
        devices = [f"memif:{path},role=client,rsize={RING}" for path in sockets(self.scratch, self.name)]
        return ["--device", *devices, "--idle", self.idle]


class MemifTestpmd(Testpmd):
    device = "memif"

    def __init__(self, scratch: Path, traffic: Traffic, mode: str) -> None:
        super().__init__(scratch, traffic, name=f"testpmd-{mode}")
        self.mode = mode

    def devices(self) -> list[str]:
        return [f"--vdev=net_memif{i},role=client,socket={path},socket-abstract=no,rsize={RING}"
                for i, path in enumerate(sockets(self.scratch, self.name))]

    def start(self) -> None:
        mode = self.mode
        super().start()
        self.set_mode(mode)
        self.prepare()

    def stop(self) -> None:
        """On a signal it waits for its links first."""
        if self.process and self.process.poll() is None:
            self.resume()
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                self.say("stop", "quit")
                self.process.wait(5)
        super().stop()


class Rig:
    """Fits into cost.Comparison, as a Subject does."""

    def __init__(self, device: Subject) -> None:
        self.device, self.traffic = device, device.traffic
        self.name = f"{device.name} and its generator"
        self.ends = sockets(device.scratch, device.name)
        self.generator = Generator(device.scratch / f"{device.name}-generator.log", device.traffic,
                                   [f"memif:{path},role=server,rsize={RING}" for path in self.ends])

    @property
    def who(self) -> tuple[str, str]:
        return self.device.who, self.device.mode

    def memory_mb(self) -> int:
        return self.device.memory_mb() + self.generator.memory_mb + 32

    def start(self) -> None:
        for path in self.ends:
            Path(path).unlink(missing_ok=True)
        self.generator.start()
        self.device.start()

    def warm(self) -> None:
        """Every flow is opened, answered and learned."""
        try:
            self.generator.ask("open")
        except LabError as error:
            raise LabError(f"{self.device.name}: {error}") from error

    def pause(self) -> None:
        self.device.pause()
        self.generator.pause()

    def resume(self) -> None:
        self.device.resume()
        self.generator.resume()

    def stop(self) -> None:
        self.generator.stop()
        self.device.stop()

    def worker_threads(self) -> list[int]:
        return machine.thread_ids(self.device.pid, self.device.threads)

    def trial(self, packets_per_second: float, seconds: float, patience: float = 0.1) -> Outcome:
        """0 packets per second: as fast as they are taken. Fails on a packet that no device may send."""
        tids, pid = self.worker_threads(), self.device.pid
        waited, stolen = machine.waited_ns(pid, tids), machine.stolen_ticks()
        answer = self.generator.ask(f"trial {packets_per_second:.0f} {seconds:g} {patience:g}")
        done = outcome(answer, machine.waited_ns(pid, tids) - waited, machine.stolen_ticks() != stolen)
        if done.wrong:
            raise LabError(f"{self.device.name} sent wrong packets: {done.wrong} of {answer['sent']} (seed {SEED})")
        return done

    def core_round_trip_ns(self) -> list[float]:
        """How long a cache line takes from the generator's core to the device's and back, batch by batch."""
        self.device.pause()
        try:
            return self.generator.ask("round_trip")["ns"]
        finally:
            self.device.resume()
