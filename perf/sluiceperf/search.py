"""Trials, and the search for the fastest rate without loss (RFC 2544 §26.1). Pure: no process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

QUIET_NS = 100_000  # longer gaps of the generator or the device are the machine's doing
SHORT = 0.01  # of the packets that the generator should have sent


@dataclass(frozen=True)
class Outcome:
    """One trial. Rates in packets per second of both directions together."""

    offered: float
    forwarded: float
    lost: int  # refused by a full ring, or gone
    late: int  # overtaken by a later one of their flow
    wrong: dict[str, int]  # packets that no device may send, by kind
    is_short: bool  # the generator did not reach the rate
    is_disturbed: bool  # the machine took a core away
    blocked: float  # share of the generator's bursts that met a full ring
    latency_ns: dict[str, float]

    @property
    def passes(self) -> bool:
        return self.lost == 0 and not self.is_short


def outcome(answer: dict, device_waited_ns: int = 0, stolen: bool = False) -> Outcome:
    """From the generator's answer to `trial`; `device_waited_ns`: how long the device's threads were ready to
    run but not on a core."""
    planned = answer["sent"] + answer["refused"] + answer["skipped"]
    return Outcome(
        offered=(answer["sent"] + answer["refused"]) / answer["seconds"],
        forwarded=answer["received"] / answer["seconds"],
        lost=answer["refused"] + answer["sent"] - answer["received"],
        late=answer["late"], wrong=answer["wrong"],
        is_short=answer["skipped"] > SHORT * planned,
        is_disturbed=stolen or max(answer["longest_gap_ns"], device_waited_ns) > QUIET_NS,
        blocked=answer["blocked"] / max(1, answer["bursts"]), latency_ns=answer["latency_ns"])


@dataclass(frozen=True)
class Found:
    best: Outcome | None  # the fastest trial without loss
    trials: int
    disturbed: int  # of them: repeated, as their losses say nothing about the device

    @property
    def rate(self) -> float:
        return self.best.offered if self.best else 0.0


def zero_loss(trial: Callable[[float], Outcome], ceiling: float, resolution: float = 0.02,
              attempts: int = 3) -> Found:
    """Halves the interval below `ceiling` until it is `resolution` of it. A trial without a single lost packet
    passes; one that was disturbed and failed is made again, `attempts` times in all."""
    best, trials, disturbed = None, 0, 0

    def passes(rate: float) -> Outcome | None:
        nonlocal trials, disturbed
        for _ in range(attempts):
            done = trial(rate)
            trials += 1
            if done.passes:
                return done
            if not done.is_disturbed:
                return None
            disturbed += 1
        return None

    low, high, rate = 0.0, ceiling, ceiling
    while high - low > resolution * ceiling or rate == ceiling:
        if done := passes(rate):
            best, low = done, rate
        else:
            high = rate
        if low == ceiling:
            break
        rate = (low + high) / 2
    return Found(best, trials, disturbed)
