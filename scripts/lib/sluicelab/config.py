"""The lab's configuration of sluiced, as text: what an operator of this network would write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sluicelab.lab import BULK_PORT, HTTP_PORT, UDP_PORT, Lab
from sluicelab.topology import (BACKENDS, NODE_BACK, NODE_FRONT, NODE_SNAT, VIRTUAL_V4,
                               VIRTUAL_V6)

STACKS = {"v1": "blue", "v2": "green"}


@dataclass
class Service:
    """One listener per family with its pools v1 (blue) and v2 (green); "web" → web, web6, …"""

    name: str
    protocol: str
    listen_port: int
    backend_port: int
    checked: bool  # TCP health checks


SERVICES = (
    Service("web", "tcp", 80, HTTP_PORT, True),
    Service("dns", "udp", 53, UDP_PORT, False),
    Service("bulk", "tcp", 9000, BULK_PORT, True),
)


@dataclass
class LabConfig:
    worker_cores: Sequence[int] = (1,)
    memory_mb: int = 512
    max_flows: int = 131_072
    health: str = 'interval = "250ms", timeout = "200ms", rise = 2, fall = 3'
    weights: dict[str, tuple[int, int]] = field(default_factory=dict)  # route → (v1, v2)
    on_empty: str = ""  # pools' own line, for example 'on_empty = "drop"'
    hash_key: str = ""  # 32 hexadecimal digits; empty: sluiced draws one
    timeouts: str = ""  # lines of [timeouts]


def _pool(config: LabConfig, service: Service, version: str, family: str) -> str:
    members = [b.v6 if family else b.v4 for b in BACKENDS if b.version == version]
    backends = ",\n".join(
        f'  {{ address = "{address}", port = {service.backend_port} }}' for address in members)
    lines = [
        "[[pool]]",
        f'name = "{service.name}{family}-{version}"',
        f'service = "{service.name}"',
        f'version = "{version}"',
        f"backends = [\n{backends},\n]",
    ]
    if service.checked:
        lines.append(f'health = {{ type = "tcp", {config.health} }}')
    if config.on_empty:
        lines.append(config.on_empty)
    return "\n".join(lines)


def _listener_and_route(config: LabConfig, service: Service, family: str) -> str:
    name = service.name + family
    v1, v2 = config.weights.get(name, (100, 0))
    return f"""\
[[listener]]
name = "{name}"
protocol = "{service.protocol}"
address = "{VIRTUAL_V6 if family else VIRTUAL_V4}"
port = {service.listen_port}
mode = "nat"

[[route]]
name = "{name}"
listeners = ["{name}"]
[[route.rule]]
backends = [
  {{ pool = "{name}-v1", weight = {v1} }},
  {{ pool = "{name}-v2", weight = {v2} }},
]"""


def lab_config(lab: Lab, config: LabConfig | None = None) -> str:
    """A whole file. Routes and listeners: web, dns, bulk and the same with a 6 for IPv6."""
    config = config or LabConfig()
    hash_key = f'hash_key = "{config.hash_key}"\n' if config.hash_key else ""
    parts = [f"""\
[node]
name = "lab-{lab.prefix}"
main_core = 0
worker_cores = [{", ".join(map(str, config.worker_cores))}]
idle = "adaptive"             # sleeps when queues stay empty: this machine has other work
memory_mb = {config.memory_mb}
max_flows = {config.max_flows}
{hash_key}
[control]
socket = "{lab.socket_path}"
state_dir = "{lab.run_dir}/state"

[admin]
listen = "127.0.0.1:9900\""""]
    if config.timeouts:
        parts.append(f"[timeouts]\n{config.timeouts}")
    for name, addresses in (("front", NODE_FRONT), ("back", NODE_BACK + NODE_SNAT)):
        quoted = ", ".join(f'"{address}"' for address in addresses)
        parts.append(f'[[port]]\nname = "{name}"\ndevice = "af_xdp:{name}"\n'
                     f"queues = {lab.queues}\naddresses = [{quoted}]")
    for service in SERVICES:
        for family in ("", "6"):
            parts += [_pool(config, service, version, family) for version in STACKS]
            parts.append(_listener_and_route(config, service, family))
    return "\n\n".join(parts) + "\n"
