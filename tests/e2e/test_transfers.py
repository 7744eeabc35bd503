"""Bytes arrive as they were sent: 1 GiB each way, 100,000 datagrams, and every checksum."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from captures import captured, judge
from sluicelab.config import LabConfig
from sluicelab.daemon import Sluiced
from sluicelab.lab import Lab
from traffic import V4, V6, Family, ask_web, in_client, read_counters, run_tool

LAB_CONFIG = LabConfig(weights={route: (50, 50) for route in
                                ("web", "web6", "dns", "dns6", "bulk", "bulk6")})
GIB = int(os.environ.get("SLUICE_BULK_BYTES", 1 << 30))
DATAGRAMS = 100_000
FAR_ENDS = ("client", "blue", "green")
FAMILIES = pytest.mark.parametrize("family", [V4, V6], ids=lambda family: family.name)


def checksum_errors(lab: Lab) -> dict[str, int]:
    """What the kernels of the far ends have refused so far."""
    found = {}
    for role in FAR_ENDS:
        counters = read_counters(lab, role)
        found[role] = sum(counters[name] for name in
                          ("TcpInCsumErrors", "UdpInCsumErrors", "Udp6InCsumErrors",
                           "IcmpInCsumErrors", "Icmp6InCsumErrors"))
    return found


def transfer(lab: Lab, family: Family, direction: str, size: int, seed: int) -> dict:
    return run_tool(lab, "bulk", "--to", family.virtual, "--port", 9000, "--bytes", size,
                    "--direction", direction, "--seed", seed)


def echo(lab: Lab, family: Family, datagrams: int, first_port: int) -> dict:
    return run_tool(lab, "udp_clients", "--way", "echo", "--to", family.virtual, "--port", 53,
                    "--from", ",".join(family.clients), "--first-port", first_port,
                    "--flows", 64, "--datagrams", datagrams, "--window", 64)


@FAMILIES
@pytest.mark.parametrize("direction", ["put", "get"])
def test_a_gibibyte_arrives_with_the_same_sha256(
        sluiced: Sluiced, family: Family, direction: str) -> None:
    before = checksum_errors(sluiced.lab)
    report = transfer(sluiced.lab, family, direction, GIB, seed=1)
    assert report["bytes"] == GIB
    assert report["sent"] == report["arrived"]
    assert checksum_errors(sluiced.lab) == before
    print(f"{direction} {family.name}: {GIB * 8 / report['seconds'] / 1e9:.2f} Gbit/s")


@FAMILIES
def test_a_hundred_thousand_datagrams_come_back_intact(sluiced: Sluiced, family: Family) -> None:
    before = checksum_errors(sluiced.lab)
    report = echo(sluiced.lab, family, DATAGRAMS, 20_000)
    assert report["sent"] == DATAGRAMS
    assert (report["intact"], report["corrupt"], report["lost"], report["strange"]) == (
        DATAGRAMS, 0, 0, 0), report
    assert checksum_errors(sluiced.lab) == before


@FAMILIES
def test_every_checksum_at_the_far_ends_is_right(
        sluiced: Sluiced, tmp_path: Path, family: Family) -> None:
    files = {role: tmp_path / f"{role}.pcap" for role in FAR_ENDS}
    lab = sluiced.lab
    with captured(lab, "client", files["client"]), captured(lab, "blue", files["blue"]), \
            captured(lab, "green", files["green"]):
        report, _ = ask_web(lab, family, 1000, 50_000, tmp_path / "answers", parallel=8)
        assert report["failed"] == 0
        assert echo(lab, family, 2000, 21_000)["intact"] == 2000
        for seed, direction in enumerate(("put", "get")):
            done = transfer(lab, family, direction, 4 << 20, seed)
            assert done["sent"] == done["arrived"]
        in_client(lab, "ping", "-c", "3", "-i", "0.2", "-W", "2", family.virtual)
    for role, file in files.items():
        verdict = judge(file)
        assert verdict["bad"] == 0, (role, verdict["errors"])
        assert verdict["cut"] == 0 and verdict["tcp"] > 1000 and verdict["udp"] > 500, verdict
    ip = "ipv6" if family is V6 else "ipv4"
    assert judge(files["client"])[ip] > 5000
