"""A device under test between the two ends of perf/generator, connected by memif: the generator on core 0,
the device's worker on core 1. Both are paused while others are measured."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

from sluicelab.shell import LabError, binary

from . import machine
from .search import Outcome, outcome
from .sluice import Sluice
from .source import Traffic
from .subject import Subject
from .testpmd import Testpmd

RING = 10  # 2^10 packets: what the driver has by default
GENERATOR_MB = 96
SEED = 1


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
        self.device, self.scratch, self.traffic = device, device.scratch, device.traffic
        self.name = f"{device.name} and its generator"
        self.log = self.scratch / f"{device.name}-generator.log"
        self.generator: subprocess.Popen | None = None

    @property
    def who(self) -> tuple[str, str]:
        return self.device.who, self.device.mode

    def memory_mb(self) -> int:
        return self.device.memory_mb() + GENERATOR_MB + 32

    def start(self) -> None:
        traffic = self.traffic
        for path in sockets(self.scratch, self.device.name):
            Path(path).unlink(missing_ok=True)
        command = [binary("perf/generator"), "--flows", str(traffic.flows), "--bytes", traffic.bytes,
                   "--family", traffic.family, "--proto", traffic.proto, "--zipf", f"{traffic.zipf:g}",
                   "--listeners", str(traffic.listeners), "--memory-mb", str(GENERATOR_MB), "--seed", str(SEED),
                   "--device", *[f"memif:{path},role=server,rsize={RING}"
                                 for path in sockets(self.scratch, self.device.name)]]
        with open(self.log, "w") as log:
            self.generator = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                              text=True)
        if "ready" not in self.generator.stdout.readline():
            raise LabError(f"the generator does not start: {self.last_words()}")
        self.device.start()

    def warm(self) -> None:
        """Every flow is opened, answered and learned."""
        self.ask("open")

    def last_words(self) -> str:
        return "; ".join(self.log.read_text(errors="replace").strip().splitlines()[-3:]) or "it said nothing"

    def ask(self, command: str) -> dict:
        self.generator.stdin.write(command + "\n")
        self.generator.stdin.flush()
        line = self.generator.stdout.readline()
        if not line:
            raise LabError(f"the generator ended: {self.last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise LabError(f"{self.name}: {answer['error']}")
        return answer

    def pause(self) -> None:
        self.device.pause()
        os.kill(self.generator.pid, signal.SIGSTOP)

    def resume(self) -> None:
        self.device.resume()
        os.kill(self.generator.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self.generator and self.generator.poll() is None:
            os.kill(self.generator.pid, signal.SIGCONT)
            self.generator.terminate()
            self.generator.wait(10)
        self.device.stop()

    def worker_threads(self) -> list[int]:
        return machine.thread_ids(self.device.pid, self.device.threads)

    def trial(self, packets_per_second: float, seconds: float) -> Outcome:
        """0 packets per second: as fast as they are taken. Fails on a packet that no device may send."""
        tids, pid = self.worker_threads(), self.device.pid
        waited, stolen = machine.waited_ns(pid, tids), machine.stolen_ticks()
        answer = self.ask(f"trial {packets_per_second:.0f} {seconds:g}")
        done = outcome(answer, machine.waited_ns(pid, tids) - waited, machine.stolen_ticks() != stolen)
        if done.wrong:
            raise LabError(f"{self.device.name} sent wrong packets: {done.wrong} of {answer['sent']} (seed {SEED})")
        return done

    def wake(self, packets: int, gap_us: int) -> dict[str, float]:
        """Percentiles in ns of single packets, each after a pause of `gap_us` to twice that."""
        answer = self.ask(f"wake {packets} {gap_us}")
        if answer["wrong"] or answer["received"] != packets:
            raise LabError(f"{self.device.name} sent {answer['received']} of {packets} single packets; wrong: "
                           f"{answer['wrong']}")
        return answer["latency_ns"]

    def core_round_trip_ns(self) -> list[float]:
        """How long a cache line takes from the generator's core to the device's and back, batch by batch."""
        self.device.pause()
        try:
            return self.ask("round_trip")["ns"]
        finally:
            self.device.resume()
