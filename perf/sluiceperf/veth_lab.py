"""Three namespaces in a row, for balancers that need the kernel or run over it:

    client 11.0.0.1 ---- front [balancer] back ---- server 10.64.0.1 to .100

Addresses and MACs are those of perf/dut_snapshot.cc. The balancer's work is on core 1, that of both
others on core 0, down to the interfaces' own kernel threads, so that what the balancer costs can be
told apart. Checksums are whole and segments small, as on a wire.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from sluicelab import namespaces
from sluicelab.shell import LabError, run

from . import machine

LISTENER = "10.0.0.100"
LISTENER_PORT = 1000
BACKENDS = tuple(f"10.64.0.{host}" for host in range(1, 101))
BACKEND_PORT = 8080
CLIENTS = 64  # that connect or ask at the same time
SNAT_ADDRESSES = tuple(f"10.32.0.{host}" for host in range(1, 17))
FRONT_MAC, CLIENT_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
BACK_MAC, SERVER_MAC = "02:00:00:00:00:11", "02:00:00:00:00:12"
FAR_CORE, BALANCER_CORE = 0, 1
# Next hops: nobody has to ask for an address.
FRONT_GATE, CLIENT_GATE = "192.168.0.1", "192.168.0.2"
BACK_GATE, SERVER_GATE = "192.168.1.1", "192.168.1.2"

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 8080 backlog=8192; location / {{ return 200 "hello\\n"; }} }}
}}
"""
SYSCTLS = {
    "net.ipv4.conf.all.rp_filter": 0, "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.ip_local_port_range": "1024 65535", "net.ipv4.tcp_tw_reuse": 1,
    "net.ipv4.tcp_max_syn_backlog": 8192, "net.core.somaxconn": 8192,
    "net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.default.disable_ipv6": 1,
}
WRK_DONE = re.compile(r"(\d+) requests in")
WRK_ERRORS = re.compile(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)")


def answered_requests(text: str) -> int:
    """From wrk's output. Fails when none was answered, or more than one of a hundred was not."""
    done, errors = WRK_DONE.search(text), WRK_ERRORS.search(text)
    answered = int(done[1]) if done else 0
    failed = sum(map(int, errors.groups())) if errors else 0
    if answered == 0 or failed > answered // 100:
        raise LabError(f"over veth {answered} requests were answered, errors: "
                       f"{errors[0] if errors else 'none'}")
    return answered


def first_pid_named(comm: str) -> int:
    """A kernel thread by the beginning of its name."""
    for task in Path("/proc").iterdir():
        if task.name.isdigit():
            try:
                if (task / "comm").read_text().startswith(comm):
                    return int(task.name)
            except (FileNotFoundError, ProcessLookupError):
                continue
    raise LabError(f"the kernel has no thread {comm}*: does it know threaded NAPI?")


class VethLab:
    """`tag` keeps the names of several labs apart. With `one_far_end` the client and the server are
    one program in one namespace, which brings its own addresses; otherwise the server is nginx."""

    def __init__(self, folder: Path, tag: str, one_far_end: bool) -> None:
        self.folder = folder / f"veth-{tag}"
        self.folder.mkdir(exist_ok=True)
        base = f"v{os.getpid() % 10000}{tag}"
        self.front, self.far_front, self.back, self.far_back = (f"{base}{end}" for end in "abcd")
        self.client, self.balancer = f"{base}-client", f"{base}-balancer"
        self.server = self.client if one_far_end else f"{base}-server"
        self.napi: list[int] = []  # kernel threads of the balancer's interfaces
        self.nginx: subprocess.Popen | None = None

    def __enter__(self) -> "VethLab":
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self.nginx:
            self.nginx.terminate()
            self.nginx.wait()
        for name in (self.client, self.balancer, self.server):
            namespaces.delete(name)

    def _build(self) -> None:
        for name in {self.client, self.balancer, self.server}:
            namespaces.create(name)
            namespaces.set_sysctls(name, SYSCTLS)
            namespaces.ip(name, "link set lo up")
        self._link(self.front, FRONT_MAC, self.client, self.far_front, CLIENT_MAC)
        self._link(self.back, BACK_MAC, self.server, self.far_back, SERVER_MAC)
        if self.server != self.client:
            self._start_server()

    def _start_server(self) -> None:
        namespaces.ip(self.client, "address add 11.0.0.1/32 dev lo",
                      *self._route("default", FRONT_GATE, self.far_front, FRONT_MAC, "11.0.0.1"))
        namespaces.ip(self.server, "route add local 10.64.0.0/16 dev lo",
                      "address add 10.64.0.1/32 dev lo",
                      *self._route("default", BACK_GATE, self.far_back, BACK_MAC, "10.64.0.1"))
        config = self.folder / "nginx.conf"
        config.write_text(NGINX.format(folder=self.folder))
        self.nginx = self.popen(self.server, FAR_CORE, ["nginx", "-c", str(config)], "nginx")

    def _link(self, name: str, mac: str, there: str, peer: str, peer_mac: str) -> None:
        namespaces.ip(self.balancer, f"link add {name} address {mac} type veth peer name {peer} "
                                     f"address {peer_mac} netns {there}")
        for home, interface in ((self.balancer, name), (there, peer)):
            run("ip", "netns", "exec", home, "ethtool", "-K", interface, "tx", "off", "tso", "off",
                "gso", "off", "gro", "on")
            namespaces.ip(home, f"link set {interface} up")
            run("ip", "netns", "exec", home, "sh", "-c",
                f"echo 1 >/sys/class/net/{interface}/threaded")
            thread = first_pid_named(f"napi/{interface}-")
            core = BALANCER_CORE if home == self.balancer else FAR_CORE
            run("taskset", "-pc", str(core), str(thread))
            # As much before other work as what perf/run starts (machine.preferred): a worker that
            # polls would leave it no time.
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, 0))
            if home == self.balancer:
                self.napi.append(thread)

    @staticmethod
    def _route(network: str, gate: str, interface: str, mac: str, source: str = "") -> list[str]:
        return [f"neighbour add {gate} lladdr {mac} dev {interface} nud permanent",
                f"route add {network} via {gate} dev {interface} onlink"
                + (f" src {source}" if source else "")]

    def route_through_kernel(self) -> None:
        """Addresses and routes for a balancer that uses the kernel's."""
        namespaces.set_sysctls(self.balancer, {"net.ipv4.ip_forward": 1})
        namespaces.ip(self.balancer, f"address add {LISTENER}/32 dev {self.front}",
                      *(f"address add {address}/32 dev {self.back}" for address in SNAT_ADDRESSES),
                      *self._route("11.0.0.0/8", CLIENT_GATE, self.front, CLIENT_MAC),
                      *self._route("10.64.0.0/16", SERVER_GATE, self.back, SERVER_MAC))

    def popen(self, namespace: str, core: int, command: list[str], log: str) -> subprocess.Popen:
        with open(self.folder / f"{log}.log", "w") as output:
            return machine.start(
                ["ip", "netns", "exec", namespace, "taskset", "-c", str(core), *command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def napi_ns(self) -> int:
        """Nanoseconds on the CPU of the kernel threads of the balancer's interfaces."""
        return sum(machine.cpu_ns(pid, [pid]) for pid in self.napi)

    def await_service(self) -> None:
        """Until the client gets an answer through the balancer."""
        url = f"http://{LISTENER}:{LISTENER_PORT}/"
        deadline = time.monotonic() + 15
        while True:
            done = run("ip", "netns", "exec", self.client, "curl", "-sf", "-m", "1", url,
                       check=False)
            if done.stdout == "hello\n":
                return
            if time.monotonic() > deadline:
                raise LabError(f"no answer through the balancer over veth: curl ended with "
                               f"{done.returncode}")
            time.sleep(0.1)

    def request(self, seconds: float, keeps_alive: bool) -> int:
        """Requests answered to CLIENTS clients that ask again as soon as they have an answer."""
        headers = [] if keeps_alive else ["-H", "Connection: close"]
        done = run("ip", "netns", "exec", self.client, "taskset", "-c", str(FAR_CORE), "wrk", "-t1",
                   f"-c{CLIENTS}", f"-d{max(1, round(seconds))}", *headers,
                   f"http://{LISTENER}:{LISTENER_PORT}/")
        return answered_requests(done.stdout)
