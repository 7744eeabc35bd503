"""Two reports side by side: the same figures before and after, and which differ by more than they
spread."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from .rows import Row, aligned, shown

BETTER_UP = ("pps", "/s", "-second", "ratio", "complete")  # how such units end
BETTER, WORSE, WITHIN, FEW = "better", "worse", "within the spread", "too few runs"
CHANCE_MAX = 0.1


@dataclass(frozen=True)
class Change:
    before: Row
    after: Row
    verdict: str

    @property
    def percent(self) -> str:
        if self.before.median == 0:
            return "" if self.after.median == 0 else "from 0"
        return f"{(self.after.median / self.before.median - 1) * 100:+.1f} %"


def chance(before: int, after: int) -> float:
    """How often the ranges of so many runs of the same thing do not touch: all of one side must
    come before all of the other. 3 and 3 runs: 10 %; 5 and 5: 0.8 %."""
    return 2 / math.comb(before + after, before)


def more_is_better(unit: str) -> bool:
    """Rates, ratios and shares of what succeeded; everything else is a cost, a delay or a loss."""
    return unit.endswith(BETTER_UP)


def verdict(before: Row, after: Row) -> str:
    """A difference counts when the ranges of the runs do not touch, and that says something."""
    if after.min <= before.max and before.min <= after.max:
        return WITHIN
    if chance(before.runs, after.runs) > CHANCE_MAX:
        return FEW
    is_more = after.median > before.median
    return BETTER if is_more == more_is_better(after.unit) else WORSE


def compare(before: list[Row], after: list[Row]) -> list[Change]:
    """The figures that both have, in the order of `after`."""
    old = {row.key(): row for row in before}
    return [Change(old[new.key()], new, verdict(old[new.key()], new)) for new in after
            if new.key() in old]


def _where(row: Row) -> str:
    return ", ".join(filter(None, (
        f"{row.who} {row.mode}".strip(), row.device, row.variant, row.bytes and f"{row.bytes} B",
        f"{row.flows:,} flows" if row.flows else "",
        f"{row.workers} workers" if row.workers > 1 else "")))


def _figure(row: Row) -> str:
    return f"{shown(row.median)} ({shown(row.min)} to {shown(row.max)})"


def text(before: list[Row], after: list[Row], shows_all: bool = False) -> str:
    """A table of what differs by more than the spread (or of all), and a count of the rest."""
    changes = compare(before, after)
    beyond = [c for c in changes if shows_all or c.verdict != WITHIN]
    lines = [(c.after.what, _where(c.after), _figure(c.before), _figure(c.after), c.after.unit,
              c.percent, c.verdict) for c in beyond]
    counts = Counter(c.verdict for c in changes)
    total = ", ".join(f"{counts[name]} {name}" for name in (BETTER, WORSE, FEW, WITHIN)
                      if counts[name])
    alone = len(before) + len(after) - 2 * len(changes)
    total += f"; {alone} in one report only" if alone else ""
    head = ("what", "where", "before", "after", "unit", "change", "verdict")
    return (aligned([head, *lines], {2, 3, 5}) + "\n\n" if lines else "") + total
