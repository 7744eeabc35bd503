"""What is measured over veth: Sluice on AF_XDP, nftables in the kernel, HAProxy in TCP mode; all of
them to the same backends."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sluicelab import shell

from . import machine
from .sluice import Sluice
from .source import Traffic
from .veth_lab import (BACKEND_PORT, BACKENDS, BALANCER_CORE, LISTENER, LISTENER_PORT,
                       SNAT_ADDRESSES, VethLab)

FLOWS = 10_000
FLOWS_MAX = 1 << 19  # closed connections stay for a while

RULES = """
table ip perf {{
  chain in {{
    type nat hook prerouting priority dstnat;
    ip daddr {listener} meta l4proto {{ tcp, udp }} th dport {port} dnat ip addr . port to \
jhash ip saddr . th sport mod {count} map {{ {backends} }}
  }}
  chain out {{
    type nat hook postrouting priority srcnat;
    ip daddr 10.64.0.0/16 snat to {first}-{last}
  }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen perf
  bind {listener}:{port}
  balance roundrobin
{servers}
"""


class VethSluice(Sluice):
    device = "veth af_xdp"

    def __init__(self, scratch: Path, lab: VethLab, proto: str) -> None:
        super().__init__(scratch, Traffic(flows=FLOWS, proto=proto), name="veth-sluice",
                         flows_max=FLOWS_MAX)
        self.lab = lab

    def prefix(self) -> list[str]:
        return ["ip", "netns", "exec", self.lab.balancer]

    def feed(self) -> list[str]:
        return ["--device", f"af_xdp:{self.lab.front}", f"af_xdp:{self.lab.back}"]

    def memory_mb(self) -> int:
        return super().memory_mb() + 128

    def warm(self) -> None:
        pass

    def mark(self) -> None:
        self.then = self.clocks()

    def used_ns(self) -> int:
        """A worker polls all the time: what counts is its share of polls that found packets, and
        what the kernel's threads did for its interfaces."""
        busy, idle, cpu, napi = (now - then for now, then in zip(self.clocks(), self.then))
        return round(cpu * busy / (busy + idle)) + napi

    def clocks(self) -> tuple[int, int, int, int]:
        worker, = self.ask("stats")["workers"]
        cpu = machine.cpu_ns(self.pid, machine.thread_ids(self.pid, self.threads))
        return worker["busy_cycles"], worker["idle_cycles"], cpu, self.lab.napi_ns()


class KernelBalancer:
    """What the kernel carries; the process, if there is one, is what decides."""

    who, mode, device = "", "", "veth kernel"
    process: subprocess.Popen | None = None

    def __init__(self, scratch: Path, lab: VethLab, proto: str) -> None:
        self.lab = lab

    def start(self) -> None:
        self.lab.route_through_kernel()

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()

    def resume(self) -> None:
        pass

    pause = resume

    def memory_mb(self) -> int:
        return 0

    def total_ns(self) -> int:
        own = machine.cpu_ns(self.process.pid, [self.process.pid]) if self.process else 0
        return own + self.lab.napi_ns()

    def mark(self) -> None:
        self.then = self.total_ns()

    def used_ns(self) -> int:
        return self.total_ns() - self.then


class Nftables(KernelBalancer):
    who, mode = "nftables", "dnat+snat"

    def start(self) -> None:
        super().start()
        backends = ", ".join(f"{n}: {address} . {BACKEND_PORT}"
                             for n, address in enumerate(BACKENDS))
        rules = RULES.format(listener=LISTENER, port=LISTENER_PORT, count=len(BACKENDS),
                             backends=backends, first=SNAT_ADDRESSES[0], last=SNAT_ADDRESSES[-1])
        shell.run("ip", "netns", "exec", self.lab.balancer, "nft", "-f", "-", stdin=rules)


class Haproxy(KernelBalancer):
    who, mode = "haproxy", "tcp"

    def start(self) -> None:
        super().start()
        config = self.lab.folder / "haproxy.conf"
        config.write_text(HAPROXY.format(
            listener=LISTENER, port=LISTENER_PORT, servers="\n".join(
                f"  server s{n} {address}:{BACKEND_PORT}" for n, address in enumerate(BACKENDS))))
        self.process = self.lab.popen(self.lab.balancer, BALANCER_CORE,
                                      ["haproxy", "-db", "-f", str(config)], "haproxy")
