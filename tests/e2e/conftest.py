"""Fixtures: a lab per test file and, where a file asks for it, one sluiced in it.

A file that wants other workers, queues or weights says so in module variables: LAB_CONFIG (a
LabConfig) and QUEUES. Labs are named by LAB_PREFIX (default "slt"), so a demo may run beside them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "lib"))
os.environ.setdefault("LAB_PREFIX", "slt")

from sluicelab import hugepages  # noqa: E402
from sluicelab.config import LabConfig  # noqa: E402
from sluicelab.daemon import HUGEPAGES, Sluiced  # noqa: E402
from sluicelab.lab import Lab  # noqa: E402
from sluicelab.shell import need_root  # noqa: E402

KEEP_LOG_LINES = 12


def pytest_configure() -> None:
    """A killed run still takes its labs down: pytest.exit() runs the fixtures' ends."""

    def leave(number: int, _frame: object) -> None:
        pytest.exit(f"signal {number}", returncode=128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


@pytest.fixture(scope="session", autouse=True)
def root_only() -> None:
    need_root()


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Namespaces and servers; everything is gone afterwards."""
    lab = Lab(queues=getattr(request.module, "QUEUES", 1))
    lab.down()
    try:
        lab.up()
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="module")
def sluiced(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Sluiced]:
    """Running, with every backend usable and resolved."""
    with hugepages.reserved(HUGEPAGES):
        sluiced = Sluiced(lab, getattr(request.module, "LAB_CONFIG", LabConfig()))
        try:
            sluiced.start()
            sluiced.wait_all_usable()
            yield sluiced
        finally:
            sluiced.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """A failed test shows the end of sluiced's log: the run directory will be gone."""
    outcome = yield
    report = outcome.get_result()
    daemon = getattr(item, "funcargs", {}).get("sluiced")
    if report.failed and isinstance(daemon, Sluiced) and daemon.log_path.exists():
        lines = daemon.log_path.read_text(errors="replace").splitlines()[-KEEP_LOG_LINES:]
        report.sections.append(("end of sluiced's log", "\n".join(lines)))
