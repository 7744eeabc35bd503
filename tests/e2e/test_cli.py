"""`sluice`, as a stranger and as a script meet it: help, exit codes, refusals, JSON."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sluicelab.daemon import Sluiced
from sluicelab.shell import binary

VERBS = ("status", "check", "apply", "diff", "get", "weight", "switch", "rollback", "drain",
         "history", "verify", "flows", "explain", "top")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(sluiced: Sluiced, verb: str) -> None:
    done = sluiced.cli(verb, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) >= 4
    assert done.stderr == ""


def test_help_lists_every_verb_and_the_exit_codes(sluiced: Sluiced) -> None:
    text = sluiced.cli("--help").stdout
    assert [verb for verb in VERBS if verb not in text] == []
    assert "3 not proved" in text


@pytest.mark.parametrize("arguments,code,words", [
    (["frobnicate"], 2, "frobnicate"),
    (["weight", "web"], 2, "weights"),
    (["weight", "web", "web-v1"], 2, "POOL=WEIGHT"),
    (["weight", "nowhere", "web-v1=1"], 1, "nowhere"),
    (["weight", "web", "nothing=1"], 1, "nothing"),
    (["switch", "web", "--to", "dns-v1"], 1, "dns-v1"),
    (["rollback", "999999"], 1, "999999"),
    (["drain", "nothing"], 1, "nothing"),
    (["explain", "tcp", "10.0.0.1"], 2, ""),
    (["apply", "/no/such/file"], 1, "/no/such/file"),
    (["switch", "web", "--to", "web-v2", "--expect-generation", "999999"], 1, "generation"),
    (["--socket", "/run/no-such-socket", "status"], 1, "/run/no-such-socket"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_mistakes_get_one_clear_line_and_their_exit_code(
        sluiced: Sluiced, arguments: list[str], code: int, words: str) -> None:
    before = sluiced.status()["generation"]
    done = sluiced.cli(*arguments)
    assert done.returncode == code, done
    assert words in done.stderr
    assert done.stdout == "" or code == 2
    assert code == 2 or len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert sluiced.status()["generation"] == before


def test_a_wrong_file_changes_nothing_and_names_every_mistake(
        sluiced: Sluiced, tmp_path: Path) -> None:
    text = sluiced.config_path.read_text()
    bad = tmp_path / "bad.toml"
    bad.write_text(text.replace("port = 80\n", "port = 80000\n", 1)
                   .replace('protocol = "udp"', 'protocol = "upd"', 1) + '\n[nonsense]\na = 1\n')
    before = sluiced.status()
    for verb in ("check", "apply", "diff"):
        done = sluiced.cli(verb, str(bad))
        assert done.returncode == 1
        told = done.stdout + done.stderr
        for word in ("80000", "upd", "nonsense"):
            assert word in told, (verb, told)
        assert sum(line.startswith(f"{bad}:") for line in told.splitlines()) == 3, told
    assert sluiced.status()["generation"] == before["generation"]
    assert sluiced.status()["revision"] == before["revision"]


def test_check_works_without_sluiced(sluiced: Sluiced) -> None:
    done = subprocess.run([binary("ctrl/cli/sluice"), "--socket", "/nowhere", "check",
                           str(sluiced.config_path)], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_life_of_a_canary(sluiced: Sluiced, tmp_path: Path) -> None:
    """diff, dry run, apply, weight, history, rollback: each tells what the next relies on."""
    text = sluiced.config_path.read_text()
    old = '{ pool = "web-v2", weight = 0 }'
    assert old in text
    canary = tmp_path / "canary.toml"
    canary.write_text(text.replace(old, '{ pool = "web-v2", weight = 10 }'))
    first = sluiced.status()["generation"]

    assert "web-v2" in sluiced.cli("diff", str(canary)).stdout
    dry = sluiced.cli_json("apply", str(canary), "--dry-run")
    assert dry["dry_run"] is True and dry["generation"] == first
    moved = [move for move in dry["moved"] if move["route"] == "web"]
    assert abs(moved[0]["slots_moved"] - 65_536 * 10 / 110) <= 1
    assert sluiced.status()["generation"] == first

    applied = sluiced.cli_json("apply", str(canary), "--reason", "a canary", "--expect-generation",
                               str(first))
    assert (applied["generation"], applied["proof"]["verdict"]) == (first + 1, "proved")
    assert sluiced.cli_json("weight", "web", "web-v2=25")["generation"] == first + 2

    shown = sluiced.cli("history").stdout
    assert "a canary" in shown and "proved" in shown
    entries = sluiced.cli_json("history")["generations"]
    assert [e["generation"] for e in entries[:2]] == [first + 2, first + 1]
    assert entries[1]["uid"] == 0

    back = sluiced.cli_json("rollback")
    assert back["generation"] == first + 3
    weights = {p["pool"]: p["weight"] for p in sluiced.route("web")["rules"][0]["pools"]}
    assert weights == {"web-v1": 100, "web-v2": 10}
    sluiced.cli_json("rollback", str(first))
    weights = {p["pool"]: p["weight"] for p in sluiced.route("web")["rules"][0]["pools"]}
    assert weights == {"web-v1": 100, "web-v2": 0}


def test_drain_takes_a_backend_out_and_back(sluiced: Sluiced) -> None:
    sluiced.cli_json("drain", "10.0.1.11:8080")
    states = {b["address"]: b["state"] for b in sluiced.pool("web-v1")["backends"]}
    assert states == {"10.0.1.11": "drained", "10.0.1.12": "up"}
    sluiced.cli_json("drain", "10.0.1.11:8080", "--undo")
    sluiced.wait_usable("web-v1", 2)


def test_status_and_get_show_what_runs(sluiced: Sluiced) -> None:
    shown = sluiced.cli("status").stdout
    for word in ("web-v1", "10.0.1.11:8080", "af_xdp:front", "tap-front", "GENERATION"):
        assert word in shown
    for kind in ("node", "port", "pool", "backend", "listener", "route"):
        assert sluiced.cli_json("get", kind)["items"], kind
    assert sluiced.cli_json("get", "pool", "web-v1")["items"][0]["name"] == "web-v1"
    assert sluiced.cli("get", "pool", "nowhere").returncode == 1
    assert sluiced.cli("get", "config").stdout.strip() == sluiced.config_path.read_text().strip()


def test_json_is_json_and_text_is_not(sluiced: Sluiced) -> None:
    for verb in ("status", "history", "verify", "flows"):
        assert isinstance(sluiced.cli_json(verb), dict)
        assert not sluiced.cli(verb).stdout.startswith("{")


def test_completion_is_valid_shell(sluiced: Sluiced) -> None:
    script = sluiced.cli("completion", "bash")
    assert script.returncode == 0
    done = subprocess.run(["bash", "-n"], input=script.stdout, text=True, capture_output=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert "switch" in script.stdout


def test_metrics_and_health_pages(sluiced: Sluiced) -> None:
    def page(path: str) -> str:
        return subprocess.run(
            sluiced.lab.within("node", "curl", "-sf", "-m5", f"http://127.0.0.1:9900{path}"),
            text=True, capture_output=True, check=True).stdout

    metrics = page("/metrics")
    for name in ("sluice_connections_total", "sluice_packets_total", "sluice_generation"):
        assert name in metrics, name
    assert 'version="v1"' in metrics
    page("/healthz")
    page("/readyz")
