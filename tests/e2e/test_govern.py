"""Two people, real unix users: who may change what, who has to agree, and what is recorded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sluicelab import hugepages
from sluicelab.config import LabConfig
from sluicelab.daemon import HUGEPAGES, Sluiced
from sluicelab.lab import Lab
from sluicelab.shell import binary

OPERATOR, APPROVER, VIEWER = 61001, 61002, 61003  # no such accounts are needed
ROLES = f"""
[[role]]
name = "operators"
kind = "operator"
users = ["{OPERATOR}"]
routes = ["web", "dns"]

[[role]]
name = "release-board"
kind = "approver"
groups = ["{APPROVER}"]
"""
WEB = 'name = "web"\nlisteners'
WAITS, DONE, REFUSED = 4, 0, 1
TOOLS: list[Path] = []  # a directory that everybody may look into, with a copy of `sluice`


class Person:
    """Runs `sluice` as a user: the kernel tells sluiced who it is."""

    def __init__(self, sluiced: Sluiced, uid: int) -> None:
        self.sluiced, self.uid = sluiced, uid
        self.tool = TOOLS[0] / "sluice"

    def run(self, *arguments: str, expect: int = DONE) -> dict:
        done = subprocess.run(
            [str(self.tool), "--json", *arguments], text=True, capture_output=True, check=False,
            user=self.uid, group=self.uid, extra_groups=[], cwd="/",
            env=self.sluiced.lab.environment())
        assert done.returncode == expect, (arguments, done)
        return json.loads(done.stdout)

    def refused(self, *arguments: str) -> str:
        return self.run(*arguments, expect=REFUSED)["error"]["message"]


@pytest.fixture(scope="module")
def sluiced(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sluiced]:
    """Its route "web" needs the approval of a second person; everybody may open its socket."""
    with hugepages.reserved(HUGEPAGES):
        sluiced = Sluiced(lab, LabConfig())
        text = sluiced.config_path.read_text()
        assert WEB in text
        sluiced.config_path.write_text(
            text.replace(WEB, 'name = "web"\napproval = "required"\nlisteners') + ROLES)
        TOOLS[:] = [tmp_path_factory.mktemp("tools")]
        shutil.copy(binary("ctrl/cli/sluice"), TOOLS[0])
        try:
            sluiced.start()
            sluiced.wait_all_usable()
            open_to_everybody(lab.run_dir)
            open_to_everybody(TOOLS[0])
            os.chmod(lab.socket_path, 0o666)
            yield sluiced
        finally:
            sluiced.stop()


def open_to_everybody(folder: Path) -> None:
    for path in (folder, *folder.parents):
        mode = os.stat(path).st_mode
        if not mode & 0o001:
            os.chmod(path, mode | 0o011)


@pytest.fixture
def operator(sluiced: Sluiced) -> Person:
    return Person(sluiced, OPERATOR)


@pytest.fixture
def approver(sluiced: Sluiced) -> Person:
    return Person(sluiced, APPROVER)


@pytest.fixture
def viewer(sluiced: Sluiced) -> Person:
    return Person(sluiced, VIEWER)


def weights(sluiced: Sluiced) -> dict[str, int]:
    return {p["pool"]: p["weight"] for p in sluiced.route("web")["rules"][0]["pools"]}


def newest(sluiced: Sluiced, event: str) -> dict:
    return sluiced.cli_json("audit", "show", "--event", event, "--limit", "1")["records"][0]


def test_roles_bind(sluiced: Sluiced, operator: Person, viewer: Person) -> None:
    assert operator.run("weight", "dns", "dns-v2=1")["proof"]["verdict"] == "proved"
    before = sluiced.status()["generation"]
    assert "owns that route" in operator.refused("weight", "bulk", "bulk-v2=1")
    assert "no role allows it" in viewer.refused("weight", "dns", "dns-v2=2")
    assert "no role allows it" in operator.refused("apply", str(sluiced.config_path))
    assert sluiced.status()["generation"] == before
    refusal = newest(sluiced, "refusal")
    assert (refusal["kind"], refusal["who"]["uid"]) == ("role", OPERATOR)
    assert operator.run("can-i", "weight", "dns")["role"] == "operators"
    assert operator.run("can-i", "switch", "web")["approval"] is True
    assert not viewer.run("can-i", "weight", "dns", expect=REFUSED)["allowed"]
    assert viewer.run("status")["generation"] == before


def test_a_second_person_approves(
        sluiced: Sluiced, operator: Person, approver: Person, viewer: Person) -> None:
    before = sluiced.status()["generation"]
    asked = operator.run("switch", "web", "--to", "web-v2", "--reason", "release 2", expect=WAITS)
    change = asked["waits"]["id"]
    assert sluiced.status()["generation"] == before and weights(sluiced)["web-v2"] == 0
    assert [each["id"] for each in viewer.run("pending")["pending"]] == [change]
    assert "no role allows it" in operator.refused("approve", change)
    assert "no role allows it" in viewer.refused("approve", change)
    done = approver.run("approve", change, "--reason", "tested")
    assert done["proof"]["verdict"] == "proved" and weights(sluiced)["web-v2"] == 100
    assert sluiced.call("history", limit=1)["generations"][0]["uid"] == OPERATOR
    record = newest(sluiced, "change")
    assert record["approval"]["by"]["uid"] == APPROVER
    assert record["diff_hash"].startswith(change)
    assert "no change" in approver.refused("approve", change)


def test_a_changed_diff_invalidates_the_approval(
        sluiced: Sluiced, operator: Person, approver: Person) -> None:
    asked = operator.run("weight", "web", "web-v1=30", expect=WAITS)
    # Another route's change alters nothing; the same route's does.
    operator.run("weight", "dns", "dns-v2=3")
    sluiced.cli_json("weight", "web", "web-v1=10", "--break-glass", "--reason", "on fire")
    told = approver.refused("approve", asked["waits"]["id"])
    assert "would not do what was approved" in told
    assert weights(sluiced) == {"web-v1": 10, "web-v2": 100}
    assert approver.run("pending")["pending"] == []
    assert newest(sluiced, "approval-invalid")["id"] == asked["waits"]["id"]


def test_break_glass_is_loud(sluiced: Sluiced, operator: Person) -> None:
    assert "--reason" in operator.refused("switch", "web", "--to", "web-v1", "--break-glass")
    operator.run("switch", "web", "--to", "web-v1", "--break-glass", "--reason", "v2 is broken")
    record = newest(sluiced, "change")
    assert record["who"]["uid"] == OPERATOR and record["reason"] == "v2 is broken"
    assert any("approval" in line for line in record["break_glass"]["overrode"])
    page = subprocess.run(sluiced.lab.within("node", "curl", "-sf", "-m5",
                                             "http://127.0.0.1:9900/metrics"),
                          text=True, capture_output=True, check=True).stdout
    assert "sluice_break_glass_total 2" in page
    assert 'sluice_refusals_total{kind="role"}' in page


def test_in_a_freeze_only_rollbacks(sluiced: Sluiced, operator: Person) -> None:
    operator.run("weight", "dns", "dns-v2=7")
    sluiced.cli_json("freeze", "d*", "--for", "1h", "--reason", "sales day")
    assert "sales day" in operator.refused("weight", "dns", "dns-v2=9")
    assert operator.run("can-i", "weight", "dns", expect=REFUSED)["allowed"] is False
    assert operator.run("rollback")["proof"]["verdict"] == "proved"
    assert "no role allows it" in operator.refused("unfreeze")
    sluiced.cli_json("unfreeze", "--reason", "over")
    operator.run("weight", "dns", "dns-v2=9")


def test_a_file_does_not_undo_a_weight_in_silence(sluiced: Sluiced) -> None:
    told = sluiced.cli("apply", str(sluiced.config_path))
    assert told.returncode == REFUSED and f"held by {OPERATOR} since" in told.stderr, told
    assert "route dns rule 0 pool dns-v2 weight" in sluiced.cli("diff",
                                                                 str(sluiced.config_path)).stdout
    kept = sluiced.cli_json("apply", str(sluiced.config_path), "--keep-held")
    assert kept["changes"] == []
    sluiced.cli_json("apply", str(sluiced.config_path), "--take-over", "dns", "web",
                     "--break-glass", "--reason", "as in the file")
    assert weights(sluiced) == {"web-v1": 100, "web-v2": 0}


def test_what_waits_survives_a_kill_and_expires(
        sluiced: Sluiced, operator: Person, approver: Person, tmp_path: Path) -> None:
    asked = operator.run("switch", "web", "--to", "web-v2", expect=WAITS)["waits"]["id"]
    sluiced.kill()
    sluiced.start()
    os.chmod(sluiced.lab.socket_path, 0o666)
    assert [each["id"] for each in operator.run("pending")["pending"]] == [asked]
    operator.run("reject", asked)
    short = tmp_path / "short.toml"
    short.write_text(sluiced.config_path.read_text() + '\n[approval]\nexpires = "1s"\n')
    sluiced.cli_json("apply", str(short), "--keep-held", "--break-glass", "--reason", "a test")
    asked = operator.run("switch", "web", "--to", "web-v2", expect=WAITS)["waits"]["id"]
    while operator.run("pending")["pending"]:
        time.sleep(0.1)
    assert "no change" in approver.refused("approve", asked)
    assert newest(sluiced, "approval-expired")["id"] == asked
