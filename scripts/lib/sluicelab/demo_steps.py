"""What the demo does to the running balancer, and what must be true afterwards."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from sluicelab.daemon import Sluiced
from sluicelab.demo_load import DemoLoad, Seen
from sluicelab.screen import Screen, percent, split_bar
from sluicelab.shell import LabError

SLOTS = 65_536
ROUTE, BLUE, GREEN = "web", "web-v1", "web-v2"
SETTLE_S = 0.4  # connections under way when a change was acknowledged, and the report's interval
SIGMAS = 4


@dataclass
class Result:
    """One row of the table at the end."""

    title: str
    green_asked: float
    green_slots: int = 0
    green_seen: float = 0.0
    green_decided: float = 0.0
    connections: int = 0
    failed: int = 0
    proof: str = "-"
    faults: list[str] = field(default_factory=list)


class Demo:
    def __init__(self, sluiced: Sluiced, load: DemoLoad, kept: DemoLoad, screen: Screen,
                 seconds: float) -> None:
        self._sluiced, self._load, self._kept = sluiced, load, kept
        self._screen, self._seconds = screen, seconds
        self.results: list[Result] = []

    def step(self, title: str, green: float, *command: str) -> None:
        """Runs `sluice command`, watches for a while, checks that all three views agree."""
        result = Result(title, green)
        self.results.append(result)
        self._screen.line(f"\n[{len(self.results)}] {title}")
        proof = self._change(result, command) if command else None
        time.sleep(SETTLE_S)
        decided, seen = self._watch(self._seconds)
        self._compare(result, decided, seen, proof)
        self._finish(result)

    def _change(self, result: Result, command: tuple[str, ...]) -> dict:
        self._screen.line(f"    $ sluice {' '.join(command)}")
        done = self._sluiced.cli_json(*command, "--reason", f"demo: {result.title}")
        proof = done["proof"]
        result.proof = f"{proof['verdict']} (generation {proof['generation']})"
        if proof["verdict"] != "proved":
            result.faults.append(f"the proof says {proof['verdict']}: {proof['reason']}")
        return proof

    def _watch(self, seconds: float) -> tuple[dict[str, int], Seen]:
        """Decisions per pool and what clients saw in the same time."""
        before, seen_before = self._decisions(), self._load.total()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            recent = self._load.recent()
            bar = split_bar(recent.stacks["blue"], recent.stacks["green"])
            self._screen.live(f"    {left:4.1f} s  [{bar}]  {recent.requests * 10:6,} connections/s"
                              f", {recent.failed} failed")
            time.sleep(0.1)
        seen = self._load.total().minus(seen_before)
        after = self._decisions()
        return {pool: after[pool] - before[pool] for pool in after}, seen

    def _decisions(self) -> dict[str, int]:
        pools = self._sluiced.route(ROUTE)["rules"][0]["pools"]
        return {pool["pool"]: pool["decisions"] for pool in pools}

    def _compare(self, result: Result, decided: dict[str, int], seen: Seen,
                 proof: dict | None) -> None:
        pools = self._sluiced.route(ROUTE)["rules"][0]["pools"]
        slots = {pool["pool"]: pool["slots"] for pool in pools}
        decisions = decided[BLUE] + decided[GREEN]
        result.green_slots = slots[GREEN]
        result.green_seen = percent(seen.stacks["green"], seen.requests)
        result.green_decided = percent(decided[GREEN], decisions)
        result.connections, result.failed = seen.requests, seen.failed
        show = self._screen.line
        show(f"    {'':<20}{'blue (v1)':>12}{'green (v2)':>14}")
        show(f"    {'asked':<20}{100 - result.green_asked:>10.2f} %{result.green_asked:>12.2f} %")
        show(f"    {'slots of 65,536':<20}{slots[BLUE]:>12,}{slots[GREEN]:>14,}")
        show(f"    {'the clients saw':<20}{100 - result.green_seen:>10.2f} %"
             f"{result.green_seen:>12.2f} %    {seen.requests:,} connections, {seen.failed} failed")
        show(f"    {'the workers decided':<20}{decided[BLUE]:>12,}{decided[GREEN]:>14,}"
             f"    {result.green_decided:.2f} % green")
        if proof:
            stale = sum(pool["stale_decisions"] for pool in proof["pools"])
            show(f"    {'proof':<20}{proof['verdict']}: generation {proof['generation']}, "
                 f"{len(proof['workers'])} worker(s) acknowledged after "
                 f"{proof['acknowledged_us']:.0f} us, {stale} decisions by an older table")
        self._check_shares(result, seen)

    @staticmethod
    def _check_shares(result: Result, seen: Seen) -> None:
        share = result.green_asked / 100
        if abs(result.green_slots - share * SLOTS) > 1:
            result.faults.append(f"green has {result.green_slots} slots of {SLOTS}")
        if seen.requests < 100:
            result.faults.append(f"only {seen.requests} connections were made")
            return
        tolerance = 100 * SIGMAS * math.sqrt(share * (1 - share) / seen.requests)
        if abs(result.green_seen - result.green_asked) > tolerance:
            result.faults.append(f"clients saw {result.green_seen:.2f} % green, more than "
                                 f"{tolerance:.2f} points from what was asked")
        if seen.failed:
            result.faults.append(f"{seen.failed} requests failed")

    def kill_backend(self, backend_name: str, pool: str) -> None:
        """Kills a backend's servers; it must leave the tables by itself and take no one along."""
        backend = self._sluiced.lab.backend(backend_name)
        result = Result(f"{backend_name} dies under load", self._green_weight())
        self.results.append(result)
        self._screen.line(f"\n[{len(self.results)}] {result.title}")
        self._screen.line(f"    $ scripts/lab kill {backend_name}")
        before = self._load.total()
        self._sluiced.lab.kill_backend(backend_name)
        took = self._sluiced.wait_usable(pool, self._sluiced.pool(pool)["total"] - 1)
        time.sleep(SETTLE_S)
        lost = self._load.total().minus(before).failed
        states = ", ".join(f"{b['address']} {b['state']}"
                           for b in self._sluiced.pool(pool)["backends"])
        self._screen.line(f"    left the tables after {took * 1000:.0f} ms ({lost} connections met "
                          f"the dead backend); {pool}: {states}")
        decided, seen = self._watch(self._seconds)
        self._compare(result, decided, seen, None)
        if seen.backends[backend.v4]:
            result.faults.append(f"{backend_name} was still asked")
        self._finish(result)

    def revive_backend(self, backend_name: str, pool: str) -> None:
        self._screen.line(f"\n    $ scripts/lab start {backend_name}")
        self._sluiced.lab.start_backend(backend_name)
        took = self._sluiced.wait_usable(pool, self._sluiced.pool(pool)["total"])
        self._screen.line(f"    back in the tables after {took * 1000:.0f} ms")

    def _green_weight(self) -> float:
        pools = self._sluiced.route(ROUTE)["rules"][0]["pools"]
        weights = {pool["pool"]: pool["weight"] for pool in pools}
        return percent(weights[GREEN], sum(weights.values()))

    def _finish(self, result: Result) -> None:
        for fault in result.faults:
            self._screen.line(f"    WRONG: {fault}")
        if not result.faults:
            self._screen.line("    as asked")

    def run(self) -> None:
        first = self._sluiced.status()["generation"]
        self.step("everything on blue", 0)
        for green in (1, 5, 25, 50):
            self.step(f"canary: {green} % to green", green,
                      "weight", ROUTE, f"{BLUE}={100 - green}", f"{GREEN}={green}")
        self.step("blue-green switch under load", 100, "switch", ROUTE, "--to", GREEN)
        self.kill_backend("green-1", GREEN)
        self.step(f"rollback to generation {first}", 0, "rollback", str(first))
        self.revive_backend("green-1", GREEN)

    def summary(self) -> bool:
        """The table of all steps; True when everything was as asked."""
        show = self._screen.line
        kept = self._kept.total()
        show(f"\n{'step':<32}{'asked':>9}{'slots':>9}{'clients':>10}{'workers':>10}{'conns':>9}"
             f"{'failed':>8}   proof")
        for row in self.results:
            show(f"{row.title:<32}{row.green_asked:>7.2f} %{row.green_slots:>9,}"
                 f"{row.green_seen:>8.2f} %{row.green_decided:>8.2f} %{row.connections:>9,}"
                 f"{row.failed:>8}   {row.proof}")
        show("(all of green: weight asked, slots of 65,536, share the clients saw, share decided)")
        show(f"clients that keep their connection, beside these: {kept.requests:,} requests, "
             f"{kept.failed} failed; a switch leaves them where they are (--existing keep)")
        faults = sum(len(row.faults) for row in self.results)
        show(f"\n{len(self.results)} steps, {faults} faults")
        if not self.results:
            raise LabError("the demo has no steps")
        return faults == 0
