"""perf/generator: both ends of a network, as a process that is told what to send."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sluicelab.shell import LabError, binary

from . import line_client, machine
from .source import Traffic

CORE, DEVICE_CORE = 0, 1
SEED = 1


class Generator:
    """`devices`: the clients' and the backends' side. `prefix`: what runs the program."""

    def __init__(self, log: Path, traffic: Traffic, devices: Sequence[str], prefix: Sequence[str] = (),
                 memory_mb: int = 96) -> None:
        self.log, self.memory_mb = log, memory_mb
        self.command = [*prefix, binary("perf/generator"), "--flows", str(traffic.flows), "--bytes", traffic.bytes,
                        "--family", traffic.family, "--proto", traffic.proto, "--zipf", f"{traffic.zipf:g}",
                        "--listeners", str(traffic.listeners), "--memory-mb", str(memory_mb), "--seed", str(SEED),
                        "--core", str(CORE), "--device-core", str(DEVICE_CORE), "--device", *devices]
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        with open(self.log, "w") as log:
            self.process = machine.start(self.command, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=log, text=True)
        if "ready" not in self.process.stdout.readline():
            raise LabError(f"the generator does not start: {self.last_words()}")

    def last_words(self) -> str:
        return "; ".join(self.log.read_text(errors="replace").strip().splitlines()[-3:]) or "it said nothing"

    def ask(self, command: str) -> dict:
        return line_client.ask(self.process, command, "the generator", self.last_words)

    def wake(self, packets: int, gap_us: int) -> tuple[dict[str, float], int]:
        """(percentiles in ns, lost) of single packets, each after a pause of `gap_us` to twice that."""
        answer = self.ask(f"wake {packets} {gap_us}")
        if answer["wrong"] or answer["received"] == 0:
            raise LabError(f"{answer['received']} of {answer['sent']} single packets came back; wrong: "
                           f"{answer['wrong'] or 'none'}")
        return answer["latency_ns"], answer["sent"] - answer["received"]

    def pause(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.resume()
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
