"""1, 2 and 4 workers on two cores: the same answers; each flow is at its owner and only there."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sluicelab import hugepages
from sluicelab.config import LabConfig
from sluicelab.daemon import HUGEPAGES, Sluiced
from sluicelab.lab import Lab
from traffic import V4, V6, Family, ask_dns, ask_web, load, run_tool

HASH_KEY = "000102030405060708090a0b0c0d0e0f"  # the same decisions in every lab
CORES = {1: (1,), 2: (1, 0), 4: (1, 0, 1, 0)}
QUEUES = {1: 1, 2: 2, 4: 2}  # fewer queues than workers: two of the four have none
SPLIT_ROUTES = ("web", "web6", "dns", "dns6")
FLOWS = 2000
RETA_ENTRIES = 128
RSS_KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b4"
                        "77cb2da38030f20c6a42b73bbeac01fa")  # the standard key


@pytest.fixture(scope="module", params=sorted(CORES))
def scaled(request: pytest.FixtureRequest) -> Iterator[Sluiced]:
    lab = Lab(queues=QUEUES[request.param])
    lab.down()
    try:
        lab.up()
        with hugepages.reserved(HUGEPAGES):
            config = LabConfig(worker_cores=CORES[request.param], hash_key=HASH_KEY,
                               weights={route: (60, 40) for route in SPLIT_ROUTES})
            sluiced = Sluiced(lab, config)
            sluiced.start()
            sluiced.wait_all_usable()
            yield sluiced
            sluiced.stop()
    finally:
        lab.down()


_answers_of_one_worker: dict[str, dict] = {}


def toeplitz(message: bytes) -> int:
    """The RSS hash, bit by bit as the specification words it."""
    key = int.from_bytes(RSS_KEY, "big")
    key_bits, result = len(RSS_KEY) * 8, 0
    for index in range(len(message) * 8):
        if message[index // 8] >> (7 - index % 8) & 1:
            result ^= key >> (key_bits - 32 - index) & 0xFFFFFFFF
    return result


def endpoint(text: str) -> tuple[bytes, bytes]:
    address, _, port = text.rpartition(":")
    return ipaddress.ip_address(address.strip("[]")).packed, int(port).to_bytes(2, "big")


def owner(source: str, destination: str, workers: int) -> int:
    (source_address, source_port), (address, port) = endpoint(source), endpoint(destination)
    return toeplitz(source_address + address + source_port + port) % RETA_ENTRIES % workers


def test_toeplitz_agrees_with_the_published_vectors() -> None:
    """Microsoft, "Verifying the RSS Hash Calculation"."""
    (source, source_port), (target, port) = endpoint("66.9.149.187:2794"), endpoint(
        "161.142.100.80:1766")
    assert toeplitz(source + target + source_port + port) == 0x51CCC178
    (source, source_port), (target, port) = endpoint("[3ffe:2501:200:1fff::7]:2794"), endpoint(
        "[3ffe:2501:200:3::1]:1766")
    assert toeplitz(source + target + source_port + port) == 0x40207D3D


@pytest.mark.parametrize("family", [V4, V6], ids=lambda family: family.name)
def test_answers_do_not_depend_on_the_number_of_workers(
        scaled: Sluiced, tmp_path: Path, family: Family) -> None:
    report, connections = ask_web(scaled.lab, family, FLOWS, 20_000, tmp_path / "web")
    assert (report["requests"], report["failed"], report["resets"]) == (FLOWS, 0, 0), report
    told, stacks = ask_dns(scaled.lab, family, FLOWS, 20_000, tmp_path / "dns")
    assert told["unanswered"] == 0
    answers = {"web": {c.client: c.backend for c in connections}, "dns": stacks}
    first = _answers_of_one_worker.setdefault(family.name, answers)
    assert answers == first


@pytest.mark.parametrize("family", [V4, V6], ids=lambda family: family.name)
def test_each_flow_is_at_its_owner_and_nowhere_else(
        scaled: Sluiced, tmp_path: Path, family: Family) -> None:
    workers = len(scaled.status()["workers"])
    with load(scaled.lab, family, tmp_path / "kept", kept=64, parallel=0, pause_ms=10) as clients:
        time.sleep(1.0)
        before = scaled.status()["workers"]
        time.sleep(1.0)
        after = scaled.status()["workers"]
        flows = [flow for flow in scaled.flows(route="web" + family.suffix)
                 if flow["state"] == "established"]
        report, _ = clients.stop()
    assert (report["failed"], report["mixed"]) == (0, 0), report
    assert len({flow["client"] for flow in flows}) == len(flows) >= 64
    for flow in flows:
        assert flow["worker"] == owner(flow["client"], flow["virtual"], workers), flow
        assert flow["worker"] == owner(flow["backend"], flow["snat"], workers), flow
    assert {flow["worker"] for flow in flows} == set(range(workers))
    handed = sum(a["handoff_out"] - b["handoff_out"] for a, b in zip(after, before))
    assert (handed > 0) == (workers > 1), (workers, handed)


@pytest.mark.parametrize("direction", ["put", "get"])
def test_transfers_arrive_whole(scaled: Sluiced, direction: str) -> None:
    report = run_tool(scaled.lab, "bulk", "--to", V4.virtual, "--port", 9000, "--bytes", 128 << 20,
                      "--direction", direction, "--seed", 9)
    assert report["sent"] == report["arrived"]


def test_every_worker_acknowledges_a_switch(scaled: Sluiced) -> None:
    workers = len(scaled.status()["workers"])
    for version in ("v2", "v1"):
        proof = scaled.cli_json("switch", "web", "--to", f"web-{version}")["proof"]
        assert proof["verdict"] == "proved"
        assert [w["acknowledged"] for w in proof["workers"]] == [True] * workers


def test_packets_are_all_accounted_for(scaled: Sluiced) -> None:
    """received == given a verdict, once no packet is on its way between workers."""
    with scaled.control() as control:
        for _ in range(50):
            status = control.call("status")
            received = sum(worker["rx_packets"] for worker in status["workers"])
            judged = sum(status["verdicts"].values())
            if received == judged:
                return
            time.sleep(0.1)
    raise AssertionError(f"{received} packets received, {judged} verdicts")
