"""Weights: the share clients see, the exact share of slots, and ramps that move nobody back."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from sluicelab.config import LabConfig
from sluicelab.daemon import Sluiced
from traffic import V4, V6, Family, ask_dns, ask_web

ROUTES = ("web", "web6", "dns", "dns6")
UDP_IDLE_S = 2
LAB_CONFIG = LabConfig(weights={route: (95, 5) for route in ROUTES},
                       timeouts=f'udp_new = "{UDP_IDLE_S}s"\nudp_established = "{UDP_IDLE_S}s"')
FLOWS = 10_000
POINTS = 0.9  # four sigma of 10,000 draws at 5 %
SLOTS = 65_536
FIRST_PORT = 10_000

Answers = dict[tuple[str, int], str]


def ask(sluiced: Sluiced, route: str, out: Path, count: int = FLOWS) -> Answers:
    """Client tuple → stack, for the same tuples in every call. Everybody must be answered."""
    family = V6 if route.endswith("6") else V4
    if route.startswith("web"):
        report, connections = ask_web(sluiced.lab, family, count, FIRST_PORT, out)
        assert (report["requests"], report["failed"], report["resets"]) == (count, 0, 0), report
        return {connection.client: connection.stack for connection in connections}
    report, answers = ask_dns(sluiced.lab, family, count, FIRST_PORT, out)
    assert report["unanswered"] == 0, report
    return answers


def set_weights(sluiced: Sluiced, route: str, v1: int, v2: int) -> dict:
    return sluiced.cli_json("weight", route, f"{route}-v1={v1}", f"{route}-v2={v2}")["proof"]


def forget_udp_flows(sluiced: Sluiced) -> None:
    """A known UDP flow keeps its backend; wait until the tables have none."""
    deadline = time.monotonic() + UDP_IDLE_S + 10
    while any(flow["protocol"] == "udp" for flow in sluiced.flows()):
        assert time.monotonic() < deadline, "UDP flows outlive their idle timeout"
        time.sleep(0.2)


def green_percent(answers: Answers) -> float:
    return 100 * Counter(answers.values())["green"] / len(answers)


@pytest.mark.parametrize("route", ROUTES)
def test_share_is_what_was_asked_and_ramps_are_monotone(
        sluiced: Sluiced, tmp_path: Path, route: str) -> None:
    out = tmp_path / "answers"
    before = {p["pool"]: p["decisions"] for p in sluiced.route(route)["rules"][0]["pools"]}
    at_5 = ask(sluiced, route, out)
    assert len(at_5) == FLOWS
    assert set(at_5.values()) == {"blue", "green"}
    assert abs(green_percent(at_5) - 5) <= POINTS

    after = {p["pool"]: p["decisions"] for p in sluiced.route(route)["rules"][0]["pools"]}
    decided = {pool: after[pool] - before[pool] for pool in after}
    seen = Counter(at_5.values())
    assert decided == {f"{route}-v1": seen["blue"], f"{route}-v2": seen["green"]}

    if route.startswith("dns"):
        forget_udp_flows(sluiced)
    assert set_weights(sluiced, route, 90, 10)["verdict"] == "proved"
    at_10 = ask(sluiced, route, out)
    assert abs(green_percent(at_10) - 10) <= 1.2  # four sigma at 10 %
    moved_back = [client for client, stack in at_5.items()
                  if stack == "green" and at_10[client] == "blue"]
    assert moved_back == []
    moved = sum(1 for client in at_5 if at_5[client] != at_10[client])
    assert 0 < moved < FLOWS / 10


@pytest.mark.parametrize("green", [0, 1, 5, 10, 25, 33, 50, 99, 100])
def test_slots_are_exact_to_one(sluiced: Sluiced, green: int) -> None:
    proof = set_weights(sluiced, "bulk", 100 - green, green)
    assert proof["verdict"] == "proved"
    slots = {pool["pool"]: pool["slots"] for pool in sluiced.route("bulk")["rules"][0]["pools"]}
    assert sum(slots.values()) == SLOTS
    assert abs(slots["bulk-v2"] - SLOTS * green / 100) <= 1
    assert [p["slots"] for p in proof["pools"] if p["pool"] == "bulk-v2"] == [slots["bulk-v2"]]


def test_backends_of_a_pool_share_evenly(sluiced: Sluiced, tmp_path: Path) -> None:
    report, _ = ask_web(sluiced.lab, V4, 4000, 30_000, tmp_path / "answers")
    blue = [report["backends"].get(address, 0) for address in ("10.0.1.11", "10.0.1.12")]
    assert abs(blue[0] - blue[1]) <= 4 * sum(blue) ** 0.5


@pytest.mark.parametrize("family", [V4, V6], ids=lambda family: family.name)
def test_explain_names_the_backend_that_answers(
        sluiced: Sluiced, tmp_path: Path, family: Family) -> None:
    _, connections = ask_web(sluiced.lab, family, 50, 40_000, tmp_path / "answers")
    for connection in connections:
        address, port = connection.client
        source = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        target = f"[{family.virtual}]:80" if ":" in family.virtual else f"{family.virtual}:80"
        told = sluiced.call("explain", protocol="tcp", source=source, destination=target)
        assert connection.backend in told["backend"], (source, told)
