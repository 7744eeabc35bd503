"""veth: Sluice over AF_XDP beside nftables and HAProxy, which need the kernel, with the same client
and the same server. CPU time of the balancer for a packet, a connection, a request. Not like for
like: AF_XDP on veth copies each packet into and out of the kernel (its cost is most of what Sluice
costs here), nftables never leaves the kernel, HAProxy ends connections and sends segments that no
device has to cut. Rates are not shown: one core for client and server is the limit of all three."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sluicelab import hugepages
from sluicelab.shell import LabError

from . import machine
from .balancers import FLOWS, Haproxy, Nftables, VethSluice
from .generator import Generator
from .rows import Row, row
from .source import Traffic
from .veth_lab import CLIENTS, VethLab

NOTE = "not like for like: perf/README.md"
PACKETS_PER_SECOND = 100_000  # of both directions
GENERATOR_MB = 160


class PacketLoad:
    """perf/generator on both far ends at a rate that nobody loses packets at: every packet is
    checked when it comes back."""

    def __init__(self, lab: VethLab, traffic: Traffic = Traffic(flows=FLOWS)) -> None:
        self.generator = Generator(lab.folder / "generator.log", traffic,
                                   [f"af_xdp:{lab.far_front}", f"af_xdp:{lab.far_back}"],
                                   ["ip", "netns", "exec", lab.client], GENERATOR_MB)

    def start(self) -> None:
        self.generator.start()
        self.generator.ask("open")

    def run(self, seconds: float) -> int:
        """Packets that came back."""
        result = self.generator.ask(f"trial {PACKETS_PER_SECOND} {seconds}")
        if result["wrong"] or result["received"] < result["sent"] // 2:
            raise LabError(f"{result['received']} of {result['sent']} packets came back over veth, "
                           f"wrong: {result['wrong'] or 'none'}")
        return result["received"]

    def stop(self) -> None:
        self.generator.stop()


class VethRig:
    """A balancer in its lab, and the packet load where that is what is measured."""

    def __init__(self, scratch: Path, kind: type, proto: str) -> None:
        self.lab = VethLab(scratch, f"{kind.__name__[-2:].lower()}{proto[0]}", proto == "udp")
        self.balancer = kind(scratch, self.lab, proto)
        self.load = PacketLoad(self.lab) if proto == "udp" else None
        self.stack = contextlib.ExitStack()

    def memory_mb(self) -> int:
        return self.balancer.memory_mb() + (GENERATOR_MB if self.load else 0)

    def __enter__(self) -> "VethRig":
        with self.stack:
            self.stack.enter_context(self.lab)
            self.stack.callback(self.balancer.stop)
            self.balancer.start()
            if self.load:
                self.load.start()
                self.stack.callback(self.load.stop)
            else:
                self.lab.await_service()
            self.balancer.pause()
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def cost_ns(self, load: Callable[["VethRig"], int]) -> float:
        """The balancer's CPU time for each of the things that `load` says it had done."""
        self.balancer.resume()
        time.sleep(0.2)
        self.balancer.mark()
        try:
            done = load(self)
            return self.balancer.used_ns() / done
        except LabError as error:
            raise LabError(f"{self.balancer.who}: {error}") from error
        finally:
            self.balancer.pause()


def rows_of(costs: dict[tuple[str, str, str], list[float]], unit: str, what: str,
            **where) -> list[Row]:
    """costs: by (who, mode, device), Sluice first; turn by turn."""
    common = dict(where, workers=1, note=NOTE)
    rows, ours = [], next(iter(costs))
    for (who, mode, device), values in costs.items():
        rows.append(row(values, unit, what=what, who=who, mode=mode, device=device, **common))
    for (who, mode, device), values in costs.items():
        if who != "sluice":
            rows.append(row([peer / our for our, peer in zip(costs[ours], values)], "ratio",
                            what=f"{what}: {who} {mode} to sluice", who=ours[0], mode=ours[1],
                            device=f"{ours[2]} / {device}", **common))
    return rows


def compare(scratch: Path, kinds: list[type], proto: str, loads: dict[tuple[str, str], Callable],
            runs: int, progress) -> list[Row]:
    """loads: {(unit, what): what a VethRig shall do, returns how often it did}."""
    rigs = [VethRig(scratch, kind, proto) for kind in kinds]
    pages = sum(rig.memory_mb() for rig in rigs) // 2 + 16
    results: dict[tuple[str, str], dict] = {load: {} for load in loads}
    with hugepages.reserved(pages), contextlib.ExitStack() as up:
        for rig in rigs:
            progress(f"starting {rig.balancer.who} over veth")
            up.enter_context(rig)
        for number in range(runs):
            for (unit, what), load in loads.items():
                progress(f"{what}: run {number + 1} of {runs}")
                for rig in rigs:
                    key = rig.balancer.who, rig.balancer.mode, rig.balancer.device
                    results[unit, what].setdefault(key, []).append(rig.cost_ns(load))
    flows = FLOWS if proto == "udp" else CLIENTS
    return [each for (unit, what), costs in results.items()
            for each in rows_of(costs, unit, what, bytes="64" if proto == "udp" else "",
                                variant=f"{proto}4", flows=flows)]


def run(scratch: Path, quick: bool, runs: int, peers: set[str], progress) -> Iterator[Row]:
    rivals = [kind for kind in (Nftables, Haproxy) if kind.who in peers]
    if not rivals:
        return
    for program in ("nft", "haproxy", "nginx", "curl", "wrk"):
        machine.need_program(program)
    seconds = 1.0 if quick else 2.0
    if Nftables in rivals:
        yield from compare(scratch, [VethSluice, Nftables], "udp", {
            ("ns/packet", "CPU per packet over veth"): lambda rig: rig.load.run(seconds),
        }, runs, progress)
    yield from compare(scratch, [VethSluice, *rivals], "tcp", {
        ("ns/connection", "CPU per connection over veth"):
            lambda rig: rig.lab.request(seconds, keeps_alive=False),
        ("ns/request", "CPU per request over veth"):
            lambda rig: rig.lab.request(seconds, keeps_alive=True)}, runs, progress)
