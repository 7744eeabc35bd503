"""Lab: namespaces, their servers and the directory that remembers them. Idempotent both ways."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from pathlib import Path

from sluicelab import hugepages, namespaces
from sluicelab.processes import Processes, start_time
from sluicelab.shell import LabError, binary, build_dir
from sluicelab.topology import BACKENDS, ROLES, Backend, Topology

HTTP_PORT, UDP_PORT, BULK_PORT = 8080, 53, 9000

_NGINX_CONF = """\
daemon off;
user root;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path {home}/t1;
  proxy_temp_path {home}/t2;
  fastcgi_temp_path {home}/t3;
  uwsgi_temp_path {home}/t4;
  scgi_temp_path {home}/t5;
  server {{
    listen {v4}:{port} backlog=8192;
    listen [{v6}]:{port} backlog=8192;
    default_type text/plain;
    add_header X-Stack {stack};
    add_header X-Version {version};
    add_header X-Backend $server_addr;
    location / {{ return 200 "{stack} ({version}) on $server_addr\\n"; }}
  }}
}}
"""


def default_prefix() -> str:
    return os.environ.get("LAB_PREFIX", "sl")


def default_queues() -> int:
    return int(os.environ.get("LAB_QUEUES", "1"))


class Lab:
    def __init__(self, prefix: str | None = None, queues: int | None = None) -> None:
        self.prefix = prefix or default_prefix()
        if not (self.prefix.isalnum() and len(self.prefix) <= 8):
            raise LabError(f'LAB_PREFIX "{self.prefix}": use 1 to 8 letters and digits')
        self.queues = queues or default_queues()
        self.topology = Topology(self.prefix, self.queues)
        self.run_dir = Path("/run") / f"sluice-lab-{self.prefix}"
        self.processes = Processes(self.run_dir / "processes.json")

    @property
    def socket_path(self) -> Path:
        return self.run_dir / "control.sock"

    def namespace(self, role: str) -> str:
        """Full name of a namespace; accepts "node" and "sl-node"."""
        role = role.removeprefix(self.prefix + "-")
        if role not in ROLES:
            raise LabError(f'no namespace "{role}" in the lab; there are: {", ".join(ROLES)}')
        return self.topology.namespace(role)

    def is_up(self) -> bool:
        return self.run_dir.is_dir() and all(
            namespaces.exists(self.topology.namespace(role)) for role in ROLES)

    def up(self) -> None:
        """Network and servers. A lab that is up stays; a broken rest is taken down first."""
        binary("tests/e2e/tools/lab_server")
        if not self.is_up():
            self.down()
            self.run_dir.mkdir(parents=True)
            self.topology.build()
        for backend in BACKENDS:
            self.start_backend(backend.name)

    def down(self) -> None:
        """Everything away: recorded processes, namespaces, the run directory. Safe at any time."""
        for name in reversed(self.processes.names() if self.run_dir.is_dir() else []):
            pid = self.processes.pid(name)
            self.processes.stop(name)
            if pid is not None:
                hugepages.release(pid)
        self.topology.destroy()
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """For programs in the lab: our binaries in PATH and the lab's own control socket."""
        places = [build_dir() / "ctrl/cli", build_dir() / "ctrl/control",
                  build_dir() / "tests/e2e/tools"]
        system = os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        path = ":".join([*map(str, places), system])
        return os.environ | {"PATH": path, "SLUICE_SOCKET": str(self.socket_path)}

    def within(self, role: str, *command: str) -> list[str]:
        """The command line that runs `command` in a namespace."""
        return ["ip", "netns", "exec", self.namespace(role), *command]

    def claim(self) -> None:
        """This process owns the lab and will take it down."""
        (self.run_dir / "owner").write_text(f"{os.getpid()} {start_time(os.getpid())}")

    def owner_alive(self) -> bool | None:
        """None: nobody claimed it (scripts/lab up)."""
        try:
            pid, started = map(int, (self.run_dir / "owner").read_text().split())
        except FileNotFoundError:
            return None
        return start_time(pid) == started

    # Servers ---------------------------------------------------------------------------------

    @staticmethod
    def backend(name: str) -> Backend:
        for backend in BACKENDS:
            if backend.name == name:
                return backend
        raise LabError(f'no backend "{name}"; there are: {", ".join(b.name for b in BACKENDS)}')

    def start_backend(self, name: str) -> None:
        """Starts its servers where they do not run, and waits until they accept."""
        backend = self.backend(name)
        home = self.run_dir / name
        home.mkdir(exist_ok=True)
        conf = home / "nginx.conf"
        conf.write_text(_NGINX_CONF.format(home=home, port=HTTP_PORT, **vars(backend)))
        commands = {
            f"nginx-{name}": ["/usr/sbin/nginx", "-p", str(home), "-c", str(conf),
                              "-e", str(home / "error.log")],
            f"server-{name}": [binary("tests/e2e/tools/lab_server"), "--stack", backend.stack,
                               "--addresses", f"{backend.v4},{backend.v6}",
                               "--udp-port", str(UDP_PORT), "--bulk-port", str(BULK_PORT)],
        }
        for process, command in commands.items():
            if self.processes.pid(process) is None:
                self.processes.start(process, self.within(backend.stack, *command),
                                     home / "output.log")
        for port in (HTTP_PORT, BULK_PORT):
            self._await_listening(backend, port, home / "output.log")

    def kill_backend(self, name: str) -> None:
        """SIGKILL to all its servers, as a crash or a lost machine would."""
        for process in (f"nginx-{name}", f"server-{name}"):
            self.processes.stop(process, signal.SIGKILL)

    def backend_runs(self, name: str) -> bool:
        return all(self.processes.pid(f"{kind}-{self.backend(name).name}") is not None
                   for kind in ("nginx", "server"))

    def _await_listening(self, backend: Backend, port: int, log: Path) -> None:
        deadline = time.monotonic() + 10
        with namespaces.entered(self.namespace(backend.stack)):
            while True:
                try:
                    socket.create_connection((backend.v4, port), timeout=1).close()
                    return
                except OSError:
                    if time.monotonic() > deadline:
                        words = log.read_text().strip().splitlines()
                        raise LabError(f"{backend.name} does not accept on port {port}: "
                                       f"{words[-1] if words else 'no output'}") from None
                    time.sleep(0.02)
