"""Two reports side by side: the same rows before and after."""

from __future__ import annotations

from .rows import Row, shown

BETTER_UP = ("pps", "/s", "-second", "ratio", "complete")  # how such units end


def more_is_better(unit: str) -> bool:
    """Rates, ratios and shares of what succeeded; everything else is a cost, a delay or a loss."""
    return unit.endswith(BETTER_UP)


def verdict(before: Row, after: Row) -> str:
    """A difference counts only when it is larger than both spreads."""
    if after.min <= before.max and before.min <= after.max:
        return "within the spread"
    lower = after.median < before.median
    return "worse" if lower == more_is_better(after.unit) else "better"


def compare(before: list[Row], after: list[Row]) -> list[tuple]:
    """(what, where, before, after, change, verdict) of each row that both have."""
    old = {r.key(): r for r in before}
    lines = []
    for new in after:
        then = old.get(new.key())
        if then is None:
            continue
        change = f"{(new.median / then.median - 1) * 100:+.1f} %" if then.median else "-"
        where = " ".join(filter(None, (new.who, new.mode, new.variant, f"{new.bytes} B" if new.bytes else "",
                                       f"{new.flows:,} flows" if new.flows else "")))
        lines.append((new.what, where, f"{shown(then.median)} ({shown(then.min)}-{shown(then.max)})",
                      f"{shown(new.median)} ({shown(new.min)}-{shown(new.max)})", new.unit, change,
                      verdict(then, new)))
    return lines


def text(lines: list[tuple]) -> str:
    head = ("what", "where", "before", "after", "unit", "change", "verdict")
    widths = [max(len(str(line[i])) for line in [head, *lines]) for i in range(len(head))]
    return "\n".join("  ".join(str(cell).ljust(w) for cell, w in zip(line, widths)).rstrip()
                     for line in [head, *lines])
