"""200 blue-green switches in 20 seconds under load: nobody notices, everything is proved."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from sluicelab.daemon import Sluiced
from traffic import V4, V6, Connection, Family, load

SWITCHES = 200
SECONDS = 20.0
KEPT, PARALLEL = 8, 4


@dataclass(frozen=True)
class Switch:
    """All times are CLOCK_MONOTONIC seconds, as in Connection."""

    stack: str
    asked: float
    answered: float
    proof: dict


def switch_in_rhythm(sluiced: Sluiced, route: str) -> list[Switch]:
    """SWITCHES switches, one every SECONDS / SWITCHES; begins with green."""
    done = []
    begin = time.monotonic()
    with sluiced.control() as control:
        for index in range(SWITCHES):
            time.sleep(max(0.0, begin + index * SECONDS / SWITCHES - time.monotonic()))
            version, stack = ("v2", "green") if index % 2 == 0 else ("v1", "blue")
            asked = time.monotonic()
            proof = control.call("route.switch", route=route, to=f"{route}-{version}")["proof"]
            done.append(Switch(stack, asked, time.monotonic(), proof))
    return done


def wrongly_served(switches: list[Switch], connections: list[Connection]) -> list[Connection]:
    """New connections that began after a switch was answered, and before the next was asked, but
    were served by the other stack."""
    wrong, index = [], 0
    for connection in sorted(connections, key=lambda c: c.start):
        while index + 1 < len(switches) and switches[index + 1].asked <= connection.start:
            index += 1
        current = switches[index]
        if connection.start > current.answered and connection.stack != current.stack:
            following = switches[index + 1].asked if index + 1 < len(switches) else float("inf")
            if connection.end < following:
                wrong.append(connection)
    return wrong


@pytest.mark.parametrize("family", [V4, V6], ids=lambda family: family.name)
def test_200_switches_under_load(sluiced: Sluiced, tmp_path: Path, family: Family) -> None:
    route = "web" + family.suffix
    with load(sluiced.lab, family, tmp_path / "connections", KEPT, PARALLEL, pause_ms=1) as clients:
        time.sleep(0.5)
        switches = switch_in_rhythm(sluiced, route)
        time.sleep(0.5)
        report, connections = clients.stop()

    assert (report["failed"], report["resets"], report["mixed"]) == (0, 0, 0), report
    assert [s.proof["verdict"] for s in switches] == ["proved"] * SWITCHES
    assert switches[-1].answered - switches[0].asked < SECONDS * 1.25
    generations = [s.proof["generation"] for s in switches]
    assert generations == list(range(generations[0], generations[0] + SWITCHES))
    stale = [pool for s in switches for pool in s.proof["pools"] if pool["stale_decisions"]]
    assert stale == []

    fresh = [c for c in connections if not c.kept]
    settled = sum(1 for c in fresh if any(s.answered < c.start < s.answered + 0.05
                                          for s in switches[::20]))
    assert settled > 20, "too little traffic to judge by"
    assert wrongly_served(switches, fresh) == []
    assert {c.stack for c in fresh} == {"blue", "green"}
    kept = [c for c in connections if c.kept]
    assert len(kept) == KEPT and all(c.requests > SWITCHES for c in kept), kept


def test_wrongly_served_finds_a_wrong_one() -> None:
    switches = [Switch("green", 1.0, 1.01, {}), Switch("blue", 2.0, 2.01, {})]
    right = Connection(False, ("10.0.0.10", 1), "green", "b", 1.5, 1.6, 1, "ok")
    under_way = Connection(False, ("10.0.0.10", 2), "blue", "b", 1.005, 1.6, 1, "ok")
    wrong = Connection(False, ("10.0.0.10", 3), "blue", "b", 1.5, 1.6, 1, "ok")
    assert wrongly_served(switches, [right, under_way]) == []
    assert wrongly_served(switches, [right, under_way, wrong]) == [wrong]
