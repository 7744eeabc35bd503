"""Starting: one clear line for each way it can fail, and nothing left behind by either."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from sluicelab.daemon import Sluiced
from sluicelab.lab import Lab
from sluicelab.shell import binary
from traffic import V4, in_client


def start(lab: Lab, config: Path, *prefix: str) -> subprocess.CompletedProcess:
    """Runs sluiced in the node until it ends."""
    return subprocess.run(
        lab.within("node", *prefix, binary("ctrl/control/sluiced"), "--config", str(config)),
        text=True, capture_output=True, timeout=60, check=False)


def variant(sluiced: Sluiced, path: Path, old: str, new: str) -> Path:
    text = sluiced.config_path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def assert_one_clear_line(done: subprocess.CompletedProcess, word: str) -> None:
    assert done.returncode == 1, done
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]  # the log
    assert len(lines) == 1 and lines[0].startswith("sluiced: ") and word in lines[0], done.stderr
    assert not any('"level":"error"' in line for line in done.stderr.splitlines()), done.stderr


def test_a_missing_file(sluiced: Sluiced) -> None:
    assert_one_clear_line(start(sluiced.lab, Path("/no/such.toml")), "/no/such.toml")


def test_a_wrong_file_names_line_and_key(sluiced: Sluiced, tmp_path: Path) -> None:
    config = variant(sluiced, tmp_path / "c.toml", "port = 53\nmode", "port = 0\nmode")
    done = start(sluiced.lab, config)
    assert done.returncode == 1 and "port" in done.stderr and f"{config}:" in done.stderr


def test_a_second_sluiced_on_the_same_socket(sluiced: Sluiced) -> None:
    assert_one_clear_line(start(sluiced.lab, sluiced.config_path), "in use by another sluiced")
    assert sluiced.status()["workers"]
    assert in_client(sluiced.lab, "curl", "-sf", "-m5", f"http://{V4.virtual}/").stdout


def test_a_device_that_is_not_there(sluiced: Sluiced, tmp_path: Path) -> None:
    config = variant(sluiced, tmp_path / "c.toml", "af_xdp:front", "af_xdp:nowhere0")
    config.write_text(config.read_text().replace("/control.sock", "/other.sock")
                      .replace("/state\"", "/other-state\""))
    assert_one_clear_line(start(sluiced.lab, config), "nowhere0")


def test_not_root(sluiced: Sluiced) -> None:
    with tempfile.TemporaryDirectory() as directory:  # one that nobody may reach, too
        os.chmod(directory, 0o777)
        config = variant(sluiced, Path(directory) / "c.toml", str(sluiced.lab.run_dir),
                         f"{directory}/run")
        os.chmod(config, 0o644)
        done = start(sluiced.lab, config, "setpriv", "--reuid", "65534", "--regid", "65534",
                     "--clear-groups", "--inh-caps=-all")
    assert_one_clear_line(done, "af_xdp:front needs CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF")


def test_check_says_yes_or_no_and_starts_nothing(sluiced: Sluiced, tmp_path: Path) -> None:
    program = binary("ctrl/control/sluiced")
    good = subprocess.run([program, "--config", str(sluiced.config_path), "--check"], text=True,
                          capture_output=True, timeout=20, check=False)
    assert good.returncode == 0, good
    config = variant(sluiced, tmp_path / "c.toml", "worker_cores", "worker_coers")
    bad = subprocess.run([program, "--config", str(config), "--check"], text=True,
                         capture_output=True, timeout=20, check=False)
    assert bad.returncode == 1 and "worker_coers" in bad.stdout + bad.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_and_takes_its_interfaces_along(sluiced: Sluiced, number: int) -> None:
    pid = sluiced.pid
    begin = time.monotonic()
    os.kill(pid, number)
    while sluiced.pid is not None:
        assert time.monotonic() - begin < 5, "still there"
        time.sleep(0.02)
    node = sluiced.lab.namespace("node")
    links = subprocess.run(["ip", "-n", node, "-br", "link"], text=True, capture_output=True,
                           check=True).stdout
    assert "tap-" not in links
    assert not sluiced.lab.socket_path.exists()
    sluiced.start()
    sluiced.wait_all_usable()
    assert in_client(sluiced.lab, "curl", "-sf", "-m5", f"http://{V4.virtual}/").stdout
