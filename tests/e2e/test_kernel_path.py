"""The kernel as slow path: ARP, ND, ping, connections of the node itself, and what it learns."""

from __future__ import annotations

import subprocess
import time

import pytest
from sluicelab import namespaces
from sluicelab.config import LabConfig
from sluicelab.daemon import Sluiced
from sluicelab.topology import NODE_BACK, NODE_FRONT
from traffic import V4, V6, Family, in_client

LAB_CONFIG = LabConfig(weights={"web": (50, 50), "web6": (50, 50)})
FAMILIES = pytest.mark.parametrize("family", [V4, V6], ids=lambda family: family.name)


def ping(sluiced: Sluiced, role: str, address: str, count: int = 5) -> subprocess.CompletedProcess:
    return subprocess.run(
        sluiced.lab.within(role, "ping", "-n", "-q", "-c", str(count), "-i", "0.05", "-W", "2",
                           address), text=True, capture_output=True, check=False)


def verdicts(sluiced: Sluiced) -> dict[str, int]:
    return sluiced.status()["verdicts"]


@pytest.mark.parametrize("address", [V4.virtual, V6.virtual, NODE_FRONT[0], NODE_FRONT[1]])
def test_clients_can_ping_virtual_and_own_addresses(sluiced: Sluiced, address: str) -> None:
    before = verdicts(sluiced).get("icmp", 0)
    done = ping(sluiced, "client", address.partition("/")[0])
    assert done.returncode == 0 and " 0% packet loss" in done.stdout, done.stdout
    assert verdicts(sluiced)["icmp"] >= before + 5


@pytest.mark.parametrize("role,address", [
    ("blue", NODE_BACK[0]), ("blue", NODE_BACK[1]), ("green", NODE_BACK[0]),
    ("node", "10.0.2.11"), ("node", "fd00:3::11"), ("node", "10.0.0.10")])
def test_ping_works_both_ways_on_every_port(sluiced: Sluiced, role: str, address: str) -> None:
    done = ping(sluiced, role, address.partition("/")[0])
    assert done.returncode == 0 and " 0% packet loss" in done.stdout, done.stdout


@FAMILIES
def test_arp_and_nd_resolve_afresh(sluiced: Sluiced, family: Family) -> None:
    before = verdicts(sluiced)
    namespaces.ip(sluiced.lab.namespace("client"), "neigh flush all")
    assert in_client(sluiced.lab, "curl", "-sf", "-m5", url(family)).stdout
    after = verdicts(sluiced)
    counted = "icmp" if family is V6 else "not_ip"
    assert after[counted] > before.get(counted, 0)
    table = in_client(sluiced.lab, "ip", "neigh", "show", family.virtual).stdout
    front = next(port for port in sluiced.status()["ports"] if port["name"] == "front")
    assert front["mac"] in table


def url(family: Family) -> str:
    return f"http://[{family.virtual}]/" if family is V6 else f"http://{family.virtual}/"


@pytest.mark.parametrize("address", ["10.0.1.11", "10.0.2.12", "[fd00:2::12]", "[fd00:3::11]"])
def test_the_node_itself_reaches_backends(sluiced: Sluiced, address: str) -> None:
    done = subprocess.run(
        sluiced.lab.within("node", "curl", "-sf", "-m5", f"http://{address}:8080/"),
        text=True, capture_output=True, check=True)
    assert address.strip("[]") in done.stdout


def test_addresses_stand_on_the_taps(sluiced: Sluiced) -> None:
    node = sluiced.lab.namespace("node")
    shown = subprocess.run(["ip", "-n", node, "-br", "address"], text=True, capture_output=True,
                           check=True).stdout
    front = next(line for line in shown.splitlines() if line.startswith("tap-front"))
    for address in (*NODE_FRONT, f"{V4.virtual}/32", f"{V6.virtual}/128"):
        assert address in front.split(), front


def test_other_ports_of_a_virtual_address_are_the_kernels(sluiced: Sluiced) -> None:
    """Nobody listens there: the kernel's own RST, and a punt counted."""
    before = verdicts(sluiced).get("no_listener", 0)
    done = in_client(sluiced.lab, "curl", "-s", "-m3", f"http://{V4.virtual}:81/", check=False)
    assert done.returncode == 7  # connection refused
    assert verdicts(sluiced)["no_listener"] > before


def wait_for_answer(sluiced: Sluiced, family: Family, stack: str, patience_s: float) -> None:
    """Every one of 20 connections in a row is answered by `stack`."""
    deadline = time.monotonic() + patience_s
    good = 0
    while good < 20:
        done = in_client(sluiced.lab, "curl", "-sf", "-m2", url(family), check=False)
        good = good + 1 if done.stdout.startswith(stack) else 0
        assert time.monotonic() < deadline, f"after {patience_s} s: {done}"


@FAMILIES
def test_a_new_mac_of_a_backend_is_taken_up(sluiced: Sluiced, family: Family) -> None:
    """As after a failover of a machine that keeps its address: it announces its new MAC."""
    route, blue = "web" + family.suffix, sluiced.lab.namespace("blue")
    sluiced.cli_json("switch", route, "--to", f"{route}-v1")
    wait_for_answer(sluiced, family, "blue", 5)
    last = 1 if family is V4 else 2
    namespaces.ip(blue, f"link set eth0 address 02:00:00:00:aa:0{last}")
    for address in ("10.0.1.11", "10.0.1.12", "fd00:2::11", "fd00:2::12"):
        node = NODE_BACK[1 if ":" in address else 0].partition("/")[0]
        subprocess.run(sluiced.lab.within("blue", "ping", "-n", "-c1", "-W1", "-I", address, node),
                       capture_output=True, check=False)
    wait_for_answer(sluiced, family, "blue", 15)


@FAMILIES
def test_a_new_mac_of_the_gateway_is_taken_up(sluiced: Sluiced, family: Family) -> None:
    """Nobody announces it: the kernel's own probing finds out, here with less patience."""
    route, router = "web" + family.suffix, sluiced.lab.namespace("router")
    for ip in ("ipv4", "ipv6"):
        namespaces.set_sysctls(sluiced.lab.namespace("node"), {
            f"net.{ip}.neigh.tap-back.base_reachable_time_ms": 1000,
            f"net.{ip}.neigh.tap-back.delay_first_probe_time": 1})
    sluiced.cli_json("switch", route, "--to", f"{route}-v2")
    wait_for_answer(sluiced, family, "green", 15)  # the other family's turn changed the MAC too
    last = 1 if family is V4 else 2
    namespaces.ip(router, f"link set back address 02:00:00:00:bb:0{last}")
    wait_for_answer(sluiced, family, "green", 15)


def test_a_lost_route_makes_backends_unresolved_and_back(sluiced: Sluiced) -> None:
    node = sluiced.lab.namespace("node")
    namespaces.ip(node, "route del 10.0.2.0/24")
    sluiced.wait_usable("web-v2", 0)
    sluiced.lab.topology.add_far_routes("tap-back")
    sluiced.wait_usable("web-v2", 2)
    sluiced.cli_json("switch", "web", "--to", "web-v2")
    wait_for_answer(sluiced, V4, "green", 5)


def test_replies_follow_a_client_that_changes_its_mac(sluiced: Sluiced) -> None:
    for family, mac in ((V4, "02:00:00:00:cc:01"), (V6, "02:00:00:00:cc:02")):
        namespaces.ip(sluiced.lab.namespace("client"), f"link set eth0 address {mac}")
        done = in_client(sluiced.lab, "curl", "-sf", "-m5", url(family))
        assert done.stdout
