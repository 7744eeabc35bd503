"""CPU profile of the worker, taken while it carries packets: where its time goes, by function and,
for the functions that take most, by instruction. Sampled by the CPU clock, which needs no counters
of the processor; one page that needs nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from html import escape
from pathlib import Path

from sluicelab.shell import run

from . import machine
from .subject import Subject

PAGE = "profile.html"
SECONDS = 2
HERTZ = 3989  # no multiple of anything periodic
SHARE_MIN = 0.4  # percent: what is less is summed up
LISTED_MAX = 5
REPORT_LINE = re.compile(r"^\s*(?P<share>[\d.]+)%\s+(?P<object>\S+)\s+\[[.k]\] (?P<symbol>.+?)\s*$")
ANNOTATED_LINE = re.compile(r"^\s*(?P<share>[\d.]+)?\s*:\s*(?P<at>[0-9a-f]+):\s+(?P<code>.+)$")

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1060px; margin: 2em auto; padding: 0 1em;
       color: #1b1f24 }
h1 { font-size: 1.5em } p { color: #5b6470 } summary { cursor: pointer; margin: .4em 0 }
table { border-collapse: collapse; font-size: 13px; width: 100% }
td { padding: 2px 8px; white-space: nowrap } td.bar { width: 40% }
td.n { text-align: right; width: 4em; font-variant-numeric: tabular-nums }
td.bar div { background: #0b6e4f; height: 12px }
pre { font-size: 12px; line-height: 1.35; overflow-x: auto } pre span { display: block }
"""


@dataclass(frozen=True)
class Function:
    share: float  # percent of all samples
    object: str
    symbol: str


def functions(text: str) -> list[Function]:
    """From `perf report --stdio`; the samples of one object without symbols are one function."""
    shares: dict[tuple[str, str], float] = {}
    for line in text.splitlines():
        if match := REPORT_LINE.match(line):
            symbol = "(no symbols)" if match["symbol"].startswith("0x") else match["symbol"]
            where = match["object"], symbol
            shares[where] = shares.get(where, 0) + float(match["share"])
    return sorted((Function(share, *where) for where, share in shares.items()),
                  key=lambda each: -each.share)


def instructions(text: str) -> list[tuple[float, str]]:
    """(percent of the function's samples, instruction), from `perf annotate --stdio`."""
    found = []
    for line in text.splitlines():
        if match := ANNOTATED_LINE.match(line):
            found.append((float(match["share"] or 0), f"{match['at']}  {match['code'].strip()}"))
    return found


def page(title: str, found: list[Function], listings: dict[str, list[tuple[float, str]]]) -> str:
    shown = [each for each in found if each.share >= SHARE_MIN]
    rest = 100 - sum(each.share for each in shown)
    widest = max((each.share for each in shown), default=1)
    lines = "".join(
        f"<tr><td class=n>{each.share:.1f} %<td class=bar>"
        f"<div style='width:{each.share / widest * 100:.1f}%'></div>"
        f"<td>{escape(each.symbol)}<td>{escape(each.object)}</tr>" for each in shown)
    blocks = []
    for symbol, code in listings.items():
        text = "".join(f"<span style='background:rgba(200,85,61,{min(1, share / 12):.2f})'>"
                       f"{f'{share:5.1f}' if share >= 0.05 else '     '}  {escape(line)}</span>"
                       for share, line in code)
        blocks.append(f"<details><summary>{escape(symbol)}</summary><pre>{text}</pre></details>")
    return (f"<!doctype html><html lang=en><meta charset=utf-8><title>Sluice: CPU profile</title>"
            f"<style>{STYLE}</style><h1>CPU profile of the worker</h1><p>{escape(title)}</p>"
            f"<table>{lines}<tr><td class=n>{max(0, rest):.1f} %<td class=bar><td>everything else"
            f"<td></tr></table><h2>By instruction</h2><p>Percent of the function's samples. A sample "
            f"names the instruction that was waited for or the one behind it.</p>"
            f"{''.join(blocks)}</html>\n")


def take(subject: Subject, folder: Path) -> str | None:
    """Profiles a warm, paused subject into folder/profile.html. Why there is none, or None."""
    if shutil.which("perf") is None:
        return "perf is not installed: run scripts/setup --perf"
    data = folder / "perf.data"
    subject.resume()
    time.sleep(0.1)
    tid = machine.thread_ids(subject.pid, subject.threads)[0]
    recorded = subprocess.run(
        ("perf", "record", "-q", "-e", "cpu-clock", "-F", str(HERTZ), "-t", str(tid),
         "-o", str(data), "--", "sleep", str(SECONDS)), capture_output=True, text=True)
    subject.pause()
    if recorded.returncode != 0:
        return (recorded.stderr.strip().splitlines() or ["perf record failed"])[-1]
    found = functions(run("perf", "report", "-i", str(data), "--stdio", "--percent-limit", "0",
                          "-F", "overhead,dso,sym").stdout)
    if not found:
        return "perf took no samples"
    listings = {}
    for each in found[:LISTED_MAX]:
        done = run("perf", "annotate", "-i", str(data), "--stdio", "-s", each.symbol, check=False)
        if code := instructions(done.stdout):
            listings[f"{each.symbol}: {each.share:.1f} %"] = code
    traffic = subject.traffic
    title = (f"{SECONDS} s of {subject.name}, {traffic.flows:,} flows, {traffic.bytes} bytes, "
             f"{traffic.variant}; the packet source runs on the same core (FlowSource)")
    (folder / PAGE).write_text(page(title, found, listings))
    return None
