"""OVS-DPDK as a subject: ct(nat) behind a select group, destination NAT, established both ways.

IPv4 UDP, at most 2.5 million flows. Its connection tracking verifies L4 checksums, which the frames
of the packet source have right only while they are short."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from sluicelab.shell import LabError, run

from . import machine
from .source import Traffic, plugin
from .subject import Subject

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
BACKENDS = 100
LOST_MAX = 256  # frames inside while the counters are read

FLOWS = """
table=0,in_port=1,ip actions=ct(nat,table=1)
table=1,in_port=1,ct_state=+trk+new,ip actions=group:1
table=1,in_port=1,ct_state=+trk+est,ip actions=output:2
table=2,ip actions=output:2
table=0,in_port=2,ip actions=ct(nat,table=3)
table=3,in_port=2,ct_state=+trk+est,ip actions=output:1
"""


class Ovs(Subject):
    who = "ovs-dpdk"
    mode = "ct(nat)+group"
    threads = r"pmd-c"

    def __init__(self, scratch: Path, traffic: Traffic) -> None:
        super().__init__(scratch, "ovs")
        self.traffic = traffic
        self.home = scratch / "ovs"
        self.database: subprocess.Popen | None = None

    def memory_mb(self) -> int:
        return 512

    def start(self) -> None:
        if not Path(VSWITCHD).exists():
            raise LabError("OVS-DPDK is not installed: run scripts/setup --perf")
        self.home.mkdir(exist_ok=True)
        self.env = dict(os.environ, OVS_RUNDIR=str(self.home), OVS_LOGDIR=str(self.home),
                        OVS_DBDIR=str(self.home),
                        SLUICE_SOURCE=self.traffic.options(self.status, learns=True))
        database = self.home / "conf.db"
        database.unlink(missing_ok=True)
        run("ovsdb-tool", "create", str(database), SCHEMA)
        log = open(self.log, "w")
        self.database = machine.start(
            ["ovsdb-server", str(database), f"--remote=punix:{self.home}/db.sock", "--no-chdir"],
            stdout=log, stderr=log, env=self.env)
        self.await_file(self.home / "db.sock")
        self.vsctl("--no-wait", "init")
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                   f'other_config:dpdk-extra="--no-pci --in-memory --no-telemetry {self.plugin()}"',
                   "other_config:dpdk-lcore-mask=1", "other_config:pmd-cpu-mask=2",
                   f'other_config:dpdk-socket-mem="{self.memory_mb()}"')
        self.control = self.home / "vswitchd.ctl"
        self.process = machine.start([VSWITCHD, f"unix:{self.home}/db.sock", "--no-chdir",
                                      f"--unixctl={self.control}"],
                                     stdout=log, stderr=log, env=self.env)
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
                   "fail_mode=secure")
        self.appctl("dpctl/ct-set-maxconns", "2500000")
        # Longer than it may be paused between two turns.
        self.vsctl("--", "--id=@datapath", "create", "Datapath", "datapath_version=0", "--", "set",
                   "Open_vSwitch", ".", "datapaths:netdev=@datapath")
        self.vsctl("add-zone-tp", "netdev", "zone=0",
                   *(f"{state}=900" for state in ("udp_first", "udp_single", "udp_multiple")))
        self.program()
        self.connect()

    def plugin(self) -> str:
        return f"-d {plugin(self.scratch)}"

    def connect(self) -> None:
        """In this order: the source takes the DPDK ports 0 and 1."""
        for port in (0, 1):
            self.add_port(port, f"net_null{port}")

    def add_port(self, port: int, device: str) -> None:
        self.vsctl("add-port", "br0", f"p{port}", "--", "set", "interface", f"p{port}", "type=dpdk",
                   f'options:dpdk-devargs="{device}"', f"ofport_request={port + 1}")

    def program(self) -> None:
        buckets = ",".join(
            f"bucket=bucket_id:{i},weight:1,"
            f"actions=ct(commit,nat(dst=10.64.0.{i + 1}:8080),table=2)"
            for i in range(BACKENDS))
        self.ofctl("add-group", "br0", f"group_id=1,type=select,selection_method=dp_hash,{buckets}")
        flows = self.home / "flows"
        flows.write_text(FLOWS)
        self.ofctl("add-flows", "br0", str(flows))

    def await_file(self, path: Path) -> None:
        deadline = time.monotonic() + 10
        while not path.exists():
            if time.monotonic() > deadline:
                raise LabError(f"ovs: {path} does not appear: {self.last_words()}")
            time.sleep(0.05)

    def vsctl(self, *words: str) -> str:
        return run("ovs-vsctl", f"--db=unix:{self.home}/db.sock", "--timeout=30", *words).stdout

    def ofctl(self, *words: str) -> str:
        bridge = f"unix:{self.home}/br0.mgmt"
        return run("ovs-ofctl", "-O", "OpenFlow15", words[0], bridge, *words[2:]).stdout

    def appctl(self, *words: str) -> str:
        self.await_file(self.control)
        return run("ovs-appctl", "-t", str(self.control), *words).stdout

    def counters(self) -> tuple[int, int]:
        """(received, sent) of both ports."""
        text = self.ofctl("dump-ports", "br0")
        counts = lambda way: re.findall(rf"port\s+\"?[12p]\S*\s.*?{way} pkts=(\d+)", text, re.S)
        total = lambda way: sum(map(int, counts(way)))
        return total("rx"), total("tx")

    def prepare(self) -> None:
        self.before = self.counters()

    def check(self) -> None:
        received, sent = (now - then for now, then in zip(self.counters(), self.before))
        if received - sent > LOST_MAX:
            raise LabError(f"OVS lost {received - sent} of {received} packets")

    def stop(self) -> None:
        super().stop()
        if self.database and self.database.poll() is None:
            self.database.terminate()
            self.database.wait()
