"""Sluice's own packet path as a subject: perf/dut."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sluicelab.shell import LabError, binary

from . import line_client, machine
from .source import Traffic
from .subject import Subject

FORWARDED = {"to_backend", "to_client"}


class Sluice(Subject):
    who = "sluice"
    mode = "nat"

    def __init__(self, scratch: Path, traffic: Traffic, listeners: int = 1, backends: int = 100,
                 cores: tuple[int, ...] = (1,), name: str = "sluice", flows_max: int = 0) -> None:
        super().__init__(scratch, name)
        self.traffic, self.cores = traffic, cores
        self.listeners, self.backends = listeners, backends
        self.flows_max = flows_max or 1 << max(12, traffic.flows.bit_length())
        self.tsc_hz = 0

    def memory_mb(self) -> int:
        tables = self.flows_max * (84 + 148) * len(self.cores) >> 20
        return tables * 11 // 10 + 96

    def prefix(self) -> list[str]:
        """What runs the program: nothing, or `ip netns exec`."""
        return []

    def feed(self) -> list[str]:
        """Where its packets come from."""
        return ["--source", self.traffic.options(self.status, learns=True)]

    def start(self) -> None:
        command = [*self.prefix(), binary("perf/dut"), "--memory-mb", str(self.memory_mb()),
                   "--flows-max", str(self.flows_max), "--listeners", str(self.listeners),
                   "--backends", str(self.backends), "--family", self.traffic.family,
                   "--proto", self.traffic.proto, *self.feed(), "--core", *map(str, self.cores)]
        with open(self.log, "w") as log:
            self.process = machine.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=log, text=True)
        if "ready" not in self.process.stdout.readline():
            raise LabError(f"dut does not start: {self.last_words()}")
        self.tsc_hz = self.ask("stats")["tsc_hz"]

    def ask(self, command: str) -> dict:
        return line_client.ask(self.process, command, "dut", self.last_words)

    def not_forwarded(self) -> dict[str, int]:
        """Packets by verdict, and evicted flows; empty while every packet is forwarded."""
        found: dict[str, int] = {}
        for worker in self.ask("stats")["workers"]:
            for name, count in [*worker["verdicts"].items(), ("flows evicted", worker["evicted"])]:
                if count and name not in FORWARDED:
                    found[name] = found.get(name, 0) + count
        return found

    def check(self) -> None:
        if others := self.not_forwarded():
            raise LabError(f"sluice did not forward everything: {others}")
