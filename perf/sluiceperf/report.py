"""The report: report.json (the rows), and one HTML file that needs nothing else."""

from __future__ import annotations

import json
import shutil
from html import escape
from pathlib import Path

from sluicelab.shell import LabError

from . import budgets, sections
from .profile import PAGE as PROFILE
from .rows import Row, from_dicts, shown, to_dicts

STYLE = """
:root { --line: #e3e5e8; --soft: #5b6470; --good: #0b6e4f; --bad: #b3402a }
body { font: 15px/1.55 system-ui, sans-serif; max-width: 1060px; margin: 0 auto;
       padding: 2em 1.2em 4em; color: #1b1f24; background: #fff }
h1 { font-size: 1.7em; margin: 0 } h2 { font-size: 1.15em; margin: 2.2em 0 .2em }
p { margin: .2em 0 .8em } p.note { color: var(--soft) } a { color: #1f5fa8 }
dl { display: flex; flex-wrap: wrap; gap: .2em 1.8em; margin: .8em 0; font-size: 13px }
dl div { display: flex; gap: .5em } dt { color: var(--soft) } dd { margin: 0 }
nav { font-size: 13px; columns: 3; margin: 1em 0 } nav a { display: block; text-decoration: none }
svg { width: 100%; max-width: 860px; font: 12.5px system-ui, sans-serif; fill: #1b1f24;
      display: block }
svg .grid { stroke: var(--line) } svg .unity { stroke: #1b1f24; stroke-dasharray: 4 3 }
svg .range { stroke: #1b1f24; stroke-opacity: .75 } svg .end { text-anchor: end }
svg .mid { text-anchor: middle } svg .strong { font-weight: 600 }
table { border-collapse: collapse; font-size: 13px } td.n, th.n { text-align: right }
th, td { padding: 3px 9px; border-bottom: 1px solid var(--line); text-align: left }
td.n { font-variant-numeric: tabular-nums; white-space: nowrap } thead th { color: var(--soft) }
td.met { color: var(--good); font-weight: 600 } td.missed { color: var(--bad); font-weight: 600 }
details { margin: .3em 0 } summary { cursor: pointer } .all { overflow-x: auto }
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
    file = path / "report.json" if path.is_dir() else path
    try:
        return from_dicts(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise LabError(f"{file} is not a report of perf/run: {error}") from error


def _facts(machine: dict) -> str:
    return "".join(f"<div><dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd></div>"
                   for name, value in machine.items())


def _budgets(rows: list[Row]) -> str:
    """The table of what was promised, as far as these rows can say."""
    found = budgets.judge(rows)
    if not found:
        return ""
    lines = "".join(
        f"<tr><td>{escape(each.text)}<td class=n>{escape(each.wanted)}"
        f"<td class=n>{shown(each.row.median)}"
        f" ({shown(each.row.min)} to {shown(each.row.max)})<td>{escape(each.row.unit)}"
        f"<td class={each.verdict}>{each.verdict}</tr>" for each in found)
    return ("<h2 id=budgets>Budgets</h2><p class=note>Judged by the median; in brackets the range "
            "of the runs.</p><table><thead><tr><th>what<th class=n>wanted<th class=n>measured<th>unit"
            f"<th></tr></thead>{lines}</table>")


def spread(row: Row) -> str:
    """Half the range of the runs, in percent of the median."""
    if row.runs < 2 or row.median == 0:
        return ""
    return f"±{(row.max - row.min) / abs(row.median) * 50:.0f} %"


HEAD = (("who", ""), ("mode", ""), ("device", ""), ("bytes", ""), ("variant", ""), ("flows", "n"),
        ("workers", "n"), ("median", "n"), ("min", "n"), ("max", "n"), ("spread", "n"),
        ("unit", ""), ("runs", "n"), ("note", ""))


def _figures(rows: list[Row]) -> str:
    """All rows, folded by what they are."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.what, []).append(row)
    head = "".join(f"<th class={kind or 't'}>{name}" for name, kind in HEAD)
    blocks = []
    for what, members in groups.items():
        lines = ""
        for r in members:
            cells = (r.who, r.mode, r.device, r.bytes, r.variant, f"{r.flows:,}", str(r.workers),
                     shown(r.median), shown(r.min), shown(r.max), spread(r), r.unit, str(r.runs),
                     r.note)
            lines += "<tr>" + "".join(f"<td class={kind or 't'}>{escape(cell)}"
                                      for cell, (_, kind) in zip(cells, HEAD)) + "</tr>"
        blocks.append(f"<details><summary>{escape(what)} ({len(members)})</summary>"
                      f"<div class=all><table><thead><tr>{head}</tr></thead>{lines}"
                      f"</table></div></details>")
    return "".join(blocks)


def html(machine: dict, rows: list[Row], has_profile: bool = False) -> str:
    made = sections.make(rows)
    plots = "".join(f"<h2 id=s{number}>{escape(head)}</h2><p class=note>{escape(why)}</p>{plot}"
                    for number, (head, why, plot) in enumerate(made))
    index = "".join(f'<a href="#s{number}">{escape(head)}</a>'
                    for number, (head, _, _) in enumerate(made))
    profile = f'<a href="{PROFILE}">CPU profile of the worker</a>' if has_profile else ""
    return (f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
            f"content='width=device-width'><title>Sluice: packet rates</title>"
            f"<style>{STYLE}</style><h1>Sluice: packet rates</h1><dl>{_facts(machine)}</dl>"
            f"<nav>{profile}{index}"
            f'<a href="#figures">All figures</a></nav>{_budgets(rows)}{plots}'
            f"<h2 id=figures>All figures</h2>{_figures(rows)}</html>\n")
