"""What goes wrong with traffic shaping, provoked: how it shows, and that it ends safely.

One test a row of the failure catalogue; README.md says where the other rows are.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from responder import Responder
from sluicelab import namespaces
from sluicelab.config import LabConfig
from sluicelab.daemon import Sluiced
from test_health_checks import until
from test_held_worker import held, worker_threads
from traffic import V4, ask_web, in_client, load, read_metric

HEALTH = 'interval = "200ms", timeout = "200ms", rise = 1, fall = 2'
LAB_CONFIG = LabConfig(health=HEALTH, weights={"web": (95, 5)})
CLIENTS = 1500
FLAP_HOLDS_MS = (500, 1000, 2000)  # each twice the one before, up to the most
FLAPPING_PORT = 7300


@pytest.fixture(autouse=True)
def split(sluiced: Sluiced) -> Iterator[None]:
    """Every row begins with 95 : 5, all backends usable and no connection."""
    sluiced.call("route.weight", route="web", weights={"web-v1": 95, "web-v2": 5},
                 existing="reset")
    sluiced.wait_all_usable()
    yield


def pools(sluiced: Sluiced) -> dict[str, dict]:
    """The pools of the route: weights, decisions, what is active."""
    return {pool["pool"]: pool for pool in sluiced.route("web")["rules"][0]["pools"]}


def canary(proof: dict) -> dict:
    return next(pool for pool in proof["pools"] if pool["pool"] == "web-v2")


def verified(sluiced: Sluiced) -> dict:
    return canary(sluiced.call("verify", route="web")["proof"])


def canary_port(sluiced: Sluiced) -> int:
    """A source port from which connections of the first client go to the canary."""
    with sluiced.control() as control:
        return next(port for port in range(30_000, 31_000) if control.call(
            "explain", protocol="tcp", source=f"{V4.clients[0]}:{port}",
            destination=f"{V4.virtual}:80")["pool"] == "web-v2")


def connect_often(sluiced: Sluiced, port: int, times: int) -> None:
    """The same tuple again and again; each connection ends with a RST and leaves nothing behind."""
    with namespaces.entered(sluiced.lab.namespace("client")):
        for _ in range(times):
            with socket.socket() as client:
                client.settimeout(5)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.bind((V4.clients[0], port))
                client.connect((V4.virtual, 80))


def test_one_client_makes_most_connections(sluiced: Sluiced, tmp_path: Path) -> None:
    """Canary gets too much: weights count connections, and most come from one client's tuple."""
    time.sleep(1.2)  # the window of `verify` begins
    ask_web(sluiced.lab, V4, CLIENTS, 10_000, tmp_path / "out")
    assert abs(verified(sluiced)["z"]) < 4.5, "independent clients get the share that was asked"
    port = canary_port(sluiced)
    connect_often(sluiced, port, 300)
    found = verified(sluiced)
    assert found["weight"] == 5 and found["share_window"] > 0.1 and found["z"] > 10
    told = sluiced.cli("verify", "web").stdout
    assert "pool web-v2 got" in told and "standard deviations" in told, told
    done = sluiced.cli_json("weight", "web", "web-v2=0")["proof"]
    assert done["verdict"] == "proved"
    connect_often(sluiced, port, 20)
    after = verified(sluiced)
    assert (after["stale_decisions"], after["slots"]) == (0, 0)
    assert pools(sluiced)["web-v2"]["decisions"] == canary(done)["decisions_before"]


def test_connections_are_reused(sluiced: Sluiced, tmp_path: Path) -> None:
    """Canary gets too much: clients that keep their connections stay when its weight is lowered."""
    sluiced.cli_json("weight", "web", "web-v1=50", "web-v2=50")
    with load(sluiced.lab, V4, tmp_path / "out", kept=24, parallel=0, pause_ms=5) as clients:
        until("all connected", lambda: sum(p["active"] for p in pools(sluiced).values()) == 24)
        lowered = canary(sluiced.cli_json("weight", "web", "web-v1=100", "web-v2=0")["proof"])
        assert lowered["active"] > 0, "the proof says that they are still there"
        emptied = sluiced.cli_json("weight", "web", "web-v2=0", "--existing", "drain:500ms",
                                   "--wait", "10s")["proof"]
        assert (emptied["verdict"], canary(emptied)["active"]) == ("proved", 0)
        _, connections = clients.stop()
    resets = [each for each in connections if each.outcome == "reset"]
    assert len(resets) == lowered["active"] and {each.stack for each in resets} == {"green"}


def test_canary_is_dead(sluiced: Sluiced, tmp_path: Path) -> None:
    """Canary gets nothing: every backend of it is down."""
    before = read_metric(sluiced, "sluice_connections_refused_total", pool="web-v2")
    for name in ("green-1", "green-2"):
        sluiced.lab.kill_backend(name)
    try:
        sluiced.wait_usable("web-v2", 0)
        report, _ = ask_web(sluiced.lab, V4, CLIENTS, 12_000, tmp_path / "out")
        told = sluiced.cli("status").stdout
        assert "10.0.2.11:8080" in told and "connect: Connection refused" in told
    finally:
        for name in ("green-1", "green-2"):
            sluiced.lab.start_backend(name)
    lost = read_metric(sluiced, "sluice_connections_refused_total", pool="web-v2") - before
    assert 0 < lost < CLIENTS * 0.1 and report["failed"] == lost, "counted, to the last one"
    assert report["stacks"]["blue"] == CLIENTS - lost, "the rest does not notice"


def test_canary_is_nowhere(sluiced: Sluiced, tmp_path: Path) -> None:
    """Canary gets nothing: nobody has its address."""
    text = sluiced.config_path.read_text()
    for host in (11, 12):
        text = text.replace(f'"10.0.2.{host}", port = 8080', f'"10.0.1.{80 + host}", port = 8080')
    path = tmp_path / "nowhere.toml"
    path.write_text(text)
    try:
        assert sluiced.cli("apply", str(path)).returncode == 0
        until("unresolved", lambda: {each["state"] for each in sluiced.pool("web-v2")["backends"]}
              == {"unresolved"})
        assert all(each["reason"] for each in sluiced.pool("web-v2")["backends"])
        assert "unresolved" in sluiced.cli("status").stdout
        assert in_client(sluiced.lab, "curl", "-sf", "--retry", "5", "--retry-connrefused",
                         "--retry-delay", "0", f"http://{V4.virtual}/").stdout
    finally:
        assert sluiced.cli("apply", str(sluiced.config_path)).returncode == 0


def test_canary_is_behind_another_rule(sluiced: Sluiced, tmp_path: Path) -> None:
    """Canary gets nothing: its rule is never reached. The change is refused, with the line."""
    text = sluiced.config_path.read_text()
    marker = '{ pool = "web-v2", weight = 5 },\n]'
    path = tmp_path / "conflict.toml"
    path.write_text(text.replace(marker, marker + '\n[[route.rule]]\n'
                                 'backends = [{ pool = "web-v2", weight = 1 }]'))
    wrong = sluiced.cli("apply", str(path))
    line = text[:text.index(marker)].count("\n") + 3
    assert wrong.returncode == 1
    assert "is never reached" in wrong.stderr and f"{path.name}:{line}" in wrong.stderr


def test_rollback_is_not_taken_up(sluiced: Sluiced) -> None:
    """Rollback is not effective: a worker still serves the tables from before."""
    for weights in (("web-v1=100", "web-v2=0"), ("web-v1=0", "web-v2=100")):
        sluiced.cli_json("weight", "web", *weights)
    [worker] = worker_threads(sluiced)
    with held(worker, 2000):
        stale = sluiced.cli_json("rollback", "--wait", "300ms", expect=3)
        assert stale["proof"]["verdict"] == "not-proved"
        assert "worker 0 has not acknowledged" in stale["proof"]["reason"]
        assert read_metric(sluiced, "sluice_worker_generation") < stale["generation"]
        assert sluiced.cli("verify", "web", "--wait", "100ms").returncode == 3
    until("proved", lambda: sluiced.cli("verify", "web").returncode == 0)
    decisions = pools(sluiced)["web-v2"]["decisions"]
    for _ in range(20):
        assert "blue" in in_client(sluiced.lab, "curl", "-sf", f"http://{V4.virtual}/").stdout
    assert pools(sluiced)["web-v2"]["decisions"] == decisions


@contextlib.contextmanager
def flapper(sluiced: Sluiced, path: Path) -> Iterator[Responder]:
    """A pool of one backend, which answers as told and is held down for longer each time."""
    responder = Responder(sluiced.lab, "blue", "10.0.1.11", FLAPPING_PORT)
    path.write_text(sluiced.config_path.read_text() + f"""
[[pool]]
name = "flapper"
backends = [{{ address = "10.0.1.11", port = {FLAPPING_PORT} }}]
[pool.health]
type = "http"
interval = "100ms"
timeout = "100ms"
rise = 1
fall = 1
flap_hold = "{FLAP_HOLDS_MS[0]}ms"
flap_hold_max = "{FLAP_HOLDS_MS[-1]}ms"
""")
    try:
        assert sluiced.cli("apply", str(path)).returncode == 0
        yield responder
    finally:
        sluiced.cli("apply", str(sluiced.config_path))
        responder.close()


def test_a_backend_flaps(sluiced: Sluiced, tmp_path: Path) -> None:
    """Failover loops: a backend fails whenever it is back. Each time it is held down for longer."""
    with flapper(sluiced, tmp_path / "flapper.toml") as responder, sluiced.control() as watcher:
        until("checked", lambda: sluiced.pool("flapper")["backends"][0]["state"] == "up")
        watcher.call("watch")
        begin = time.monotonic()
        first_revision = sluiced.status()["revision"]
        returns: list[float] = []
        holds: list[int] = []
        responder.mode = "busy"
        while len(returns) < 4:
            event = watcher.read_message()["params"]
            if event["type"] != "health" or event["pool"] != "flapper":
                continue
            responder.mode = "ok" if event["state"] == "down" else "busy"
            if event["state"] == "down":
                holds.append(event["hold_ms"])
            else:
                returns.append(time.monotonic() - begin)
        assert "flapper" in sluiced.cli("health", "flapper").stdout
        revisions = sluiced.status()["revision"] - first_revision
    allowed = [sum(FLAP_HOLDS_MS[:count]) / 1000 for count in range(4)]
    assert all(at >= least - 0.05 for at, least in zip(returns, allowed)), (returns, holds)
    assert holds[0] == 0 and all(most - 50 < hold <= most for hold, most in zip(holds[1:], FLAP_HOLDS_MS))
    assert revisions <= 2 * len(returns) + 6, "tables are made for returns and falls, not for probes"


def test_sessions_stay_where_they_began(sluiced: Sluiced, tmp_path: Path) -> None:
    """Traffic split breaks session: connections are open while the weights go up and down."""
    def backends() -> dict[str, str]:
        return {flow["client"]: flow["backend"] for flow in sluiced.flows(route="web")}

    with load(sluiced.lab, V4, tmp_path / "out", kept=24, parallel=0, pause_ms=2) as clients:
        until("all connected", lambda: len(backends()) >= 24)
        before = backends()
        for green in (5, 50, 100, 0):
            done = sluiced.cli_json("weight", "web", f"web-v1={100 - green}", f"web-v2={green}")
            assert done["proof"]["verdict"] == "proved"
        assert backends().items() >= before.items()
        report, connections = clients.stop()
    assert (report["failed"], report["mixed"]) == (0, 0)
    assert len(connections) == 24 and all(each.requests > 20 for each in connections)
