"""Passive signals: backends that clients cannot use while their active check, on another port,
goes on passing. The pool says what follows: out at once, or a look at once."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sluicelab import namespaces
from sluicelab.config import LabConfig
from sluicelab.daemon import Sluiced
from test_health_checks import until
from traffic import V4

BROKEN, WELL = "10.0.1.11", "10.0.1.12"
CHECK = 'interval = "200ms", timeout = "200ms", rise = 1, fall = 2, port = 9000'
PASSIVE = 'passive = { failures = 4, window = "5s"%s }'
EJECT = PASSIVE % ", eject = true" + ', flap_hold = "500ms", flap_hold_max = "1s"'
# web is served from port 8080; what is checked is port 9000 of the same machines.
LAB_CONFIG = LabConfig(health=f"{CHECK}, {EJECT}", timeouts='tcp_syn = "1s"')


def health(sluiced: Sluiced) -> dict:
    """What is known about the broken backend."""
    found = sluiced.call("health", pool="web-v1")["pools"][0]["backends"]
    return next(each for each in found if each["backend"].startswith(BROKEN))


def backend(sluiced: Sluiced, address: str = BROKEN) -> dict:
    return next(each for each in sluiced.pool("web-v1")["backends"] if each["address"] == address)


def given_while_down(sluiced: Sluiced) -> int | None:
    """Connections that the broken backend got during ten of the other one; None: not down so long."""
    first, others = backend(sluiced), backend(sluiced, WELL)["connections"]
    until("others", lambda: backend(sluiced, WELL)["connections"] >= others + 10)
    last = backend(sluiced)
    if not first["state"] == last["state"] == "down" or last["since_ms"] < first["since_ms"]:
        return None
    return last["connections"] - first["connections"]


class Clients:
    """Handshakes one after the other until close(); nobody waits long for one."""

    def __init__(self, sluiced: Sluiced) -> None:
        self._sluiced, self._open = sluiced, True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with namespaces.entered(self._sluiced.lab.namespace("client")):
            while self._open:
                with contextlib.suppress(OSError):
                    socket.create_connection((V4.virtual, 80), timeout=0.1).close()
                time.sleep(0.01)

    def close(self) -> None:
        self._open = False
        self._thread.join(timeout=10)


@pytest.fixture
def clients(sluiced: Sluiced) -> Iterator[Clients]:
    sluiced.wait_all_usable()
    running = Clients(sluiced)
    yield running
    running.close()


@contextlib.contextmanager
def resetting(sluiced: Sluiced) -> Iterator[None]:
    """Nobody listens where clients are sent: each gets a RST."""
    lab = sluiced.lab
    lab.processes.stop("nginx-blue-1", signal.SIGKILL)
    try:
        yield
    finally:
        lab.start_backend("blue-1")


@contextlib.contextmanager
def silent(sluiced: Sluiced) -> Iterator[None]:
    """SYNs are not answered: what the server would send from this port has no route."""
    rule = f"from {BROKEN} ipproto tcp sport 8080 blackhole"
    blue = sluiced.lab.namespace("blue")
    namespaces.ip(blue, f"rule add {rule}")
    try:
        yield
    finally:
        namespaces.ip(blue, f"rule del {rule}")


@pytest.mark.parametrize("trouble,told", [(resetting, "handshakes refused"),
                                          (silent, "unanswered within 5s")])
def test_it_is_taken_out_held_and_returns(
        sluiced: Sluiced, clients: Clients, trouble, told: str) -> None:
    with trouble(sluiced), sluiced.control() as watcher:
        watcher.call("watch")
        holds: list[int] = []
        while len(holds) < 2:  # its probes pass: it is back, and out again for a hold
            event = watcher.read_message()["params"]
            if event["type"] != "health" or event["backend"] != f"{BROKEN}:8080":
                continue
            if event["state"] == "down":
                assert told in event["reason"], event
                holds.append(event["hold_ms"])
        assert holds[1] > 300
        assert told in sluiced.cli("status").stdout
        found = health(sluiced)
        assert found["last"]["ok"] and found["flaps"] > 0, "the active check passes"
        given = []
        until("held", lambda: (now := given_while_down(sluiced)) is not None
              and (given.append(now) or True))
        assert given == [0]
    served = backend(sluiced)["connections"]
    until("it is back for good", lambda: (now := backend(sluiced))["state"] == "up"
          and now["since_ms"] > 1500 and now["connections"] > served)
    assert backend(sluiced, WELL)["state"] == "up"


def test_without_eject_the_active_check_decides(
        sluiced: Sluiced, clients: Clients, tmp_path: Path) -> None:
    """It is suspected and probed at once; the probe passes, so it stays, and the log says both."""
    path = tmp_path / "look.toml"
    path.write_text(sluiced.config_path.read_text().replace(EJECT, PASSIVE % ""))
    assert sluiced.cli("apply", str(path)).returncode == 0
    try:
        with resetting(sluiced):
            until("suspected", lambda: '"message":"backend suspected","pool":"web-v1"'
                  in sluiced.log_path.read_text())
            probed = health(sluiced)["successes"]
            until("and probed", lambda: health(sluiced)["successes"] > probed)
            assert backend(sluiced)["state"] == "up"
    finally:
        assert sluiced.cli("apply", str(sluiced.config_path)).returncode == 0
