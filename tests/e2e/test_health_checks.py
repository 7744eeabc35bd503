"""Every type of health check through the real path, and what is made of its results."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from responder import Responder
from sluicelab import namespaces
from sluicelab.config import LabConfig, lab_config
from sluicelab.daemon import Sluiced
from sluicelab.lab import Lab
from traffic import V4, load

HOST = "10.0.1.11"
FAST = 'interval = "500ms", timeout = "500ms", rise = 1, fall = 2'
SLOW_START_S = 6
LAB_CONFIG = LabConfig(
    health=f'interval = "200ms", timeout = "200ms", rise = 2, fall = 2, '
           f'slow_start = "{SLOW_START_S}s"')
CHECKS = {
    "http": 'type = "http", path = "/healthz"',
    "body": 'type = "http", body = "\\"is\\": *\\"up\\"", status = "200-299,301"',
    "tls": 'type = "tls"',
    "verified": 'type = "tls", verify = true, sni = "orders.example", ca_file = "{ca}"',
    "https": 'type = "https", body = "up"',
    "udp": 'type = "udp", send_hex = "50 49 4e 47", expect = "PONG PING"',
    "flap": 'type = "http", flap_hold = "1s", flap_hold_max = "2s", flap_window = "1m"',
    "shared": 'type = "http", path = "/healthz"',
}
PORTS = {name: 7001 + index for index, name in enumerate(CHECKS)} | {"shared": 7001}
TLS = ("tls", "verified", "https")


def until(what: str, condition, patience_s: float = 15.0) -> float:
    """Seconds until `condition()` holds."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < patience_s, f"not in {patience_s} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - begin


def backend(sluiced: Sluiced, pool: str) -> dict:
    return sluiced.call("health", pool=pool)["pools"][0]["backends"][0]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Expired a moment after it was made; its own authority."""
    path = tmp_path_factory.mktemp("tls") / "orders.pem"
    key, request = path.with_suffix(".key"), path.with_suffix(".csr")
    for command in (
            ["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=orders.example",
             "-keyout", key, "-out", request],
            ["x509", "-req", "-in", request, "-signkey", key, "-days", "0", "-out", path]):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
    path.write_text(path.read_text() + key.read_text())
    return path


@pytest.fixture(scope="module")
def responders(sluiced: Sluiced, lab: Lab, certificate: Path,
               tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Responder]]:
    """One for each check, and the pools that are checked so, applied to the running sluiced."""
    started = {name: Responder(lab, "blue", HOST, port, certificate if name in TLS else None)
               for name, port in PORTS.items() if name != "shared"}
    pools = [f'[[pool]]\nname = "t-{name}"\nbackends = [{{ address = "{HOST}", '
             f'port = {PORTS[name]} }}]\nhealth = {{ {check.replace("{ca}", str(certificate))}, '
             f'{FAST} }}' for name, check in CHECKS.items()]
    path = tmp_path_factory.mktemp("config") / "checks.toml"
    path.write_text(lab_config(lab, LAB_CONFIG) + "\n" + "\n\n".join(pools) + "\n")
    applied = sluiced.cli("apply", str(path))
    assert applied.returncode == 0, applied.stdout + applied.stderr
    yield started
    for responder in started.values():
        responder.close()


def test_good_answers_pass(sluiced: Sluiced, responders: dict[str, Responder]) -> None:
    for name, text in (("http", "HTTP 200"), ("body", "HTTP 200, body as wanted"),
                       ("tls", "TLSv1.3, but the certificate has expired"),
                       ("https", "HTTP 200, body as wanted, but the certificate has expired"),
                       ("udp", "answered")):
        until(f"{name}: {text}",
              lambda: (backend(sluiced, f"t-{name}")["last"] or {}).get("text") == text)
        until(f"{name} is up", lambda: backend(sluiced, f"t-{name}")["up"])
        assert backend(sluiced, f"t-{name}")["last"]["latency_ms"] > 0


def test_bad_answers_bring_it_down_and_good_ones_back(
        sluiced: Sluiced, responders: dict[str, Responder]) -> None:
    rounds = ({"http": ("busy", "HTTP 503, wanted 200-299"),
               "body": ("slow", "HTTP 200, body not complete within 500 ms"),
               "udp": ("silent", "udp: no answer within 500 ms")},
              {"http": ("hang", "HTTP: no answer within 500 ms"),
               "body": ("rst", "receive: Connection reset by peer")})
    for cases in rounds:
        for name, (mode, _) in cases.items():
            responders[name].mode = mode
        for name, (_, reason) in cases.items():
            until(f"{name} is down: {reason}",
                  lambda: not (found := backend(sluiced, f"t-{name}"))["up"]
                  and found["reason"] == reason)
            assert reason in sluiced.cli("health", f"t-{name}").stdout
        for name in cases:
            responders[name].mode = "ok"
        for name in cases:
            until("up again", lambda: backend(sluiced, f"t-{name}")["up"])


def test_an_expired_certificate_fails_where_it_is_verified(
        sluiced: Sluiced, responders: dict[str, Responder]) -> None:
    until("it is down", lambda: not (found := backend(sluiced, "t-verified"))["up"]
          and found["reason"] == "TLS: certificate has expired")


def test_pools_with_the_same_check_share_its_probe(
        sluiced: Sluiced, responders: dict[str, Responder]) -> None:
    assert backend(sluiced, "t-shared")["shared_by"] == 2
    responders["http"].asked.clear()
    time.sleep(2)
    assert len(responders["http"].asked) <= 6, "4 intervals; two probes each would be 8"


def test_flapping_is_held_down(sluiced: Sluiced, responders: dict[str, Responder]) -> None:
    responder, holds = responders["flap"], []
    for _ in range(3):
        responder.mode = "busy"
        until("down", lambda: not backend(sluiced, "t-flap")["up"])
        begin, found = time.monotonic(), backend(sluiced, "t-flap")
        holds.append(found["hold_ms"])
        responder.mode = "ok"
        until("up", lambda: backend(sluiced, "t-flap")["up"])
        assert time.monotonic() - begin >= found["hold_ms"] / 1000 - 0.05
    assert 0 < holds[-1] <= 2000 and holds[-1] > holds[0]


def test_slow_start_shows_in_the_counters(sluiced: Sluiced, tmp_path: Path) -> None:
    def counters() -> dict[str, int]:
        return {each["address"]: each["connections"]
                for each in sluiced.pool("web-v1")["backends"]}

    def share(before: dict[str, int], after: dict[str, int]) -> float:
        given = {address: after[address] - before[address] for address in after}
        return given["10.0.1.11"] / sum(given.values())

    lab = sluiced.lab
    lab.kill_backend("blue-1")
    sluiced.wait_usable("web-v1", 1)
    first_revision = sluiced.status()["revision"]
    with load(lab, V4, tmp_path / "out", kept=0, parallel=4, pause_ms=2) as clients:
        lab.start_backend("blue-1")
        sluiced.wait_usable("web-v1", 2)
        begin = counters()
        time.sleep(SLOW_START_S * 0.2)
        early = share(begin, counters())
        until("whole weight", lambda: all(
            each["weight_percent"] == 100 for each in sluiced.pool("web-v1")["backends"]))
        begin = counters()
        time.sleep(1.5)
        late = share(begin, counters())
        clients.stop()
    assert early < 0.3, "10 to 30 % of its weight at first"
    assert 0.4 < late < 0.6
    # Ten steps in each of four pools that blue-1 is in, told together where they fall together.
    assert sluiced.status()["revision"] - first_revision < 60


@pytest.mark.parametrize(("policy", "answers"), [("spread", True), ("fail", False)])
def test_panic_is_explicit(sluiced: Sluiced, tmp_path: Path, policy: str, answers: bool) -> None:
    lab = sluiced.lab
    marker = 'name = "web-v1"\n'
    text = lab_config(lab, LAB_CONFIG)
    path = tmp_path / "panic.toml"
    path.write_text(text.replace(
        marker, f'{marker}panic = "{policy}"\npanic_below_percent = 60\n'))
    assert sluiced.cli("apply", str(path)).returncode == 0
    sluiced.wait_usable("web-v1", 2)
    lab.kill_backend("blue-1")
    try:
        until("panic", lambda: sluiced.pool("web-v1")["panic_active"])
        serving = {each["address"] for each in sluiced.pool("web-v1")["backends"]
                   if each["serving"]}
        assert serving == ({"10.0.1.11", "10.0.1.12"} if answers else set())
        assert f'panic "{policy}" below 60 % IN FORCE' in sluiced.cli("health", "web-v1").stdout
        with namespaces.entered(lab.namespace("node")):
            metrics = urllib.request.urlopen("http://127.0.0.1:9900/metrics", timeout=10).read()
            page = urllib.request.urlopen("http://127.0.0.1:9900/health", timeout=10).read()
        assert f'sluice_pool_panic{{pool="web-v1",policy="{policy}"}} 1'.encode() in metrics
        assert b"sluice_health_probe_lateness_seconds_bucket" in metrics
        assert b'"panic_active":true' in page
        assert "pool in panic" in sluiced.log_path.read_text()
    finally:
        lab.start_backend("blue-1")
    until("calm", lambda: not sluiced.pool("web-v1")["panic_active"])
