"""Rows of the report, and the few statistics they need. Pure: no process, no file."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass, field, replace


@dataclass
class Row:
    """One figure: the median of `runs` measurements of one thing."""

    what: str  # cost, own_cost, swap, ...
    who: str  # sluice or the peer
    device: str
    bytes: str  # frame length without FCS, or "imix"
    flows: int
    mode: str
    workers: int
    runs: int
    median: float
    min: float
    max: float
    unit: str
    note: str = ""
    variant: str = field(default="")  # "udp4", "tcp6", "udp4 zipf 1" ...

    def key(self) -> tuple:
        """What makes two rows the same measurement in two reports."""
        return (self.what, self.who, self.device, self.bytes, self.flows, self.mode, self.workers,
                self.variant, self.unit)


def row(values: list[float], unit: str, **what: object) -> Row:
    """A row of `values`; at least one."""
    if not values:
        raise ValueError("a row needs at least one value")
    return Row(runs=len(values), median=statistics.median(values), min=min(values), max=max(values),
               unit=unit, **what)


def to_dicts(rows: list[Row]) -> list[dict]:
    return [asdict(each) for each in rows]


def from_dicts(entries: list[dict]) -> list[Row]:
    return [Row(**entry) for entry in entries]


def percentile(values: list[float], share: float) -> float:
    """Nearest rank: the smallest value that at least `share` (0..1) of all do not exceed."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def shown(value: float) -> str:
    """Three significant digits, never in powers of ten."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def merged(reports: list[list[Row]]) -> list[Row]:
    """One row for each figure of several reports: the median of their medians, the range of all."""
    groups: dict[tuple, list[Row]] = {}
    for report in reports:
        for each in report:
            groups.setdefault(each.key(), []).append(each)
    return [replace(same[-1], runs=sum(r.runs for r in same),
                    median=statistics.median(r.median for r in same),
                    min=min(r.min for r in same), max=max(r.max for r in same))
            for same in groups.values()]


def aligned(lines: list[tuple[str, ...]], right: set[int]) -> str:
    """Columns side by side; those in `right` end together."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.rjust(w) if i in right else cell.ljust(w)
                  for i, (cell, w) in enumerate(zip(line, widths))).rstrip() for line in lines)


def table(rows: list[Row]) -> str:
    """The rows as aligned text."""
    head = ("what", "who", "mode", "device", "bytes", "variant", "flows", "workers",
            "median", "min", "max", "unit", "runs")
    lines = [(r.what, r.who, r.mode, r.device, r.bytes, r.variant, f"{r.flows:,}", str(r.workers),
              shown(r.median), shown(r.min), shown(r.max), r.unit, str(r.runs)) for r in rows]
    return aligned([head, *lines], {6, 7, 8, 9, 10, 12})
