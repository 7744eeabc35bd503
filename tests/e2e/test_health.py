"""Backends that die leave the tables by themselves and come back by themselves."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from sluicelab import namespaces
from sluicelab.config import LabConfig
from sluicelab.daemon import Sluiced
from traffic import V4, V6, Family, load

INTERVAL_S, FALL, RISE = 0.3, 3, 2
LAB_CONFIG = LabConfig(
    health=f'interval = "300ms", timeout = "200ms", rise = {RISE}, fall = {FALL}')
FAMILIES = pytest.mark.parametrize("family", [V4, V6], ids=lambda family: family.name)


def states(sluiced: Sluiced, pool: str) -> dict[str, str]:
    return {backend["address"]: backend["state"] for backend in sluiced.pool(pool)["backends"]}


@FAMILIES
def test_a_killed_backend_gets_nothing_new_and_returns(
        sluiced: Sluiced, tmp_path: Path, family: Family) -> None:
    pool, lab = f"web{family.suffix}-v1", sluiced.lab
    victim = lab.backend("blue-1").v6 if family is V6 else lab.backend("blue-1").v4
    with load(lab, family, tmp_path / "out", kept=0, parallel=4, pause_ms=2) as clients:
        time.sleep(0.5)
        lab.kill_backend("blue-1")
        took = sluiced.wait_usable(pool, 1)
        left = time.monotonic()
        assert states(sluiced, pool)[victim] == "down"
        assert took < INTERVAL_S * (FALL + 2) + 0.5
        time.sleep(1.5)
        asked_again = time.monotonic()
        lab.start_backend("blue-1")
        took = sluiced.wait_usable(pool, 2)
        assert took < INTERVAL_S * (RISE + 2) + 0.5
        returned = time.monotonic()
        time.sleep(1.0)
        report, connections = clients.stop()
    assert states(sluiced, pool)[victim] == "up"
    without = [c for c in connections if left < c.start < asked_again]
    assert len(without) > 100
    assert {c.outcome for c in without} == {"ok"}
    assert victim not in {c.backend for c in without}
    after = [c for c in connections if c.start > returned]
    assert victim in {c.backend for c in after}
    assert {c.outcome for c in after} == {"ok"}
    failures = [c for c in connections if c.outcome != "ok"]
    assert all(c.start < left for c in failures), "only connections from before it left may fail"
    assert report["stacks"].keys() <= {"blue", "-"}


def test_a_silent_backend_is_found_too(sluiced: Sluiced) -> None:
    """The machine vanishes: no RST, no answer."""
    blue = sluiced.lab.namespace("blue")
    namespaces.ip(blue, "address del 10.0.1.12/24 dev eth0")
    try:
        took = sluiced.wait_usable("web-v1", 1)
        assert took < (INTERVAL_S + 0.2) * (FALL + 2) + 1
        assert states(sluiced, "web-v1")["10.0.1.12"] in ("down", "unresolved")
    finally:
        namespaces.ip(blue, "address add 10.0.1.12/24 dev eth0")
    sluiced.wait_usable("web-v1", 2)


def verdict_count(sluiced: Sluiced, name: str) -> int:
    return sluiced.status()["verdicts"].get(name, 0)


@FAMILIES
def test_without_any_backend_clients_are_told(sluiced: Sluiced, family: Family) -> None:
    """TCP gets a RST at once, and it is counted."""
    pool = f"web{family.suffix}-v1"
    for name in ("blue-1", "blue-2"):
        sluiced.lab.kill_backend(name)
    try:
        sluiced.wait_usable(pool, 0)
        before = verdict_count(sluiced, "pool_empty_reject")
        with namespaces.entered(sluiced.lab.namespace("client")):
            for _ in range(10):
                begin = time.monotonic()
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection((family.virtual, 80), timeout=3)
                assert time.monotonic() - begin < 0.5
        assert verdict_count(sluiced, "pool_empty_reject") == before + 10
    finally:
        for name in ("blue-1", "blue-2"):
            sluiced.lab.start_backend(name)
    sluiced.wait_usable(pool, 2)


@FAMILIES
def test_udp_without_a_backend_gets_port_unreachable(sluiced: Sluiced, family: Family) -> None:
    pool = f"dns{family.suffix}-v1"
    assert sluiced.cli("drain", pool).returncode == 0
    try:
        before = verdict_count(sluiced, "pool_empty_reject")
        kind = socket.AF_INET6 if family is V6 else socket.AF_INET
        with namespaces.entered(sluiced.lab.namespace("client")), \
                socket.socket(kind, socket.SOCK_DGRAM) as client:
            client.settimeout(3)
            client.connect((family.virtual, 53))
            client.send(b"WHO")
            with pytest.raises(ConnectionRefusedError):  # the ICMP error
                client.recv(100)
        assert verdict_count(sluiced, "pool_empty_reject") == before + 1
    finally:
        assert sluiced.cli("drain", pool, "--undo").returncode == 0


def test_the_other_family_and_route_are_untouched(sluiced: Sluiced) -> None:
    down = [(pool["name"], backend["address"]) for pool in sluiced.status()["pools"]
            for backend in pool["backends"] if backend["state"] not in ("up", "unchecked")]
    assert down == []
