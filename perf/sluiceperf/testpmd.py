"""testpmd as a subject: the physical limit. One process serves all of its modes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from . import machine
from .source import Traffic, plugin
from .subject import Subject, await_true


BUFFER_BYTES = 2500


class Testpmd(Subject):
    who = "testpmd"
    buffers = 16384

    def __init__(self, scratch: Path, traffic: Traffic, name: str = "testpmd",
                 cores: tuple[int, ...] = (1,)) -> None:
        super().__init__(scratch, name)
        self.traffic, self.cores = traffic, cores
        self.forwards = ""  # the mode that it runs now

    def start(self) -> None:
        machine.need_program("dpdk-testpmd")
        command = ["stdbuf", "-oL", "dpdk-testpmd", "--lcores", self.lcores(), "--no-pci", "--in-memory",
                   "--no-telemetry", "-m", str(self.memory_mb() - 32),
                   "--file-prefix", f"sluice-perf-{os.getpid()}",
                   *self.devices(), "--", "-i", f"--nb-cores={len(self.cores)}", f"--rxq={len(self.cores)}",
                   f"--txq={len(self.cores)}", f"--total-num-mbufs={self.buffers}",
                   "--no-flush-rx"]
        source = self.traffic.options(self.status, learns=False)
        environment = dict(os.environ, SLUICE_SOURCE=source)
        with open(self.log, "w") as log:
            self.process = machine.start(command, stdin=subprocess.PIPE, stdout=log, stderr=log,
                                         text=True, env=environment)
        self.set_mode("io")

    def lcores(self) -> str:
        """The main one on core 0, then one for each core; several may share one."""
        return ",".join(f"{lcore}@{core}" for lcore, core in enumerate((0, *self.cores)))

    def devices(self) -> list[str]:
        return ["-d", plugin(self.scratch), "--vdev=net_null0", "--vdev=net_null1"]

    def memory_mb(self) -> int:
        return 120 + self.buffers * BUFFER_BYTES // 1_000_000

    def say(self, *lines: str) -> Callable[[], str]:
        """Types these lines; what it has answered until it is asked."""
        seen = self.log.stat().st_size
        self.process.stdin.write("".join(line + "\n" for line in lines))
        self.process.stdin.flush()
        return lambda: self.log.read_bytes()[seen:].decode(errors="replace")

    def set_mode(self, mode: str) -> None:
        self.mode = mode

    def prepare(self) -> None:
        if self.forwards != self.mode:
            if self.forwards:
                self.say("stop")
            output = self.say(f"set fwd {self.mode}", "start")
            self.forwards = self.mode
            started = f"{self.mode} packet forwarding - ports="
            await_true(lambda: started in output(), f"testpmd forwards as {self.mode}")

    def warm(self) -> None:
        self.prepare()
        super().warm()
