"""Plain text for a terminal or a log: one live line on a terminal, nothing that moves elsewhere."""

from __future__ import annotations

import shutil
import sys

BAR_CELLS = 32


class Screen:
    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._live = False

    def line(self, text: str = "") -> None:
        self._clear()
        print(text, flush=True)

    def live(self, text: str) -> None:
        """Replaces the last live line; not shown where output goes to a file."""
        if self._terminal:
            columns = shutil.get_terminal_size().columns
            print("\r" + text[:columns - 1].ljust(columns - 1), end="", flush=True)
            self._live = True

    def _clear(self) -> None:
        if self._live:
            print("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r", end="")
            self._live = False


def percent(part: float, whole: float) -> float:
    return 100.0 * part / whole if whole else 0.0


def split_bar(blue: int, green: int) -> str:
    """"bbbbbbbbgg": how the last moment's answers divided."""
    if blue + green == 0:
        return "." * BAR_CELLS
    cells = round(BAR_CELLS * green / (blue + green))
    if green and cells == 0:
        cells = 1  # a canary of 1 % is to be seen
    return "b" * (BAR_CELLS - cells) + "g" * cells
