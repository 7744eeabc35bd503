"""Traffic in a lab: the C++ clients as functions that return their reports."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sluicelab import namespaces
from sluicelab.daemon import Sluiced
from sluicelab.lab import Lab
from sluicelab.shell import binary
from sluicelab.topology import CLIENTS_V4, CLIENTS_V6, VIRTUAL_V4, VIRTUAL_V6


@dataclass(frozen=True)
class Family:
    """Addresses of one IP version; `suffix` is that of the lab's route and pool names."""

    name: str
    suffix: str
    virtual: str
    clients: tuple[str, ...]


V4 = Family("ipv4", "", VIRTUAL_V4, CLIENTS_V4)
V6 = Family("ipv6", "6", VIRTUAL_V6, CLIENTS_V6)


@dataclass(frozen=True)
class Connection:
    """One line of http_clients: times are CLOCK_MONOTONIC seconds."""

    kept: bool
    client: tuple[str, int]
    stack: str
    backend: str
    start: float
    end: float
    requests: int
    outcome: str


def tool(lab: Lab, name: str, *arguments: object) -> list[str]:
    """The command line of a client tool in the client namespace."""
    return lab.within("client", binary(f"tests/e2e/tools/{name}"), *map(str, arguments))


def run_tool(lab: Lab, name: str, *arguments: object, timeout_s: float = 300) -> dict:
    """Runs it; the JSON of its last line."""
    done = subprocess.run(tool(lab, name, *arguments), text=True, capture_output=True,
                          timeout=timeout_s, check=False)
    assert done.returncode == 0, f"{name}: {done.stderr.strip()}"
    return json.loads(done.stdout.splitlines()[-1])


def read_connections(path: Path) -> list[Connection]:
    connections = []
    for line in path.read_text().splitlines():
        kind, address, port, stack, backend, start, end, requests, outcome = line.split()
        connections.append(Connection(kind == "kept", (address, int(port)), stack, backend,
                                      int(start) / 1e9, int(end) / 1e9, int(requests), outcome))
    return connections


def web_arguments(family: Family) -> list[object]:
    return ["--to", family.virtual, "--port", 80, "--from", ",".join(family.clients)]


def ask_web(lab: Lab, family: Family, count: int, first_port: int, out: Path,
            parallel: int = 32) -> tuple[dict, list[Connection]]:
    """`count` connections, each from its own (address, port), one request each."""
    report = run_tool(lab, "http_clients", *web_arguments(family), "--first-port", first_port,
                      "--count", count, "--parallel", parallel, "--out", out)
    return report, read_connections(out)


def ask_dns(lab: Lab, family: Family, count: int, first_port: int,
            out: Path) -> tuple[dict, dict[tuple[str, int], str]]:
    """`count` UDP flows; the report and client → stack ("-" when nobody answered)."""
    report = run_tool(lab, "udp_clients", "--way", "who", "--to", family.virtual, "--port", 53,
                      "--from", ",".join(family.clients), "--first-port", first_port,
                      "--flows", count, "--out", out)
    rows = [line.split() for line in out.read_text().splitlines()]
    return report, {(row[0], int(row[1])): row[2] for row in rows}


class Load:
    """http_clients in the background until stop()."""

    def __init__(self, lab: Lab, family: Family, out: Path, kept: int, parallel: int,
                 pause_ms: int = 0) -> None:
        self._out = out
        self._process = subprocess.Popen(
            tool(lab, "http_clients", *web_arguments(family), "--kept", kept,
                 "--parallel", parallel, "--pause-ms", pause_ms, "--seconds", 600, "--out", out),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stop(self) -> tuple[dict, list[Connection]]:
        """Lets open requests end; the report and every connection."""
        self._process.terminate()
        output, errors = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, errors
        return json.loads(output.splitlines()[-1]), read_connections(self._out)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@contextlib.contextmanager
def load(lab: Lab, family: Family, out: Path, kept: int, parallel: int,
         pause_ms: int = 0) -> Iterator[Load]:
    running = Load(lab, family, out, kept, parallel, pause_ms)
    try:
        yield running
    finally:
        running.kill()


def in_client(lab: Lab, *command: str, check: bool = True) -> subprocess.CompletedProcess:
    """Runs a program of the system in the client namespace."""
    return subprocess.run(lab.within("client", *command), text=True, capture_output=True,
                          timeout=60, check=check)


def read_counters(lab: Lab, role: str) -> dict[str, int]:
    """The kernel's SNMP counters of a namespace: "TcpInCsumErrors", "Udp6InCsumErrors", ..."""
    listing = subprocess.run(lab.within(role, "cat", "/proc/net/snmp", "/proc/net/snmp6"),
                             text=True, capture_output=True, check=True).stdout
    counters: dict[str, int] = {}
    names: list[str] = []
    for line in listing.splitlines():
        head, _, rest = line.partition(":")
        if not rest:  # snmp6: one "NAME VALUE" a line
            name, value = line.split()
            counters[name] = int(value)
        elif not names:
            names = rest.split()
        else:
            counters |= {head + name: int(value) for name, value in zip(names, rest.split())}
            names = []
    return counters


def read_metric(sluiced: Sluiced, name: str, **labels: str) -> float:
    """The sum of the series of `name` that have these labels; there must be one."""
    with namespaces.entered(sluiced.lab.namespace("node")):
        text = urllib.request.urlopen("http://127.0.0.1:9900/metrics", timeout=10).read().decode()
    values = [float(series[2]) for series in re.finditer(rf"^{name}(\{{.*\}})? (\S+)$", text, re.M)
              if all(f'{key}="{value}"' in (series[1] or "") for key, value in labels.items())]
    assert values, f"no series of {name} with {labels}"
    return sum(values)
