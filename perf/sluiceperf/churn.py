"""Sluice with connections that come and go (perf/churn_source.h): every packet is checked and answered."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from sluicelab.shell import LabError

from . import machine
from .sluice import FORWARDED, Sluice
from .source import Traffic
from .subject import WORKER_THREADS

NEVER = ("wrong", "mixed")  # counters of the source that are never right
SETTLE_SECONDS_MAX = 20


@dataclass(frozen=True)
class Sample:
    """What was counted until one moment."""

    churn: dict[str, int]
    verdicts: dict[str, int]
    evicted: int
    flows: int
    cpu_ns: int
    source_ns: float  # of cpu_ns: spent in the source

    def since(self, then: "Sample") -> "Sample":
        verdicts = {name: n - then.verdicts.get(name, 0) for name, n in self.verdicts.items()}
        return Sample({name: n - then.churn[name] for name, n in self.churn.items()},
                      {name: n for name, n in verdicts.items() if n}, self.evicted - then.evicted,
                      self.flows, self.cpu_ns - then.cpu_ns, self.source_ns - then.source_ns)

    @property
    def own_ns(self) -> float:
        return self.cpu_ns - self.source_ns

    def others(self, expected: tuple[str, ...] = ()) -> dict[str, int]:
        """Packets that were not forwarded, by verdict."""
        return {name: n for name, n in self.verdicts.items() if name not in FORWARDED and name not in expected}


class ChurnSluice(Sluice):
    def __init__(self, scratch: Path, live: int, table: int, proto: str = "tcp", family: str = "4",
                 ending_ticks: int = 0, listeners: int = 1, **options: int) -> None:
        traffic = Traffic(flows=live, proto=proto, family=family, listeners=listeners)
        super().__init__(scratch, traffic, listeners=listeners, flows_max=table)
        self.live, self.ending_ticks, self.options = live, ending_ticks, options

    def churn_options(self) -> str:
        fixed = dict(live=self.live, proto=self.traffic.proto, family=self.traffic.family,
                     listeners=self.listeners)
        return ",".join(f"{name}={value}" for name, value in {**fixed, **self.options}.items())

    def feed(self) -> list[str]:
        return ["--ending-ticks", str(self.ending_ticks), "--churn", self.churn_options()]

    def sample(self) -> Sample:
        answer = self.ask("stats")
        tids = machine.thread_ids(self.pid, WORKER_THREADS)
        worker, = answer["workers"]
        churn = answer["churn"]
        if found := {name: churn[name] for name in NEVER if churn[name]}:
            raise LabError(f"packets came out as they must not: {found}; {self.last_words()}")
        return Sample(churn, worker["verdicts"], worker["evicted"], worker["flows"],
                      machine.cpu_ns(self.pid, tids), churn["cycles"] / self.tsc_hz * 1e9)

    def fill(self) -> list[Sample]:
        """Opens the live connections; samples until the last one is open."""
        self.ask("churn fill")
        samples, deadline = [self.sample()], time.monotonic() + 120
        while samples[-1].churn["live"] < self.live:
            if time.monotonic() > deadline:
                raise LabError(f"the connections are not open after 120 s: {samples[-1]}")
            time.sleep(0.002)
            samples.append(self.sample())
        if others := samples[-1].others():
            raise LabError(f"not every packet was forwarded while connections were opened: {others}")
        return samples

    def churn(self, cpu_seconds: float, flood: int = 0) -> Sample:
        """What `cpu_seconds` of the worker's time brought."""
        self.ask(f"churn churn {flood}")
        time.sleep(0.1)
        before, deadline = self.sample(), time.monotonic() + SETTLE_SECONDS_MAX + 3 * cpu_seconds
        while (now := self.sample()).cpu_ns - before.cpu_ns < cpu_seconds * 1e9:
            if time.monotonic() > deadline:
                raise LabError(f"the worker got no more than {(now.cpu_ns - before.cpu_ns) / 1e9:.2f} s of CPU time")
            time.sleep(0.02)
        return now.since(before)

    def settle(self) -> Sample:
        """Lets what is under way come to its end, and returns the final counts."""
        self.ask("churn pause")
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        under_way = lambda c: c["started"] - c["completed"] - c["failed"] + c["pings"] - c["pongs"]
        while under_way((now := self.sample()).churn) and time.monotonic() < deadline:
            time.sleep(0.02)
        return now

    def harmed(self) -> int:
        """Live connections whose next packet does not reach the same backend from the same address, or whose
        answer does not come back."""
        before = self.settle()
        self.ask("churn ping")
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while (found := self.sample().since(before).churn["pongs"]) < self.live and time.monotonic() < deadline:
            time.sleep(0.02)
        self.ask("churn pause")
        return self.live - found
