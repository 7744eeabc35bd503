"""The audit log of a running node: tampered with, and on a disk that is full."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sluicelab.daemon import Sluiced
from traffic import V4, in_client, read_metric

DISK = "1m"
FIRST_FILE = "0000000000000001.jsonl"


@pytest.fixture(scope="module")
def sluiced(sluiced: Sluiced) -> Iterator[Sluiced]:
    """Once more, its state on a small disk that only it sees, with a few changes."""
    sluiced.stop()
    sluiced.state_disk = DISK
    sluiced.start()
    sluiced.wait_all_usable()
    for green in (5, 10, 20):
        sluiced.cli_json("weight", "web", f"web-v2={green}", "--reason", f"step to {green}")
    yield sluiced


def state_dir(sluiced: Sluiced) -> Path:
    """The state directory as sluiced sees it: its disk is mounted for it alone."""
    return Path(f"/proc/{sluiced.pid}/root{sluiced.state_dir}")


def edit_a_byte(lines: list[bytes]) -> None:
    lines[4] = lines[4].replace(b"\"uid\":0", b"\"uid\":7")


def remove_a_line(lines: list[bytes]) -> None:
    del lines[4]


def reorder(lines: list[bytes]) -> None:
    lines[3], lines[4] = lines[4], lines[3]


def truncate(lines: list[bytes]) -> None:
    del lines[4:]


@pytest.mark.parametrize("spoil,told", [
    (edit_a_byte, "it was edited"),
    (remove_a_line, "record 5 was removed before this line"),
    (reorder, "record 4 is in the wrong place"),
    (truncate, "the end is missing: records 5.."),
])
def test_tampering_is_named_by_file_and_line(
        sluiced: Sluiced, tmp_path: Path, spoil, told: str) -> None:
    shutil.copytree(state_dir(sluiced) / "audit", tmp_path / "audit")
    whole = sluiced.cli_json("audit", "verify", "--state-dir", str(tmp_path))
    assert whole["whole"] and whole["records"] > 6
    log = tmp_path / "audit" / FIRST_FILE
    lines = log.read_bytes().splitlines(keepends=True)
    spoil(lines)
    log.write_bytes(b"".join(lines))
    found = sluiced.cli("audit", "verify", "--state-dir", str(tmp_path))
    assert found.returncode == 1
    assert f"{log}:5: {told}" in found.stdout, found.stdout


def test_the_log_of_a_running_node_is_verified_through_it(sluiced: Sluiced) -> None:
    log = state_dir(sluiced) / "audit" / FIRST_FILE
    at = log.read_bytes().index(b"step to 10")
    with open(log, "r+b") as file:
        for text, code in ((b"step to 11", 1), (b"step to 10", 0)):
            file.seek(at)
            file.write(text)
            file.flush()
            told = sluiced.cli("audit", "verify")
            assert told.returncode == code, told.stdout
            assert code == 0 or f"{FIRST_FILE}:" in told.stdout and "it was edited" in told.stdout


def fill(path: Path) -> None:
    """Until nothing more fits, to the last byte."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass


def test_a_full_disk_refuses_changes_and_traffic_goes_on(sluiced: Sluiced) -> None:
    before = sluiced.status()["generation"]
    filler = state_dir(sluiced) / "filler"
    fill(filler)
    try:
        # Longer than what may be left of the log's last page.
        refused = sluiced.cli("weight", "web", "web-v2=50", "--reason", "too late " * 450)
        assert refused.returncode == 1
        assert "No space left on device" in refused.stderr
        assert "the change is refused and traffic is as before" in refused.stderr
        now = sluiced.status()
        assert all(worker["generation"] == now["generation"] for worker in now["workers"])
        assert now["generation"] == before
        assert in_client(sluiced.lab, "curl", "-sf", "-m5", f"http://{V4.virtual}/").stdout
        assert read_metric(sluiced, "sluice_audit_failures_total") > 0
    finally:
        filler.unlink()
    done = sluiced.cli_json("weight", "web", "web-v2=50", "--reason", "in time")
    assert done["generation"] == before + 1 and done["proof"]["verdict"] == "proved"
    assert sluiced.cli("audit", "verify").returncode == 0

