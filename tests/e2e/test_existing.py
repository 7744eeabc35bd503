"""What becomes of existing connections on a switch: keep, drain, reset."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sluicelab.daemon import Sluiced
from traffic import V4, V6, Family, load

KEPT = 16
FAMILIES = pytest.mark.parametrize("family", [V4, V6], ids=lambda family: family.name)


def pools_of(proof: dict) -> dict[str, dict]:
    return {pool["pool"]: pool for pool in proof["pools"]}


def wait_until_active(sluiced: Sluiced, route: str, pool: str, count: int) -> None:
    """The clients connect again at their own pace."""
    begin = time.monotonic()
    while pools_of(sluiced.call("verify", route=route)["proof"])[pool]["active"] != count:
        assert time.monotonic() - begin < 15
        time.sleep(0.05)


def begin_on_blue(sluiced: Sluiced, family: Family) -> str:
    route = "web" + family.suffix
    sluiced.cli_json("switch", route, "--to", f"{route}-v1", "--existing", "reset")
    return route


@FAMILIES
def test_keep_leaves_connections_where_they_are(
        sluiced: Sluiced, tmp_path: Path, family: Family) -> None:
    route = begin_on_blue(sluiced, family)
    with load(sluiced.lab, family, tmp_path / "out", KEPT, parallel=0, pause_ms=5) as clients:
        time.sleep(0.5)
        proof = sluiced.cli_json("switch", route, "--to", f"{route}-v2")["proof"]
        assert proof["verdict"] == "proved"
        time.sleep(0.5)
        later = sluiced.call("verify", route=route)["proof"]
        assert pools_of(later)[f"{route}-v1"]["active"] == KEPT
        words = f"{KEPT} connections of {route}-v1 were there before"
        assert [entry["text"] for entry in later["draining"]] == [words]
        shown = sluiced.cli("verify", route)
        assert shown.returncode == 0 and f"draining: {words}\n" in shown.stdout
        assert f"draining: {words}, kept (route {route})" in sluiced.cli("status").stdout
        report, connections = clients.stop()
    assert (report["failed"], report["stacks"].keys()) == (0, {"blue"})
    assert len(connections) == KEPT


@FAMILIES
def test_reset_ends_them_at_once_and_is_proved(
        sluiced: Sluiced, tmp_path: Path, family: Family) -> None:
    route = begin_on_blue(sluiced, family)
    with load(sluiced.lab, family, tmp_path / "out", KEPT, parallel=0, pause_ms=5) as clients:
        time.sleep(0.5)
        proof = sluiced.cli_json("switch", route, "--to", f"{route}-v2",
                                 "--existing", "reset")["proof"]
        assert proof["verdict"] == "proved"
        assert pools_of(proof)[f"{route}-v1"]["active"] == 0
        wait_until_active(sluiced, route, f"{route}-v2", KEPT)
        report, connections = clients.stop()
    assert report["outcomes"] == {"reset": KEPT, "ok": KEPT}, report
    assert {c.stack for c in connections if c.outcome == "ok"} == {"green"}


@FAMILIES
def test_drain_resets_what_is_left_at_the_deadline(
        sluiced: Sluiced, tmp_path: Path, family: Family) -> None:
    route = begin_on_blue(sluiced, family)
    with load(sluiced.lab, family, tmp_path / "out", KEPT, parallel=0, pause_ms=5) as clients:
        time.sleep(0.5)
        begin = time.monotonic()
        proof = sluiced.cli_json("switch", route, "--to", f"{route}-v2", "--existing", "drain:2s",
                                 "--wait", "10s")["proof"]
        took = time.monotonic() - begin
        assert proof["verdict"] == "proved"
        assert pools_of(proof)[f"{route}-v1"]["active"] == 0
        assert 1.9 < took < 5, took
        wait_until_active(sluiced, route, f"{route}-v2", KEPT)
        report, connections = clients.stop()
    assert report["outcomes"] == {"reset": KEPT, "ok": KEPT}, report
    assert all(c.stack == "blue" for c in connections if c.outcome == "reset")


def verdict_of(sluiced: Sluiced, generation: int) -> str:
    entries = sluiced.call("history", limit=5)["generations"]
    return next(entry["verdict"] for entry in entries if entry["generation"] == generation)


def test_drain_says_draining_and_is_proved_when_the_clients_leave(
        sluiced: Sluiced, tmp_path: Path) -> None:
    route = begin_on_blue(sluiced, V4)
    with load(sluiced.lab, V4, tmp_path / "out", KEPT, parallel=0, pause_ms=5) as clients:
        time.sleep(0.5)
        proof = sluiced.cli_json("switch", route, "--to", f"{route}-v2", "--existing", "drain:60s",
                                 "--wait", "200ms", expect=3)["proof"]
        assert proof["verdict"] == "draining"
        assert proof["reason"] == f"{KEPT} connections of {route}-v1 were there before"
        assert pools_of(proof)[f"{route}-v1"]["active"] == KEPT
        assert verdict_of(sluiced, proof["generation"]) == "draining"
        report, _ = clients.stop()
        ended = time.monotonic()
        while verdict_of(sluiced, proof["generation"]) != "proved":
            assert time.monotonic() - ended < 15  # not the 60 s of the deadline
            time.sleep(0.1)
    assert report["failed"] == 0
