"""The control socket under abuse: whoever misbehaves harms nobody else."""

from __future__ import annotations

import json
import os
import random
import socket
import stat
import subprocess
import time

import pytest
from sluicelab.control import Control, ControlError
from sluicelab.daemon import Sluiced
from sluicelab.shell import binary
from traffic import V4, in_client

SEED = 7
IDLE_CLIENTS = 1000
HUGE_LINE = 100 << 20
QUICK_S = 1.0


def connect(sluiced: Sluiced, timeout_s: float = 20) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(timeout_s)
    client.connect(str(sluiced.lab.socket_path))
    return client


def assert_well(sluiced: Sluiced) -> None:
    """Others are served, and quickly; traffic flows."""
    begin = time.monotonic()
    assert sluiced.status()["workers"]
    assert time.monotonic() - begin < QUICK_S
    assert in_client(sluiced.lab, "curl", "-sf", "-m5", f"http://{V4.virtual}/").stdout


def resident_kb(sluiced: Sluiced) -> int:
    with open(f"/proc/{sluiced.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def test_the_socket_is_not_for_everybody(sluiced: Sluiced) -> None:
    mode = os.stat(sluiced.lab.socket_path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660


@pytest.mark.parametrize("line,code", [
    (b"{", -32700),
    (b"\xff\xfe\x00garbage", -32700),
    (b"[" * 100_000, -32700),
    (b'"text"', -32600),
    (b"[]", -32600),
    (b'{"id": 1}', -32600),
    (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "no.such"}', -32601),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "route.weight", "params": {}}', -32602),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "route.weight", "params": {"route": 1}}', -32602),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "status", "params": 7}', -32602),
], ids=range(11))
def test_a_wrong_line_gets_its_error_and_the_next_is_served(
        sluiced: Sluiced, line: bytes, code: int) -> None:
    with connect(sluiced) as client, client.makefile("rb") as lines:
        client.sendall(line + b"\n")
        answer = json.loads(lines.readline())
        assert answer["error"]["code"] == code, answer
        client.sendall(b'{"jsonrpc": "2.0", "id": 2, "method": "status"}\n')
        answer = json.loads(lines.readline())
        assert answer["id"] == 2 and "result" in answer
    assert_well(sluiced)


def test_garbage_of_all_sizes(sluiced: Sluiced) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    for _ in range(100):
        with connect(sluiced) as client:
            try:
                client.sendall(chance.randbytes(chance.randrange(1, 100_000)))
            except (BrokenPipeError, ConnectionResetError):
                pass  # it may hang up on us
    assert_well(sluiced)


def test_a_line_of_100_mb_is_refused_without_keeping_it(sluiced: Sluiced) -> None:
    before = resident_kb(sluiced)
    with connect(sluiced, timeout_s=60) as client:
        answer = b""
        try:
            sent, chunk = 0, b"x" * (1 << 20)
            while sent < HUGE_LINE:
                client.sendall(chunk)
                sent += len(chunk)
                if sent % (16 << 20) == 0:
                    assert sluiced.status()["workers"]
            client.sendall(b"\n")
            answer = client.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            pass  # hanging up is an answer too
        if answer:
            assert json.loads(answer.splitlines()[0])["error"]["code"] in (-32700, -32600)
    assert resident_kb(sluiced) - before < 40 << 10
    assert_well(sluiced)


def test_a_thousand_idle_clients(sluiced: Sluiced) -> None:
    clients = [connect(sluiced) for _ in range(IDLE_CLIENTS)]
    try:
        assert_well(sluiced)
        clients[500].sendall(b'{"jsonrpc": "2.0", "id": 1, "method": "status"}\n')
        assert b'"result"' in clients[500].recv(65536)
    finally:
        for client in clients:
            client.close()
    assert_well(sluiced)


def test_half_closed_peers_still_get_their_answer(sluiced: Sluiced) -> None:
    for _ in range(50):
        with connect(sluiced) as client:
            client.sendall(b'{"jsonrpc": "2.0", "id": 1, "method": "history"}\n')
            client.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as lines:
                assert "result" in json.loads(lines.readline())
                assert lines.readline() == b""  # and then it closes
    assert_well(sluiced)


def test_a_peer_that_never_reads(sluiced: Sluiced) -> None:
    with connect(sluiced, timeout_s=2) as client:
        request = b'{"jsonrpc": "2.0", "id": 1, "method": "status"}\n' * 1000
        try:
            for _ in range(200):
                client.sendall(request)
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass
        assert_well(sluiced)
    assert_well(sluiced)
    assert resident_kb(sluiced) < 1 << 20


def test_a_peer_that_leaves_in_the_middle_of_a_change(sluiced: Sluiced) -> None:
    generation = sluiced.status()["generation"]
    for version in ("v2", "v1"):
        with connect(sluiced) as client:
            request = {"jsonrpc": "2.0", "id": 1, "method": "route.switch",
                       "params": {"route": "web", "to": f"web-{version}"}}
            client.sendall(json.dumps(request).encode() + b"\n")
    deadline = time.monotonic() + 10
    wanted = [(generation + 2, "proved"), (generation + 1, "proved")]
    while (told := [(entry["generation"], entry["verdict"])
                    for entry in sluiced.call("history", limit=2)["generations"]]) != wanted:
        assert time.monotonic() < deadline, told
        time.sleep(0.05)


def test_watch_tells_every_watcher(sluiced: Sluiced) -> None:
    watchers = [Control(sluiced.lab.socket_path) for _ in range(10)]
    try:
        for watcher in watchers:
            assert watcher.call("watch") == {"watching": True}
        proof = sluiced.call("route.switch", route="web", to="web-v2")["proof"]
        for watcher in watchers:
            seen = set()
            while "proof" not in seen:
                event = watcher.read_message()
                assert event["method"] == "event"
                if event["params"].get("generation") == proof["generation"]:
                    seen.add(event["params"]["type"])
            assert seen == {"generation", "acknowledged", "proof"}
        assert proof["verdict"] == "proved"
    finally:
        for watcher in watchers:
            watcher.close()
        sluiced.call("route.switch", route="web", to="web-v1")


def test_many_watch_and_ask_at_once(sluiced: Sluiced) -> None:
    """200 watchers get every event while 2,000 requests are answered, beside watchers that never
    read (what becomes of those after 30 s: tests/ctrl/control/rpc_server_test.cc)."""
    before_kb = resident_kb(sluiced)
    load = subprocess.Popen(
        [binary("tests/e2e/tools/control_load"), "--socket", str(sluiced.lab.socket_path),
         "--watchers", "200", "--stuck", "20", "--rate", "1000", "--count", "2000",
         "--methods", "status,config.get:pool,health"], stdout=subprocess.PIPE, text=True)
    try:
        assert load.stdout.readline() == "ready\n"
        begin, changes = time.monotonic(), 0
        while changes < 30 or time.monotonic() - begin < 2.2:
            changes += 1
            proof = sluiced.call("route.weight", route="dns", weights={"dns-v2": changes})["proof"]
            assert proof["verdict"] == "proved"
        load.terminate()
        report = json.loads(load.communicate(timeout=120)[0])
    finally:
        load.kill()
        load.wait()
    assert report["answered"] == report["asked"] == 2000 and report["errors"] == 0
    assert len(report["events"]) == 200
    for events in report["events"]:
        assert {events.get(kind) for kind in ("generation", "acknowledged", "proof")} == {changes}
        assert "lost" not in events
    assert resident_kb(sluiced) - before_kb < 64 << 10
    assert_well(sluiced)


def test_expected_generation_keeps_two_operators_apart(sluiced: Sluiced) -> None:
    now = sluiced.status()["generation"]
    sluiced.call("route.weight", route="web", weights={"web-v2": 1}, expect_generation=now)
    with pytest.raises(ControlError) as refused:
        sluiced.call("route.weight", route="web", weights={"web-v2": 2}, expect_generation=now)
    assert refused.value.code == 2
    assert sluiced.status()["generation"] == now + 1
