"""The lab itself, with plain kernel forwarding in the place of sluiced: the others trust it."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from captures import captured, judge
from sluicelab import hugepages, namespaces
from sluicelab.lab import BULK_PORT, HTTP_PORT, UDP_PORT, Lab
from sluicelab.shell import REPOSITORY
from sluicelab.topology import BACKENDS, CLIENTS_V4, CLIENTS_V6, ROLES, Backend
from traffic import in_client, run_tool

QUEUES = 2
BULK_BYTES = 32 << 20


@pytest.fixture(scope="module")
def plain(lab: Lab) -> Lab:
    lab.topology.use_kernel_as_node()
    return lab


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_each_backend_answers_on_both_families(plain: Lab, backend: Backend) -> None:
    for address in (backend.v4, f"[{backend.v6}]"):
        answer = in_client(plain, "curl", "-si", "-m5", f"http://{address}:{HTTP_PORT}/").stdout
        assert f"X-Stack: {backend.stack}\n" in answer
        assert f"X-Version: {backend.version}\n" in answer
        assert f"X-Backend: {address.strip('[]')}\n" in answer


def test_http_clients_count_answers_and_refusals(plain: Lab, tmp_path: Path) -> None:
    arguments = ["--from", ",".join(CLIENTS_V4), "--first-port", 20000, "--count", 400,
                 "--parallel", 16, "--out", tmp_path / "c"]
    report = run_tool(plain, "http_clients", "--to", "10.0.2.12", "--port", HTTP_PORT, *arguments)
    assert (report["requests"], report["failed"], report["stacks"]) == (400, 0, {"green": 400})
    clients = {tuple(line.split()[1:3]) for line in (tmp_path / "c").read_text().splitlines()}
    assert clients == {(a, str(p)) for a in CLIENTS_V4 for p in range(20000, 20100)}
    refused = run_tool(plain, "http_clients", "--to", "10.0.2.12", "--port", 81, *arguments)
    assert (refused["requests"], refused["outcomes"]) == (0, {"refused": 400})


@pytest.mark.parametrize("address,clients", [("10.0.2.11", CLIENTS_V4), ("fd00:2::12", CLIENTS_V6)])
def test_udp_servers_name_themselves_and_echo(
        plain: Lab, tmp_path: Path, address: str, clients: tuple[str, ...]) -> None:
    common = ["--to", address, "--port", UDP_PORT, "--from", ",".join(clients),
              "--first-port", 20000]
    who = run_tool(plain, "udp_clients", "--way", "who", *common, "--flows", 200,
                   "--out", tmp_path / "who")
    stack = "green" if address == "10.0.2.11" else "blue"
    assert (who["unanswered"], who["stacks"]) == (0, {stack: 200})
    assert f" {stack} {address}\n" in (tmp_path / "who").read_text()
    echo = run_tool(plain, "udp_clients", "--way", "echo", *common, "--flows", 16,
                    "--datagrams", 5000)
    assert (echo["intact"], echo["corrupt"], echo["lost"]) == (5000, 0, 0)


@pytest.mark.parametrize("direction", ["put", "get"])
def test_bulk_transfers_hash_what_was_sent_and_what_arrived(plain: Lab, direction: str) -> None:
    report = run_tool(plain, "bulk", "--to", "10.0.1.11", "--port", BULK_PORT,
                      "--bytes", BULK_BYTES, "--direction", direction, "--seed", 3)
    assert report["sent"] == report["arrived"] and len(report["sent"]) == 64
    other = run_tool(plain, "bulk", "--to", "10.0.1.11", "--port", BULK_PORT,
                     "--bytes", BULK_BYTES, "--direction", direction, "--seed", 4)
    assert other["sent"] != report["sent"]


def test_node_has_the_queues_that_were_asked_for(plain: Lab) -> None:
    for interface in ("front", "back"):
        listing = subprocess.run(
            plain.within("node", "ls", f"/sys/class/net/{interface}/queues"),
            text=True, capture_output=True, check=True).stdout.split()
        assert sorted(listing) == ["rx-0", "rx-1", "tx-0", "tx-1"]


def test_a_killed_backend_refuses_and_comes_back(plain: Lab) -> None:
    plain.kill_backend("blue-2")
    assert not plain.backend_runs("blue-2")
    with namespaces.entered(plain.namespace("client")), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("10.0.1.12", HTTP_PORT), timeout=5)
    plain.start_backend("blue-2")
    answer = in_client(plain, "curl", "-sf", f"http://10.0.1.12:{HTTP_PORT}/").stdout
    assert answer.startswith("blue")


def _capture_with_one_wrong_byte(source: Path, target: Path) -> None:
    """Flips one payload byte of the largest frame: exactly one checksum must then fail."""
    data = bytearray(source.read_bytes())
    at, largest = 24, (0, 0)
    while at < len(data):
        length = int.from_bytes(data[at + 8:at + 12], "little")
        largest = max(largest, (length, at + 16 + length - 1))
        at += 16 + length
    data[largest[1]] ^= 0x01
    target.write_bytes(data)


def test_checksum_check_accepts_real_traffic_and_finds_a_flipped_byte(
        plain: Lab, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pcap", tmp_path / "bad.pcap"
    with captured(plain, "blue", good):
        for address in ("10.0.1.11", "[fd00:2::11]"):
            in_client(plain, "curl", "-sf", f"http://{address}:{HTTP_PORT}/")
            in_client(plain, "ping", "-c1", "-W2", address.strip("[]"))
    report = judge(good)
    assert report["bad"] == 0, report["errors"]
    assert all(report[kind] > 0 for kind in ("tcp", "icmp", "icmp6", "ipv4", "ipv6")), report
    _capture_with_one_wrong_byte(good, bad)
    assert judge(bad)["bad"] == 1


def test_down_leaves_nothing(plain: Lab) -> None:
    pids = [plain.processes.pid(name) for name in plain.processes.names()]
    assert len(pids) == 2 * len(BACKENDS) and None not in pids
    plain.down()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not any(namespaces.exists(f"{plain.prefix}-{role}") for role in ROLES)
    assert not plain.run_dir.exists()
    plain.down()


def test_lab_command_explains_itself() -> None:
    lab = str(REPOSITORY / "scripts" / "lab")
    for arguments, code, words in (
            (["--help"], 0, "scripts/lab exec client curl"),
            (["exec", "nowhere", "true"], 1, 'no namespace "nowhere"'),
            (["exec", "client", "true"], 1, "run scripts/lab up first"),
            (["frobnicate"], 2, "invalid choice")):
        done = subprocess.run([lab, *arguments], text=True, capture_output=True, check=False)
        assert (done.returncode, words in done.stdout + done.stderr) == (code, True), arguments


def test_hugepages_are_given_back() -> None:
    before = (hugepages.POOL / "nr_hugepages").read_text()
    free = int((hugepages.POOL / "free_hugepages").read_text())
    with hugepages.reserved(free + 8) as added:
        assert added >= 8
        assert int((hugepages.POOL / "free_hugepages").read_text()) >= free + 8
    assert (hugepages.POOL / "nr_hugepages").read_text() == before
