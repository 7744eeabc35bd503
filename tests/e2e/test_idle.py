"""An idle sluiced leaves the machine alone, and still answers at once."""

from __future__ import annotations

import os
import re
import statistics
import time
from pathlib import Path

import pytest
from sluicelab.config import LabConfig
from sluicelab.daemon import Sluiced
from traffic import V4, V6, Family, in_client

# Health checks as a configuration gets them that says nothing else; the lab's are four times as many.
LAB_CONFIG = LabConfig(
    worker_cores=(1, 0), health='interval = "1s", timeout = "500ms", rise = 2, fall = 3')
MEASURED_S = 5.0
BUSY_PERCENT_MAX = 5.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_ticks(pid: int) -> dict[str, int]:
    """"name tid" → user and system time of each thread."""
    ticks = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name, _, rest = (task / "stat").read_text().partition(" (")[2].rpartition(")")
        fields = rest.split()
        ticks[f"{name} {task.name}"] = int(fields[11]) + int(fields[12])
    return ticks


def test_idle_takes_less_than_five_percent_of_a_core(sluiced: Sluiced) -> None:
    assert in_client(sluiced.lab, "curl", "-sf", "-m5", f"http://{V4.virtual}/").stdout
    time.sleep(1.0)
    before = cpu_ticks(sluiced.pid)
    time.sleep(MEASURED_S)
    after = cpu_ticks(sluiced.pid)
    busy = {thread: 100 * (after[thread] - before.get(thread, 0)) / TICKS_PER_S / MEASURED_S
            for thread in after}
    print({thread: round(percent, 2) for thread, percent in busy.items()})
    assert sum(busy.values()) < BUSY_PERCENT_MAX, busy


@pytest.mark.parametrize("family", [V4, V6], ids=lambda family: family.name)
def test_it_answers_at_once_out_of_sleep(sluiced: Sluiced, family: Family) -> None:
    """Ten pings a second apart: each finds every thread asleep."""
    in_client(sluiced.lab, "ping", "-n", "-c1", family.virtual)
    done = in_client(sluiced.lab, "ping", "-n", "-c", "10", "-i", "1", "-W", "2", family.virtual)
    assert " 0% packet loss" in done.stdout
    times_ms = [float(time_ms) for time_ms in re.findall(r"time=([\d.]+) ms", done.stdout)]
    print(f"answered after (ms): {sorted(times_ms)}")
    # Workers tick every 100 ms: answers that wait for a tick take 50 ms in the median. Not the
    # mean, which one stall of a shared machine decides.
    assert len(times_ms) == 10
    assert statistics.median(times_ms) < 20
    assert in_client(sluiced.lab, "curl", "-sf", "-m5", f"http://{V4.virtual}/").stdout


def test_a_change_is_acknowledged_out_of_sleep(sluiced: Sluiced) -> None:
    times = []
    for number in range(10):
        time.sleep(0.5)
        proof = sluiced.call("route.switch", route="web", to=f"web-v{2 - number % 2}")["proof"]
        assert proof["verdict"] == "proved"
        times.append(proof["acknowledged_us"])
    print(f"acknowledged after (us): {sorted(round(t) for t in times)}")
    assert sorted(times)[len(times) // 2] < 50_000
