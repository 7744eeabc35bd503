"""The lab's network: who lives where, and how it is built and taken down.

    client ---- front ---- [node] ---- back ---- (switch) ---- blue
    10.0.0.10     10.0.0.2   10.0.1.2               |          10.0.1.11, .12
                                                    +--------- router 10.0.1.254
                                                                |  10.0.2.254
                                                              green 10.0.2.11, .12
"""

from __future__ import annotations

from dataclasses import dataclass

from sluicelab import namespaces

CLIENTS_V4 = tuple(f"10.0.0.{host}" for host in range(10, 14))
CLIENTS_V6 = tuple(f"fd00:1::{host}" for host in range(10, 14))
VIRTUAL_V4, VIRTUAL_V6 = "10.0.0.100", "fd00:1::100"
NODE_FRONT = ("10.0.0.2/24", "fd00:1::2/64")
NODE_BACK = ("10.0.1.2/24", "fd00:2::2/64")
# More addresses to translate to. A server that closes first keeps (address, port) in TIME_WAIT for a
# minute and may not take a new client's SYN there: about 600 connections/s an address and backend.
NODE_SNAT = tuple(address for host in range(3, 9)
                  for address in (f"10.0.1.{host}/24", f"fd00:2::{host}/64"))
ROUTER_BACK = ("10.0.1.254", "fd00:2::254")
ROUTER_FAR = ("10.0.2.254", "fd00:3::254")
FAR_NETWORKS = ("10.0.2.0/24", "fd00:3::/64")
ROLES = ("client", "node", "switch", "blue", "router", "green")


@dataclass(frozen=True)
class Backend:
    """One machine's worth of servers: an nginx and a lab_server on an IPv4 and an IPv6 address."""

    name: str
    stack: str  # "blue" | "green"; also the role of its namespace
    version: str
    v4: str
    v6: str


BACKENDS = (
    Backend("blue-1", "blue", "v1", "10.0.1.11", "fd00:2::11"),
    Backend("blue-2", "blue", "v1", "10.0.1.12", "fd00:2::12"),
    Backend("green-1", "green", "v2", "10.0.2.11", "fd00:3::11"),
    Backend("green-2", "green", "v2", "10.0.2.12", "fd00:3::12"),
)

# No duplicate address detection: addresses serve at once. No router advertisements: less noise.
_EVERYWHERE = {
    "net.ipv6.conf.all.accept_dad": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.default.accept_ra": 0,
    "net.ipv6.conf.default.router_solicitations": 0,
}
_FORWARDING = {"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1}
# Load from few addresses: a wide range of source ports, and none of the kernel's limits for guests.
_MANY_CONNECTIONS = {
    "net.ipv4.ip_local_port_range": "10000 65000",
    "net.ipv4.tcp_max_syn_backlog": 8192,
    "net.core.somaxconn": 8192,
}


class Topology:
    def __init__(self, prefix: str, queues: int) -> None:
        self._prefix = prefix
        self._queues = queues

    def namespace(self, role: str) -> str:
        return f"{self._prefix}-{role}"

    def build(self) -> None:
        for role in ROLES:
            name = self.namespace(role)
            namespaces.create(name)
            namespaces.set_sysctls(name, _EVERYWHERE)
            namespaces.ip(name, "link set lo up")
        namespaces.set_sysctls(self.namespace("router"), _FORWARDING)
        for role in ("client", "blue", "green"):
            namespaces.set_sysctls(self.namespace(role), _MANY_CONNECTIONS)
        self._link("node", "front", "client", "eth0", self._queues)
        self._link("node", "back", "switch", "node", self._queues)
        self._link("blue", "eth0", "switch", "blue")
        self._link("router", "back", "switch", "router")
        self._link("router", "far", "green", "eth0")
        self._build_switch()
        self._address()

    def destroy(self) -> None:
        for role in ROLES:
            namespaces.delete(self.namespace(role))

    def _link(self, here: str, name: str, there: str, peer: str, queues: int = 1) -> None:
        count = f"numtxqueues {queues} numrxqueues {queues}"
        home, away = self.namespace(here), self.namespace(there)
        namespaces.ip(
            home, f"link add {name} {count} type veth peer name {peer} {count} netns {away}")
        namespaces.software_checksums(home, name)
        namespaces.software_checksums(away, peer)
        namespaces.ip(home, f"link set {name} up")
        namespaces.ip(away, f"link set {peer} up")

    def _build_switch(self) -> None:
        ports = ("node", "blue", "router")
        namespaces.ip(
            self.namespace("switch"),
            "link add bridge type bridge forward_delay 0 stp_state 0 mcast_snooping 0",
            *(f"link set {port} master bridge" for port in ports),
            "link set bridge up")

    def _address(self) -> None:
        """Addresses and routes of everybody but the node, whose addresses sluiced brings."""
        ends: dict[tuple[str, str], list[str]] = {
            ("client", "eth0"): [f"{a}/24" for a in CLIENTS_V4] + [f"{a}/64" for a in CLIENTS_V6],
            ("router", "back"): [f"{ROUTER_BACK[0]}/24", f"{ROUTER_BACK[1]}/64"],
            ("router", "far"): [f"{ROUTER_FAR[0]}/24", f"{ROUTER_FAR[1]}/64"],
        }
        for backend in BACKENDS:
            ends.setdefault((backend.stack, "eth0"), []).extend(
                [f"{backend.v4}/24", f"{backend.v6}/64"])
        for (role, interface), addresses in ends.items():
            namespaces.ip(self.namespace(role),
                          *(f"address add {address} dev {interface}" for address in addresses))
        gateways = {
            "client": (NODE_FRONT[0], NODE_FRONT[1]),
            "blue": (NODE_BACK[0], NODE_BACK[1]),
            "router": (NODE_BACK[0], NODE_BACK[1]),
            "green": ROUTER_FAR,
        }
        for role, (v4, v6) in gateways.items():
            namespaces.ip(self.namespace(role),
                          f"route add default via {v4.partition('/')[0]}",
                          f"route add default via {v6.partition('/')[0]}")
        # The node's own ends carry frames for sluiced and nothing of the kernel's.
        namespaces.set_sysctls(self.namespace("node"), {
            "net.ipv6.conf.front.disable_ipv6": 1, "net.ipv6.conf.back.disable_ipv6": 1})

    def add_far_routes(self, interface: str) -> None:
        """Tells the node's kernel how to reach green; on a real node BIRD or ifupdown does this."""
        namespaces.ip(self.namespace("node"),
                      f"route replace {FAR_NETWORKS[0]} via {ROUTER_BACK[0]} dev {interface}",
                      f"route replace {FAR_NETWORKS[1]} via {ROUTER_BACK[1]} dev {interface}")

    def use_kernel_as_node(self) -> None:
        """Plain kernel forwarding in the place of sluiced: what the lab's own test uses."""
        node = self.namespace("node")
        namespaces.set_sysctls(node, _FORWARDING | {
            "net.ipv6.conf.front.disable_ipv6": 0, "net.ipv6.conf.back.disable_ipv6": 0})
        for interface, addresses in (("front", NODE_FRONT), ("back", NODE_BACK)):
            namespaces.ip(node, *(f"address add {a} dev {interface}" for a in addresses))
        self.add_far_routes("back")
