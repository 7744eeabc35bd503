"""Plots as inline SVG: lines over a logarithmic axis, bars, and ratios. No library, no network.

Every figure is a median with the range of its runs: (…, median, min, max).
"""

from __future__ import annotations

import math
from html import escape

from .rows import shown

COLOURS = ("#0b6e4f", "#c8553d", "#3d5a98", "#8a6d1c", "#7a3b78", "#4d4d4d", "#2a9d8f", "#b56576")
OURS, OTHERS = COLOURS[0], "#8da2c8"
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 860, 340, 70, 50, 16, 230
NAMES, FIGURES = 320, 230  # left and right of bars
ROW = 24


def _linear_ticks(high: float, count: int = 5) -> list[float]:
    raw = high / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= raw)
    return [step * i for i in range(int(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten, from the last one below the values to the first one above."""
    low = max(1e-9, low)
    high = max(high, low)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = [m * 10.0 ** p for p in powers for m in (1, 2, 5)]
    first = max(i for i, step in enumerate(steps) if step <= low * 1.000001)
    last = min((i for i, step in enumerate(steps) if step >= high), default=len(steps) - 1)
    return steps[first:max(last, first + 1) + 1]


class _LogScale:
    """Positions along `length` from `start`, of values between two ticks."""

    def __init__(self, low: float, high: float, start: float, length: float) -> None:
        self.ticks = _log_ticks(low, high)
        self._low, high = math.log10(self.ticks[0]), math.log10(self.ticks[-1])
        self._start, self._scale = start, length / (high - self._low)

    def at(self, value: float) -> float:
        return self._start + (math.log10(max(value, self.ticks[0])) - self._low) * self._scale


class _LinearScale:
    def __init__(self, high: float, start: float, length: float) -> None:
        self.ticks = _linear_ticks(high or 1)
        self._start, self._scale = start, length / (high or 1)

    def at(self, value: float) -> float:
        return self._start + max(0.0, value) * self._scale


def _short(value: float) -> str:
    for limit, sign in ((1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:g}{sign}"
    return f"{value:g}"


def _frame(title: str, inner: str, height: float = HEIGHT) -> str:
    return (f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">'
            f"{inner}</svg>")


def _text(x: float, y: float, words: str, kind: str = "", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" {more}>{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "", more: str = "") -> str:
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}" '
            f"{more}/>")


def _figure(name: str, median: float, low: float, high: float, unit: str) -> str:
    spread = f" ({shown(low)} to {shown(high)})" if high > low else ""
    return f"{name}: {shown(median)}{spread} {unit}"


def _spread_out(wanted: list[float], apart: float) -> list[float]:
    """Positions at least `apart` from each other, near the wanted ones and in their order."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed, last = list(wanted), -math.inf
    for i in order:
        last = placed[i] = max(wanted[i], last + apart)
    limit = float(HEIGHT - BOTTOM)
    for i in reversed(order):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - apart
    return placed


def lines(title: str, series: dict[str, list[tuple[float, float, float, float]]], x_name: str,
          y_name: str, x_labels: dict[float, str] | None = None, y_log: bool = False) -> str:
    """series: name → [(x, median, min, max)]; x is logarithmic. `x_labels`: words for some x."""
    points = [p for line in series.values() for p in line]
    if not points:
        return ""
    x_low, x_high = (math.log10(limit(p[0] for p in points)) for limit in (min, max))
    end = WIDTH - RIGHT
    width = (end - LEFT - 16) / ((x_high - x_low) or 1)
    x_at = lambda x: LEFT + 8 + (math.log10(x) - x_low) * width
    x_word = lambda x: (x_labels or {}).get(x) or _short(x)
    top, up = max(p[3] for p in points), TOP + BOTTOM - HEIGHT
    y = (_LogScale(min(p[2] for p in points), top, HEIGHT - BOTTOM, up) if y_log
         else _LinearScale(top * 1.05, HEIGHT - BOTTOM, up))
    parts = []
    for tick in y.ticks:
        parts.append(_line(LEFT, y.at(tick), end, y.at(tick), "grid")
                     + _text(LEFT - 8, y.at(tick) + 4, _short(tick), "end"))
    for x in sorted({p[0] for p in points}):
        parts.append(_text(x_at(x), HEIGHT - BOTTOM + 18, x_word(x), "mid"))
    parts.append(_text((LEFT + end) / 2, HEIGHT - 8, x_name, "mid"))
    parts.append(_text(16, HEIGHT / 2, y_name, "mid", f'transform="rotate(-90 16 {HEIGHT / 2})"'))
    last = [y.at(max(line)[1]) for line in series.values()]
    for number, ((name, line), label_y) in enumerate(zip(series.items(), _spread_out(last, 17))):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x_at(p[0]):.1f},{y.at(p[1]):.1f}" for p in sorted(line))
        is_ours = name.startswith("sluice")
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                     f'stroke-width="{3 if is_ours else 1.6}"/>')
        for x, median, low, high in line:
            parts.append(
                _line(x_at(x), y.at(low), x_at(x), y.at(high), "", f'stroke="{colour}"')
                + f'<circle cx="{x_at(x):.1f}" cy="{y.at(median):.1f}" r="3.5" fill="{colour}">'
                + f"<title>{escape(_figure(f'{name}, {x_word(x)}', median, low, high, y_name))}"
                + "</title></circle>")
        parts.append(_text(end + 12, label_y + 4, name, "strong" if is_ours else "",
                           f'fill="{colour}"'))
    return _frame(title, "".join(parts))


def bars(title: str, values: list[tuple[str, float, float, float]], unit: str,
         is_log: bool = False, ours: str = "sluice") -> str:
    """values: [(name, median, min, max)]; those whose name begins with `ours` stand out. With
    `is_log` bars begin at a tick below the smallest value."""
    if not values:
        return ""
    # One run far beyond the others must not make all bars short: its range ends at the edge.
    high = min(max(v[3] for v in values), 2 * max(v[1] for v in values) or math.inf)
    width = WIDTH - NAMES - FIGURES
    scale = (_LogScale(min(v[2] for v in values) / 2, high, NAMES, width) if is_log
             else _LinearScale(high, NAMES, width))
    parts = []
    for number, (name, median, low, top) in enumerate(values):
        y = 4 + ROW * number
        colour = OURS if name.startswith(ours) else OTHERS
        spread = f"  ({shown(low)} to {shown(top)})" if top > low else ""
        parts.append(
            _text(NAMES - 8, y + 15, name, "end")
            + f'<rect x="{NAMES}" y="{y + 3}" width="{max(1.0, scale.at(median) - NAMES):.1f}" '
              f'height="{ROW - 8}" rx="2" fill="{colour}"/>'
            + _line(scale.at(low), y + 11, scale.at(min(top, high)), y + 11, "range")
            + _text(scale.at(max(min(top, high), median)) + 6, y + 15, f"{shown(median)} {unit}{spread}"))
    return _frame(title, "".join(parts), ROW * len(values) + 8)


def ratios(title: str, values: list[tuple[str, float, float, float]]) -> str:
    """values: [(name, median, min, max)] on a logarithmic axis, with a line at 1."""
    if not values:
        return ""
    lowest = min([1.0, *(max(v[2], v[1] / 10) for v in values)])
    scale = _LogScale(lowest, max([1.0, *(v[3] for v in values)]), NAMES, WIDTH - NAMES - FIGURES)
    bottom = ROW * len(values) + 8
    parts = [_line(scale.at(tick), 0, scale.at(tick), bottom, "unity" if tick == 1 else "grid")
             + (_text(scale.at(tick), bottom + 14, f"{tick:g}×", "mid")
                if len(scale.ticks) < 8 or math.log10(tick).is_integer() else "")
             for tick in scale.ticks]
    for number, (name, median, low, high) in enumerate(values):
        y = 4 + ROW * number + 11
        colour = OURS if median >= 1 else COLOURS[1]
        spread = f"  ({shown(low)} to {shown(high)})" if high > low else ""
        parts.append(_text(NAMES - 8, y + 4, name, "end")
                     + _line(scale.at(1), y, scale.at(median), y, "",
                             f'stroke="{colour}" stroke-width="5"')
                     + _line(scale.at(low), y, scale.at(high), y, "range")
                     + f'<circle cx="{scale.at(median):.1f}" cy="{y}" r="5" fill="{colour}"/>'
                     + _text(scale.at(max(high, 1)) + 10, y + 4, f"{shown(median)}×{spread}"))
    return _frame(title, "".join(parts), bottom + 20)
