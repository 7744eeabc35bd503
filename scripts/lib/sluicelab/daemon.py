"""Sluiced: one sluiced in a lab's node namespace: start, stop, kill, ask."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from sluicelab.config import LabConfig, lab_config
from sluicelab.control import Control
from sluicelab.lab import Lab
from sluicelab.shell import LabError, binary

HUGEPAGES = 640  # 512 MB of the lab's configuration and what the drivers take beside it
NAME = "sluiced"
_ON_A_DISK = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@"'


class Sluiced:
    def __init__(self, lab: Lab, config: LabConfig | None = None) -> None:
        self.lab = lab
        self.config_path = lab.run_dir / "sluiced.toml"
        self.log_path = lab.run_dir / "sluiced.log"
        self.state_dir = lab.run_dir / "state"
        self.state_disk = ""  # "1m": state on a new disk of this size, which only sluiced sees
        self.config_path.write_text(lab_config(lab, config))

    @property
    def pid(self) -> int | None:
        return self.lab.processes.pid(NAME)

    def start(self, patience_s: float = 30.0) -> None:
        """Returns when it answers, its TAPs carry our routes and every worker has acknowledged."""
        command = [binary("ctrl/control/sluiced"), "--config", str(self.config_path)]
        if self.state_disk:
            self.state_dir.mkdir(exist_ok=True)
            command = ["unshare", "--mount", "sh", "-c", _ON_A_DISK, "sh", self.state_disk,
                       str(self.state_dir), *command]
        begin = self.log_path.stat().st_size if self.log_path.exists() else 0
        self.lab.processes.start(NAME, self.lab.within("node", *command), self.log_path)
        deadline = time.monotonic() + patience_s
        while not self._ready():
            if self.pid is None:
                raise LabError(f"sluiced ended at start: {self._last_words(begin)}")
            if time.monotonic() > deadline:
                raise LabError(f"sluiced is not ready after {patience_s:.0f} s: {self.log_path}")
            time.sleep(0.05)
        self.lab.topology.add_far_routes("tap-back")

    def _ready(self) -> bool:
        try:
            with Control(self.lab.socket_path, timeout_s=5) as control:
                status = control.call("status")
        except OSError:
            return False
        return all(worker["generation"] > 0 for worker in status["workers"])

    def _last_words(self, begin: int) -> str:
        lines = self.log_path.read_bytes()[begin:].decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no output"

    def wait_usable(self, pool: str, count: int, patience_s: float = 15.0) -> float:
        """Waits until `pool` has exactly `count` usable backends; the seconds it took."""
        begin = time.monotonic()
        while True:
            usable = self.pool(pool)["usable"]
            if usable == count:
                return time.monotonic() - begin
            if time.monotonic() - begin > patience_s:
                raise LabError(f"pool {pool}: {usable} usable backends after {patience_s:.0f} s, "
                               f"waited for {count}")
            time.sleep(0.02)

    def wait_all_usable(self) -> None:
        for pool in self.status()["pools"]:
            self.wait_usable(pool["name"], pool["total"])

    def stop(self) -> None:
        self.lab.processes.stop(NAME, signal.SIGTERM, patience_s=10)

    def kill(self) -> None:
        self.lab.processes.stop(NAME, signal.SIGKILL)

    # Questions -------------------------------------------------------------------------------

    def control(self, timeout_s: float = 30.0) -> Control:
        return Control(self.lab.socket_path, timeout_s)

    def call(self, method: str, **params: Any) -> Any:
        with self.control() as control:
            return control.call(method, **params)

    def status(self) -> dict:
        return self.call("status")

    def pool(self, name: str) -> dict:
        return _named(self.status()["pools"], name)

    def route(self, name: str) -> dict:
        return _named(self.status()["routes"], name)

    def flows(self, **filters: Any) -> list[dict]:
        """Every flow: walks through all pages of all workers."""
        flows, cursor = [], 0
        with self.control() as control:
            while True:
                page = control.call("flows", limit=4096, cursor=cursor, **filters)
                flows += page["flows"]
                cursor = page["next"]
                if not cursor:
                    return flows

    def cli(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs `sluice` with the lab's socket; does not check the exit code."""
        return subprocess.run([binary("ctrl/cli/sluice"), *arguments], text=True,
                              capture_output=True, check=False, env=self.lab.environment())

    def cli_json(self, *arguments: str, expect: int = 0) -> Any:
        done = self.cli("--json", *arguments)
        if done.returncode != expect:
            raise LabError(f"sluice {' '.join(arguments)}: exit code {done.returncode}, "
                           f"expected {expect}: {(done.stderr or done.stdout).strip()}")
        return json.loads(done.stdout)

    def threads(self) -> dict[int, str]:
        """Thread id → name of the running process."""
        tasks = Path(f"/proc/{self.pid}/task")
        return {int(task.name): (task / "comm").read_text().strip() for task in tasks.iterdir()}


def _named(entries: list[dict], name: str) -> dict:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise LabError(f'"{name}" is not in the status; there are: '
                   f"{', '.join(entry['name'] for entry in entries)}")
