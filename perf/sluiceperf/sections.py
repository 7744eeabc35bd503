"""Sections of the report's page: which rows are drawn, and how. What none takes becomes bars."""

from __future__ import annotations

from . import svg
from .rows import Row

# Where percentiles stand on a logarithmic axis: as far apart as the packets beyond them are rare.
PERCENTILES = {"p50": 2.0, "p90": 10.0, "p99": 100.0, "p99.9": 1000.0, "max": 10_000.0}
MILLION = 1_000_000
Section = tuple[str, str, str]  # heading, explanation, plot


def _values(rows: list[Row], name) -> list[tuple[str, float, float, float]]:
    return [(name(r), r.median, r.min, r.max) for r in rows]


def _flows(flows: int) -> str:
    if flows >= MILLION:
        return f"{flows // MILLION} M"
    return f"{flows // 1000} k" if flows >= 1000 else str(flows)


def _size(size: str) -> str:
    return "IMIX" if size == "imix" else f"{size} B"


def _against_flows(rows: list[Row], unit: str) -> str:
    series: dict[str, list] = {}
    for r in rows:
        if (r.unit, r.variant, r.bytes, r.device) == (unit, "udp4", "64", "null+source"):
            name = "sluice, own cost" if r.what == "own cost" else f"{r.who} {r.mode}"
            series.setdefault(name, []).append((r.flows, r.median, r.min, r.max))
    return svg.lines(unit, series, "flows", unit, y_log=True)


def cost_against_flows(rows: list[Row]) -> Section:
    return ("Cycles per packet against flows",
            "64-byte UDP over IPv4, established flows, both directions mixed, on one core that "
            "also makes the packets. Own cost is without testpmd rxonly on the same source.",
            _against_flows(rows, "cycles/packet"))


def rate_against_flows(rows: list[Row]) -> Section:
    return ("Packets per second against flows", "Million packets per CPU-second; the same runs.",
            _against_flows(rows, "Mpps/CPU-second"))


def peers(rows: list[Row]) -> Section:
    beside = [r for r in rows if (r.device == "pcap" or r.flows == MILLION)
              and r.variant == "udp4" and r.bytes == "64"]
    name = lambda r: f"{r.what.removeprefix('rate beside ')}, {_flows(r.flows)}, {r.device}"
    return ("Sluice's rate beside its peers",
            "Same packets, same kind of ports, one core, turn by turn; right of the line Sluice is "
            "faster. testpmd keeps no flows: it is the limit, not a rival.",
            svg.ratios("ratios", _values(beside, name)))


def traffics(rows: list[Row]) -> Section:
    shown = [r for r in rows if r.flows >= MILLION and r.device == "null+source"
             and "steered" not in r.variant and (r.what == "own cost" or r.mode == "5tswap")
             and r.unit == "cycles/packet"]
    shown.sort(key=lambda r: (r.variant, r.bytes, r.flows, r.who != "sluice"))
    name = lambda r: (f"{'sluice, own' if r.what == 'own cost' else f'{r.who} {r.mode}'}: "
                      f"{r.variant} {_size(r.bytes)}, {_flows(r.flows)}")
    return ("Sizes, families, protocols, popularity",
            "Cycles per packet, from a million flows on. Zipf 1: few flows have most of the "
            "packets. Long packets cost the source more, which is why own cost is shown.",
            svg.bars("traffics", _values(shown, name), "cycles"))


def captures(rows: list[Row]) -> Section:
    shown = [r for r in rows
             if r.device == "pcap" and r.unit == "cycles/packet" and r.what == "cost"]
    name = lambda r: f"{r.who} {r.mode}, {_size(r.bytes)}"
    return ("One capture file for all",
            "Cycles per packet with net_pcap's infinite_rx on both ports, 10 k flows.",
            svg.bars("capture file", _values(shown, name), "cycles", is_log=True))


def veth(rows: list[Row]) -> Section:
    shown = [r for r in rows if r.device.startswith("veth") and r.unit.startswith("ns/")]
    name = lambda r: f"{r.who} {r.mode}, {r.unit.removeprefix('ns/')}"
    return ("Over veth (not like for like)",
            "CPU time of the balancer, the kernel threads of its interfaces included, with the "
            "same client and server. AF_XDP on veth copies each packet into and out of the kernel, "
            "nftables never leaves the kernel, HAProxy ends connections.",
            svg.bars("veth", _values(shown, name), "ns"))


def workers(rows: list[Row]) -> Section:
    shown = [r for r in rows if r.unit == "Mpps"]
    name = lambda r: f"{r.who}, {r.workers} worker{'s' * (r.workers > 1)}, {_flows(r.flows)} flows"
    return ("Workers",
            "Million packets per second of all workers, each with a packet source on its own core.",
            svg.bars("workers", _values(shown, name), "Mpps"))


def generator_rates(rows: list[Row]) -> Section:
    shown = [r for r in rows if r.unit == "Mpps"]
    name = lambda r: (f"{r.who} {r.mode}, {r.variant} {_size(r.bytes)}, {_flows(r.flows)}, "
                      f"{r.what.removesuffix(' rate')}")
    return ("Rate from a generator on another core",
            "Million packets per second, both directions together; without loss, and at most. The "
            "generator can be the limit: see the notes of the figures.",
            svg.bars("rates", _values(shown, name), "Mpps"))


def _percentiles(rows: list[Row], title: str) -> str:
    """Latencies of the first traffic among `rows`, whose modes end in a percentile."""
    traffic = lambda r: (r.bytes, r.flows, r.variant.split()[0])
    devices = len({r.device for r in rows})
    series: dict[str, list] = {}
    for r in rows:
        if traffic(r) == traffic(rows[0]):
            mode, _, name = r.mode.rpartition(" ")
            load = r.variant.partition(" at ")[2]
            device = r.device if devices > 1 else ""
            line = " ".join(filter(None, (r.who, mode, load and f"at {load}", device)))
            series.setdefault(line, []).append((PERCENTILES[name], r.median, r.min, r.max))
    words = {x: name for name, x in PERCENTILES.items()}
    return svg.lines(title, series, "percentile", "us", words, y_log=True)


def latency(rows: list[Row]) -> Section:
    return ("Latency",
            "From the generator through the device and back, at shares of the zero-loss rate of "
            "Sluice; testpmd io is the way without a load balancer.", _percentiles(rows, "latency"))


def added_latency(rows: list[Row]) -> Section:
    shown = [r for r in rows if not r.mode.endswith("max")]
    name = lambda r: f"sluice {r.mode.removeprefix('nat ')}, {r.variant} {_size(r.bytes)}"
    return ("Added latency", "What Sluice takes longer than testpmd io in the same turn.",
            svg.bars("added latency", _values(shown, name), "us"))


def waking(rows: list[Row]) -> Section:
    return ("Waking",
            "Single packets through an idle worker that sleeps (adaptive) or never does (busy).",
            _percentiles(rows, "waking"))


def stages(rows: list[Row]) -> Section:
    shown = [r for r in rows if r.unit == "cycles"]
    name = lambda r: f"{r.mode}{', IPv6' * (r.variant == 'IPv6')}, {_flows(r.flows)}"
    return ("Cost per stage",
            "Cycles per packet or operation in the benchmarks: stages by themselves, and hot.",
            svg.bars("stages", _values(shown, name), "cycles", is_log=True, ours=""))


def instructions(rows: list[Row]) -> Section:
    shown = [r for r in rows if r.unit == "instructions"]
    return ("Instructions per stage", "Counted by callgrind: they repeat exactly.",
            svg.bars("instructions", _values(shown, lambda r: r.mode), "", is_log=True, ours=""))


COST = ("cost", "own cost", "rate per CPU-second")
SECTIONS = (  # (section, the rows it is given by their `what`)
    (peers, lambda what: what.startswith("rate beside")),
    (rate_against_flows, lambda what: what in COST),
    (cost_against_flows, lambda what: what in COST),
    (traffics, lambda what: what in COST),
    (captures, lambda what: what in COST),
    (veth, lambda what: what.startswith("CPU per")),
    (workers, lambda what: what in ("rate of all workers", "two workers beside one", "workers")),
    (generator_rates, lambda what: what.startswith(("zero-loss rate", "maximum rate"))),
    (latency, lambda what: what == "latency"),
    (added_latency, lambda what: what == "added latency"),
    (waking, lambda what: what == "wake-up latency"),
    (stages, lambda what: what == "stage"),
    (instructions, lambda what: what == "stage"),
)


def _remaining(rows: list[Row]) -> list[Section]:
    """A section of bars for each thing and unit; what is 0 throughout is left to the table."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for r in rows:
        groups.setdefault((r.what, r.unit), []).append(r)
    name = lambda r: ", ".join(filter(None, (f"{r.who} {r.mode}".strip(), r.variant)))
    heading = lambda what, unit: f"{what[0].upper()}{what[1:]}, {unit}"
    return [(heading(what, unit), "", svg.bars(what, _values(members, name), unit))
            for (what, unit), members in groups.items() if any(r.max for r in members)]


def make(rows: list[Row]) -> list[Section]:
    """Sections that have something to show, in order."""
    made, taken = [], set()
    for section, wants in SECTIONS:
        members = [r for r in rows if wants(r.what)]
        taken |= {r.what for r in members}
        if members and (found := section(members))[2]:
            made.append(found)
    return made + _remaining([r for r in rows if r.what not in taken])
