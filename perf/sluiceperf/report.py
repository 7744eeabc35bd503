"""The report: report.json (the rows), and one HTML file that needs nothing else."""

from __future__ import annotations

import json
import shutil
from html import escape
from pathlib import Path

from . import svg
from .profile import PAGE as PROFILE
from .rows import Row, from_dicts, shown, to_dicts

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #1a1a1a }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
svg { width: 100%; max-width: 760px; font: 12px system-ui, sans-serif }
svg .grid { stroke: #ddd } svg .end { text-anchor: end } svg .mid { text-anchor: middle }
table { border-collapse: collapse; font-size: 13px } th, td { padding: 3px 9px; border-bottom: 1px solid #ddd; text-align: left }
td.n { text-align: right; font-variant-numeric: tabular-nums } p.note { color: #555 }
"""


def write(folder: Path, machine: dict, rows: list[Row], scratch: Path) -> Path:
    """Writes report.json, machine.json, report.html and the profile in `scratch`, if there is one;
    the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PROFILE).unlink(missing_ok=True)  # of another run
    if (scratch / PROFILE).exists():
        shutil.copy(scratch / PROFILE, folder / PROFILE)
    (folder / "report.json").write_text(json.dumps(to_dicts(rows), indent=1) + "\n")
    (folder / "machine.json").write_text(json.dumps(machine, indent=1) + "\n")
    page = folder / "report.html"
    page.write_text(html(machine, rows, has_profile=(folder / PROFILE).exists()))
    return page


def load(path: Path) -> list[Row]:
    """The rows of a report.json, or of the folder that holds one."""
    return from_dicts(json.loads((path / "report.json" if path.is_dir() else path).read_text()))


def _against_flows(rows: list[Row], unit: str, title: str) -> str:
    series: dict[str, list] = {}
    for r in rows:
        if r.unit == unit and r.variant == "udp4" and r.bytes == "64" and r.what in ("cost", "rate per CPU-second", "own cost"):
            name = f"{r.who} {r.mode}" + (" (own)" if r.what == "own cost" else "")
            series.setdefault(name, []).append((r.flows, r.median, r.min, r.max))
    return svg.lines(title, series, "flows", unit)


def _bars(rows: list[Row], title: str, unit: str, name) -> str:
    return svg.bars(title, [(name(r), r.median, r.min, r.max) for r in rows if r.unit == unit], unit)


# Where percentiles stand on a logarithmic axis: as far apart as the packets that exceed them are rare.
PERCENTILES = {"p50": 2.0, "p90": 10.0, "p99": 100.0, "p99.9": 1000.0, "max": 10_000.0}


def _percentiles(rows: list[Row], title: str) -> str:
    """Latencies of the first traffic among `rows`, whose modes end in a percentile."""
    series: dict[str, list] = {}
    same = [r for r in rows if (r.bytes, r.flows) == (rows[0].bytes, rows[0].flows)
            and r.variant.split()[0] == rows[0].variant.split()[0]]
    for r in same:
        mode, _, name = r.mode.rpartition(" ")
        load = r.variant.partition(" at ")[2]
        line = " ".join(filter(None, (r.who, mode, load and f"at {load}")))
        series.setdefault(line, []).append((PERCENTILES[name], r.median, r.min, r.max))
    return svg.lines(title, series, "percentile", "us", {x: name for name, x in PERCENTILES.items()}, y_log=True)


def sections(rows: list[Row]) -> list[tuple[str, str, str]]:
    """(heading, explanation, plot) of what the rows have."""
    of = lambda *whats: [r for r in rows if r.what in whats]
    others = [r for r in of("cost") if r.flows == 1_000_000 and "steered" not in r.variant and (r.who == "sluice" or r.mode == "5tswap")]
    found = [
        ("Cycles per packet against flows", "64-byte UDP over IPv4, established flows, both directions mixed; one core, "
         "which also makes the packets. “own” is without testpmd rxonly on the same source.",
         _against_flows(rows, "cycles/packet", "cycles per packet")),
        ("Packets per CPU-second against flows", "The same runs.",
         _against_flows(rows, "Mpps/CPU-second", "million packets per CPU-second")),
        ("Sizes, families and protocols at 1 M flows", "Cycles per packet.",
         _bars(others, "traffic", "cycles/packet", lambda r: f"{r.who} {r.mode} {r.variant} {r.bytes} B")),
        ("Swaps", "From publishing a prepared snapshot until the slowest worker serves it, under full load.",
         _bars(of("swap"), "swaps", "us", lambda r: f"{r.who} {r.mode} {r.variant}")),
        ("Connections", "", _bars(of("connections"), "connections", "k connections/CPU-second",
                                  lambda r: f"{r.who} {r.mode} {r.variant}")),
        ("Workers", "Million packets per second of all workers, each with a packet source on its own core.",
         _bars(of("rate of all workers"), "workers", "Mpps",
               lambda r: f"{r.workers} worker{'s' * (r.workers > 1)} {r.flows:,} flows")),
        ("Rate from a generator on another core", "Million packets per second, both directions together; without "
         "loss, and at most. The generator can be the limit: see the notes of the figures.",
         _bars(of("zero-loss rate", "maximum rate"), "rates", "Mpps",
               lambda r: f"{r.who} {r.mode} {r.variant} {r.bytes} B {r.flows:,} {r.what.removesuffix(' rate')}")),
        ("Latency", "From the generator through the device and back, at shares of the zero-loss rate of Sluice; "
         "testpmd io is the way without a load balancer.", _percentiles(of("latency"), "latency")),
        ("Waking", "Single packets through an idle worker that sleeps (adaptive) or never does (busy).",
         _percentiles(of("wake-up latency"), "waking")),
        ("Stages", "Cycles per packet in perf/pipeline_bench.",
         _bars(of("stage"), "stages", "cycles", lambda r: f"{r.mode} {r.flows:,}")),
    ]
    return [section for section in found if section[2]]


def html(machine: dict, rows: list[Row], has_profile: bool = False) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in machine.items())
    plots = "".join(f"<h2>{escape(head)}</h2><p class=note>{escape(why)}</p>{plot}"
                    for head, why, plot in sections(rows))
    head = ("what", "who", "mode", "device", "bytes", "variant", "flows", "median", "min", "max", "unit", "runs", "note")
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in (r.what, r.who, r.mode, r.device, r.bytes, r.variant))
        + "".join(f"<td class=n>{escape(cell)}</td>" for cell in
                  (f"{r.flows:,}", shown(r.median), shown(r.min), shown(r.max)))
        + f"<td>{escape(r.unit)}</td><td class=n>{r.runs}</td><td>{escape(r.note)}</td></tr>" for r in rows)
    link = f'<p><a href="{PROFILE}">CPU profile of the worker</a></p>' if has_profile else ""
    return (f"<!doctype html><html lang=en><meta charset=utf-8><title>Sluice: packet rates</title><style>{STYLE}</style>"
            f"<h1>Sluice: packet rates</h1><p class=note>{escape(facts)}</p>{link}{plots}<h2>All figures</h2>"
            f"<table><tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>{lines}</table></html>\n")
