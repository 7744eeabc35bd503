"""Plots as inline SVG: lines over a logarithmic axis, and bars. No library, no network."""

from __future__ import annotations

import math
from html import escape

COLOURS = ("#0b6e4f", "#c8553d", "#3d5a98", "#8a6d1c", "#7a3b78", "#4d4d4d")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 320, 70, 50, 20, 150


def _ticks(high: float, count: int = 5) -> list[float]:
    raw = high / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= raw)
    return [step * i for i in range(int(high / step) + 1)]


def _frame(title: str, inner: str, height: int = HEIGHT) -> str:
    return (f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
            f'<title>{escape(title)}</title>{inner}</svg>')


def lines(title: str, series: dict[str, list[tuple[float, float, float, float]]], x_name: str,
          y_name: str, x_labels: dict[float, str] | None = None, y_log: bool = False) -> str:
    """series: name → [(x, median, min, max)]; x is logarithmic. `x_labels`: words for values of x."""
    points = [p for line in series.values() for p in line]
    if not points:
        return ""
    x_low, x_high = math.log10(min(p[0] for p in points)), math.log10(max(p[0] for p in points))
    top = max(p[3] for p in points) * 1.05
    span = (x_high - x_low) or 1
    x_at = lambda x: LEFT + (math.log10(x) - x_low) / span * (WIDTH - LEFT - RIGHT)
    y_at = lambda y: HEIGHT - BOTTOM - y / top * (HEIGHT - BOTTOM - TOP)
    ticks = _ticks(top)
    if y_log:
        y_low = math.floor(math.log10(max(1e-9, min(p[2] for p in points))))
        y_high = max(y_low + 1, math.ceil(math.log10(top)))
        share = lambda y: (math.log10(max(y, 10 ** y_low)) - y_low) / (y_high - y_low)
        y_at = lambda y: HEIGHT - BOTTOM - share(y) * (HEIGHT - BOTTOM - TOP)
        ticks = [10.0 ** power for power in range(y_low, y_high + 1)]
    parts = []
    for tick in ticks:
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y_at(tick):.1f}" y2="{y_at(tick):.1f}" '
                     f'class="grid"/><text x="{LEFT - 6}" y="{y_at(tick) + 4:.1f}" class="end">{tick:g}</text>')
    for x in sorted({p[0] for p in points}):
        parts.append(f'<text x="{x_at(x):.1f}" y="{HEIGHT - BOTTOM + 18}" class="mid">'
                     f'{escape((x_labels or {}).get(x) or _short(x))}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" class="mid">{escape(x_name)}</text>')
    parts.append(f'<text x="14" y="{HEIGHT / 2}" class="mid" transform="rotate(-90 14 {HEIGHT / 2})">{escape(y_name)}</text>')
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y, _, _ in sorted(line))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y, low, high in line:
            parts.append(f'<line x1="{x_at(x):.1f}" x2="{x_at(x):.1f}" y1="{y_at(low):.1f}" y2="{y_at(high):.1f}" '
                         f'stroke="{colour}"/><circle cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="3" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{TOP + 14 + 18 * number}" fill="{colour}">{escape(name)}</text>')
    return _frame(title, "".join(parts))


def bars(title: str, values: list[tuple[str, float, float, float]], unit: str) -> str:
    """values: [(name, median, min, max)]."""
    if not values:
        return ""
    left, row = 250, 26
    high = max(v[3] for v in values) * 1.02 or 1
    height = row * len(values) + 10
    x_at = lambda v: left + v / high * (WIDTH - left - 130)
    parts = []
    for number, (name, median, low, top) in enumerate(values):
        y = 5 + row * number
        parts.append(f'<text x="{left - 8}" y="{y + 16}" class="end">{escape(name)}</text>'
                     f'<rect x="{left}" y="{y + 3}" width="{max(1, x_at(median) - left):.1f}" height="{row - 8}" '
                     f'fill="{COLOURS[0] if name.startswith("sluice") else COLOURS[2]}"/>'
                     f'<line x1="{x_at(low):.1f}" x2="{x_at(top):.1f}" y1="{y + 12}" y2="{y + 12}" stroke="#000"/>'
                     f'<text x="{x_at(top) + 6:.1f}" y="{y + 16}">{median:,.4g} {escape(unit)}</text>')
    return _frame(title, "".join(parts), height)


def _short(x: float) -> str:
    for limit, sign in ((1e6, "M"), (1e3, "k")):
        if x >= limit:
            return f"{x / limit:g} {sign}"
    return f"{x:g}"
