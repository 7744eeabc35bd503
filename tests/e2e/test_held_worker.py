"""A worker that does not take up a change: not-proved, within --wait, exit code 3."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator

from sluicelab.config import LabConfig
from sluicelab.daemon import Sluiced
from sluicelab.shell import binary
from traffic import V4, in_client

LAB_CONFIG = LabConfig(worker_cores=(1, 0))
HOLD_MS = 4000


def worker_threads(sluiced: Sluiced) -> list[int]:
    """Thread ids of the workers, in the order of their numbers."""
    named = {name: tid for tid, name in sluiced.threads().items() if name.startswith("rte-worker")}
    return [named[name] for name in sorted(named)]


def conditions(sluiced: Sluiced, route: str) -> dict[str, dict]:
    return {condition["type"]: condition for condition in sluiced.route(route)["conditions"]}


@contextlib.contextmanager
def held(tid: int, milliseconds: int) -> Iterator[subprocess.Popen]:
    """The thread stands still from here until `milliseconds` are over (or the block ends later)."""
    holder = subprocess.Popen([binary("tests/e2e/tools/hold_thread"), "--tid", str(tid),
                               "--milliseconds", str(milliseconds)],
                              stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.communicate(timeout=30)
        assert holder.returncode == 0


def test_a_held_worker_is_not_proved_and_named(sluiced: Sluiced) -> None:
    tids = worker_threads(sluiced)
    assert len(tids) == 2, sluiced.threads()
    for number, tid in enumerate(tids):
        with held(tid, HOLD_MS):
            begin = time.monotonic()
            target = "web-v2" if number == 0 else "web-v1"
            result = sluiced.cli_json("switch", "web", "--to", target, "--wait", "1s", expect=3)
            took = time.monotonic() - begin
            proof = result["proof"]
            assert proof["verdict"] == "not-proved"
            acknowledged = [worker["acknowledged"] for worker in proof["workers"]]
            assert acknowledged == [index != number for index in range(2)]
            assert str(number) in proof["reason"], proof["reason"]
            assert 0.9 < took < 2.5, took
            told = sluiced.cli("verify", "web", "--wait", "100ms")
            assert told.returncode == 3, told
            assert "not-proved" in told.stdout
            held_back = conditions(sluiced, "web")
            assert held_back["Programmed"]["status"] == "false"
            assert held_back["Programmed"]["reason"] == "WorkerNotAcknowledged"
            assert held_back["Programmed"]["message"].startswith(f"worker {number} serves")
            assert held_back["Ready"]["reason"] == "NotProgrammed"
        done = sluiced.cli_json("verify", "web")
        assert done["proof"]["verdict"] == "proved"
        assert all(worker["acknowledged"] for worker in done["proof"]["workers"])
        assert conditions(sluiced, "web")["Programmed"]["status"] == "true"


def test_traffic_goes_on_after_the_hold(sluiced: Sluiced) -> None:
    for _ in range(20):
        assert in_client(sluiced.lab, "curl", "-sf", "-m3", f"http://{V4.virtual}/").stdout
