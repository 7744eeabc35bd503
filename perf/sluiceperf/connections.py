"""Connections: what opening one costs while the table fills up, how many come and go in a second beside those
that are there, what a full table does, and what a SYN flood does to the others. The source makes and checks every
packet on the worker's core; it counts its own time, and the "own" figures are without it."""

from __future__ import annotations

from pathlib import Path

from sluicelab import hugepages
from sluicelab.shell import LabError

from .churn import ChurnSluice, Sample
from .rows import Row, row

FILLS = (0.10, 0.50, 0.90)
HALF_WINDOW = 0.05
PACKETS = {"tcp": 8, "udp": 2}  # of a connection from its first to its last
FLOOD = 16  # of 32 packets that clients send


def windows(samples: list[tuple[int, float]], table: int) -> dict[float, float]:
    """{fill: ns for one connection}, from (connections, ns so far) samples in order."""
    found = {}
    for fill in FILLS:
        inside = [s for s in samples if abs(s[0] / table - fill) <= HALF_WINDOW]
        if len(inside) >= 2 and inside[-1][0] > inside[0][0]:
            found[fill] = (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])
    return found


def strict(found: Sample, expected: tuple[str, ...] = ()) -> Sample:
    """Fails unless every connection got through, and every packet was forwarded or is `expected`."""
    if others := found.others(expected):
        raise LabError(f"packets were not forwarded: {others}")
    bad = {name: found.churn[name] for name in ("failed", "late", "resets") if found.churn[name]}
    if bad and not expected:
        raise LabError(f"connections did not get through: {bad}")
    return found


def unharmed(subject: ChurnSluice) -> None:
    if harmed := subject.harmed():
        raise LabError(f"{harmed:,} of {subject.live:,} established connections were harmed")


def rate_rows(samples: list[Sample], count: str, **what: object) -> list[Row]:
    """Connections a second of CPU time, with and without the source."""
    done = [s.churn[count] for s in samples]
    if not all(done):
        raise LabError(f"no connection was {count}: {samples[done.index(0)].churn}")
    return [row([n / s.own_ns * 1e6 for n, s in zip(done, samples)], "k connections/CPU-second",
                **dict(what, note="without the source's own time")),
            row([s.own_ns / n for n, s in zip(done, samples)], "ns", **what),
            row([n / s.cpu_ns * 1e6 for n, s in zip(done, samples)], "k connections/CPU-second",
                **dict(what, mode=f"{what['mode']}, source included"))]


class Case:
    """One device under test with its hugepages."""

    def __init__(self, subject: ChurnSluice) -> None:
        self.subject = subject

    def __enter__(self) -> ChurnSluice:
        self._pages = hugepages.reserved(self.subject.memory_mb() // 2 + 16)
        self._pages.__enter__()
        try:
            self.subject.start()
        except BaseException:
            self.__exit__()
            raise
        return self.subject

    def __exit__(self, *error: object) -> None:
        self.subject.stop()
        self._pages.__exit__(None, None, None)


def common(subject: ChurnSluice, **more: object) -> dict:
    return dict(what="connections", who="sluice", device=subject.device, bytes="64", workers=1,
                flows=subject.live, **more)


def opening(scratch: Path, proto: str, family: str, table: int, runs: int) -> list[Row]:
    """Opens connections, which stay, until the table is 96 % full."""
    costs: dict[float, list[float]] = {}
    for _ in range(runs):
        with Case(ChurnSluice(scratch, int(table * 0.96), table, proto, family)) as subject:
            samples = subject.fill()
            unharmed(subject)
        for fill, cost in windows([(s.churn["live"], s.own_ns) for s in samples], table).items():
            costs.setdefault(fill, []).append(cost)
    rows = []
    for fill, values in costs.items():
        what = common(subject, mode="open and keep", variant=f"{proto}{family}, table {fill:.0%} full")
        what["flows"] = int(fill * table)
        rows += [row([1e6 / ns for ns in values], "k connections/CPU-second", **what), row(values, "ns", **what)]
    return rows


def churning(scratch: Path, live: int, table: int, family: str, runs: int, seconds: float) -> list[Row]:
    """TCP connections from SYN to the last ACK beside `live` ones. Ended ones leave the table after 0.1 s, so that
    its fill stays about what it is said to be."""
    with Case(ChurnSluice(scratch, live, table, family=family, ending_ticks=1)) as subject:
        subject.fill()
        subject.churn(seconds / 2)  # until as many leave as come
        samples = [strict(subject.churn(seconds)) for _ in range(runs)]
        unharmed(subject)
    return rate_rows(samples, "completed", **common(
        subject, mode=f"churn, {PACKETS['tcp']} packets", variant=f"tcp{family}, table {live / table:.0%} full"))


def pressed(scratch: Path, live: int, table: int, runs: int, seconds: float) -> list[Row]:
    """The same while ended connections, which wait 10 s, fill what the live ones leave of the table: each new one
    takes the place of another."""
    with Case(ChurnSluice(scratch, live, table, patience_ms=50)) as subject:
        subject.fill()
        for _ in range(60):
            if subject.churn(0.25).evicted:
                break
        else:
            raise LabError("the table is not full after 15 s of CPU time")
        samples = [subject.churn(seconds) for _ in range(runs)]
        unharmed(subject)
    what = common(subject, variant=f"tcp4, {live / table:.0%} live, the rest ended")
    return rate_rows(samples, "completed", **what, mode="churn, table full") + [
        row([100 * s.churn["completed"] / (s.churn["completed"] + s.churn["failed"]) for s in samples],
            "% of connections complete", **what, mode="churn, table full")]


def full(scratch: Path, table: int, runs: int, seconds: float) -> list[Row]:
    """Every place of the table is taken by a connection that is used: a new one must be refused."""
    with Case(ChurnSluice(scratch, table, table, patience_ms=5, pings=16)) as subject:
        subject.fill()
        samples = [strict(subject.churn(seconds), ("flow_table_full",)) for _ in range(runs)]
        end = subject.settle()
        unharmed(subject)
    refused = end.verdicts.get("flow_table_full", 0)
    if end.churn["completed"] or refused != end.churn["started"] or end.evicted:
        raise LabError(f"a full table refused {refused:,} of {end.churn['started']:,} new connections, completed "
                       f"{end.churn['completed']:,} and evicted {end.evicted:,}")
    what = common(subject, mode="all in use", variant="tcp4, table 100% full")
    return [row([s.own_ns / s.churn["packets"] for s in samples], "ns/packet", **what),
            row([float(s.verdicts["flow_table_full"]) for s in samples], "refused (flow_table_full)", **what),
            row([0.0] * runs, "established connections harmed", **what)]


def flooded(scratch: Path, live: int, table: int, runs: int, seconds: float) -> list[Row]:
    """A SYN flood that nobody answers beside connections that come and go (1 ms each way) and packets of live
    ones, with and without in turn. The flood keeps the table full: half-open connections end each other."""
    rows, quiet, loud = [], [], []
    with Case(ChurnSluice(scratch, live, table, ending_ticks=2, pings=6, delay_us=1000, concurrent=4096,
                          patience_ms=50)) as subject:
        subject.fill()
        while subject.churn(0.1, FLOOD).evicted == 0:
            pass
        for _ in range(runs):
            quiet.append(subject.churn(seconds))
            subject.settle()
            loud.append(subject.churn(seconds, FLOOD))
        unharmed(subject)
    for mode, samples in (("no flood", quiet), ("SYN flood", loud)):
        what = common(subject, mode=mode, variant=f"tcp4, {live / table:.0%} live")
        good = [s.churn["seen"] - s.churn["flood_passed"] for s in samples]
        ended = [s.churn["completed"] + s.churn["failed"] for s in samples]
        rows += [row([s.own_ns / n for s, n in zip(samples, good)], "ns/good packet", **what),
                 row([100 * s.churn["completed"] / n for s, n in zip(samples, ended) if n] or [0.0],
                     "% of good connections complete", **what)]
    rows.append(row([s.churn["flooded"] / s.cpu_ns * 1e6 for s in loud], "k SYN/CPU-second",
                    **common(subject, mode="SYN flood", variant=f"tcp4, {live / table:.0%} live")))
    return rows


def run(scratch: Path, quick: bool, runs: int, peers: set[str], progress) -> list[Row]:
    rows: list[Row] = []
    million = 1_000_000
    seconds, table = (0.3, 1 << 18) if quick else (1.0, 1 << 20)
    for proto, family in (("tcp", "4"), ("udp", "4")) if quick else (
            ("tcp", "4"), ("udp", "4"), ("tcp", "6"), ("udp", "6")):
        progress(f"opening {proto}{family} connections in a table of {table:,}")
        rows += opening(scratch, proto, family, table, 1 if quick else runs)
    cases = [(million, 1 << 21, "4")]
    if not quick:
        # The larger table: a tenth of it must hold the connections that ended within the last 0.1 s.
        cases += [(int((1 << 21) * fill), 1 << 21, "4") for fill in FILLS] + [(million, 1 << 21, "6")]
    for live, size, family in cases:
        progress(f"TCP connections over IPv{family} beside {live:,} in a table of {size:,}")
        rows += churning(scratch, live, size, family, runs, seconds)
    progress(f"a table of {table:,} full of ended connections")
    rows += pressed(scratch, table // 2, table, runs, seconds)
    progress("a table full of connections in use")
    rows += full(scratch, 1 << 16, runs, seconds)
    progress("SYN flood")
    rows += flooded(scratch, table * 9 // 10, table, runs, seconds)
    return rows
