"""What Sluice is meant to reach (design goals of the L4 path), judged from the rows of a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .rows import Row

MILLION = 1_000_000
AT_LEAST, AT_MOST = "≥", "≤"


@dataclass(frozen=True)
class Budget:
    text: str
    sign: str
    limit: float
    find: Callable[[list[Row]], Row | None]


@dataclass(frozen=True)
class Judged:
    text: str
    wanted: str
    row: Row
    verdict: str  # met, missed


def _only(**wanted: object) -> Callable[[list[Row]], Row | None]:
    """The first row with these values."""
    return lambda rows: next((r for r in rows if all(getattr(r, name) == value
                                                     for name, value in wanted.items())), None)


def _worst(**wanted: object) -> Callable[[list[Row]], Row | None]:
    """The row with these values whose worst run is the worst, as a row of that run."""
    def find(rows: list[Row]) -> Row | None:
        same = [r for r in rows if all(getattr(r, name) == value for name, value in wanted.items())]
        return max(same, key=lambda r: r.max, default=None)
    return find


def _growth(rows: list[Row]) -> Row | None:
    """Own cycles at the most flows over those at 10 k; min and max pair the far ends of both ranges."""
    own = {r.flows: r for r in rows if r.what == "own cost" and r.device == "null+source"
           and r.variant == "udp4" and r.bytes == "64"}
    few, many = own.get(10_000), own.get(8 * MILLION)
    if few is None or many is None:
        return None
    return Row(**{**vars(many), "what": "growth", "unit": "ratio", "median": many.median / few.median,
                  "min": many.min / few.max, "max": many.max / few.min})


SMALL = {"bytes": "64", "variant": "udp4", "device": "null+source", "flows": MILLION}
BUDGETS = (
    Budget("nat, 64 B UDP, 1 M flows: rate beside testpmd 5tswap", AT_LEAST, 0.5,
           _only(what="rate beside testpmd 5tswap", **SMALL)),
    Budget("nat, 64 B UDP, 1 M flows: own cost of a packet", AT_MOST, 150, _only(what="own cost", **SMALL)),
    Budget("own cost at 8 M flows over that at 10 k", AT_MOST, 2, _growth),
    Budget("1 M flows: rate beside OVS-DPDK ct(nat), the same source", AT_LEAST, 10,
           _only(what="rate beside ovs-dpdk ct(nat)+group", **SMALL)),
    Budget("10 k flows: rate beside OVS-DPDK ct(nat), the same capture file", AT_LEAST, 10,
           _only(what="rate beside ovs-dpdk ct(nat)+group", device="pcap", bytes="64")),
    Budget("two workers beside one", AT_LEAST, 1.8, _only(what="two workers beside one", who="sluice")),
    Budget("conntrack lookup in batches, 1 M random flows", AT_MOST, 35,
           _only(what="stage", mode="lookup, batches of 32 with prefetch", unit="ns", variant="IPv4",
                 flows=MILLION)),
    Budget("new TCP connections beside 1 M live ones, thousands a CPU-second", AT_LEAST, 1000,
           _only(what="connections", mode="churn, 8 packets", flows=MILLION, variant="tcp4, table 48% full",
                 unit="k connections/CPU-second")),
    Budget("Maglev table of 1,000 backends, 131,071 slots: ns to build", AT_MOST, 2_000_000,
           _only(what="stage", mode="Maglev table, 1,000 backends", unit="ns")),
    Budget("swap under load: acknowledged, p99, while the worker has its core", AT_MOST, 1000,
           _only(what="swap", mode="acknowledged p99, core kept")),
    Budget("swaps under load: packets lost", AT_MOST, 0, _worst(what="swap", unit="packets lost")),
    Budget("swaps under load: connections broken", AT_MOST, 0, _worst(what="swap", unit="connections broken")),
    Budget("swaps under load: mixed reads", AT_MOST, 0, _worst(what="swap", unit="mixed reads")),
    Budget("2,000 control requests/s, 200 watchers: answered a second", AT_LEAST, 1950,
           _only(what="control socket", unit="requests/s")),
    Budget("2,000 control requests/s, 200 watchers: worker's cost beside a quiet socket", AT_MOST, 1.05,
           _only(what="worker's cost beside a quiet socket")),
    *(Budget(f"compiling {size}: {mode}", AT_MOST, limit, _only(what="compile", mode=mode, variant=size))
      for size in ("1000 listeners, 100 pools x 100", "1000 listeners, 655 pools x 100")
      for mode, limit in (("all tables new", 200), ("one weight", 5))),
)


def judge(rows: list[Row]) -> list[Judged]:
    """Those budgets whose figure is among the rows."""
    found = []
    for budget in BUDGETS:
        row = budget.find(rows)
        if row is not None:
            value = row.median if budget.limit else row.max
            met = value >= budget.limit if budget.sign == AT_LEAST else value <= budget.limit
            limit = f"{budget.limit:,.0f}" if budget.limit >= 100 else f"{budget.limit:g}"
            found.append(Judged(budget.text, f"{budget.sign} {limit}", row, "met" if met else "missed"))
    return found
