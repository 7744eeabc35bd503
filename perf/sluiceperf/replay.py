"""Subjects on pcap devices: the same capture file of clients for all of them, replayed without end
(`infinite_rx=1`); what is sent is dropped by the device. Each subject is first given the clients'
frames once, to learn what it sends to the backends: the file of the backends answers exactly that.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from sluicelab.shell import LabError

from . import pcap
from .ovs import Ovs
from .sluice import Sluice
from .source import Traffic
from .subject import await_true
from .testpmd import Testpmd

class Capture:
    """The clients' frames of a traffic, and a folder for the backends'."""

    def __init__(self, folder: Path, traffic: Traffic) -> None:
        self.folder, self.traffic = folder, traffic
        folder.mkdir(exist_ok=True)
        self.clients = folder / "clients.pcap"
        pcap.write(self.clients, pcap.client_frames(traffic))

    def answer(self, who: str, sent: Path) -> Path:
        """The backends' file for a subject that sent `sent` to them."""
        frames = list(dict.fromkeys(pcap.read(sent)))
        if len(frames) != self.traffic.flows:
            raise LabError(f"{who} sent {len(frames)} different frames to the backends for "
                           f"{self.traffic.flows} flows")
        backends = self.folder / f"{who}-backends.pcap"
        pcap.write(backends, pcap.answers(frames))
        return backends


class ReplaySluice(Sluice):
    device = "pcap"

    def __init__(self, scratch: Path, capture: Capture) -> None:
        super().__init__(scratch, capture.traffic)
        self.capture = capture
        self.sent = scratch / "sluice-sent.pcap"
        self.answers: Path | None = None  # while learning
        self.others: dict[str, int] = {}

    def memory_mb(self) -> int:
        return super().memory_mb() + 128

    def feed(self) -> list[str]:
        if self.answers is None:
            return ["--device", f"pcap:{self.capture.clients}", f"net_pcap_out,tx_pcap={self.sent}"]
        files = (self.capture.clients, self.answers)
        return ["--device", *(f"pcap:{file},infinite_rx=1" for file in files)]

    def packets(self) -> int:
        return sum(worker["rx"] for worker in self.ask("stats")["workers"])

    def start(self) -> None:
        if self.answers is None:
            super().start()
            await_true(lambda: self.packets() >= self.traffic.flows, "sluice takes the file up")
            self.stop()
            self.answers = self.capture.answer(self.who, self.sent)
        super().start()

    def warm(self) -> None:
        """The backends answer before the first clients have asked: such packets are not counted.
        That every later one is forwarded shows that it translates as it did while learning."""
        known = lambda: sum(worker["flows"] for worker in self.ask("stats")["workers"])
        await_true(lambda: known() == self.traffic.flows, "sluice knows every flow")
        time.sleep(0.1)
        self.others = self.not_forwarded()

    def check(self) -> None:
        if (now := self.not_forwarded()) != self.others:
            raise LabError(f"sluice did not forward everything: {now}, before {self.others}")


def received_packets(text: str) -> list[str]:
    """By port, from the output of `show port stats all`; not from what stopping printed before."""
    return re.findall(r"NIC statistics for port \d.*?RX-packets:\s*(\d+).*?Throughput", text, re.S)


class ReplayTestpmd(Testpmd):
    device = "pcap"
    buffers = 65536

    def __init__(self, scratch: Path, capture: Capture, sluice: ReplaySluice) -> None:
        super().__init__(scratch, capture.traffic)
        self.capture, self.sluice = capture, sluice

    def devices(self) -> list[str]:
        """It changes no addresses, so that any answers do: those that Sluice was given."""
        files = (self.capture.clients, self.sluice.answers)
        return [f"--vdev=net_pcap{port},rx_pcap={file},infinite_rx=1"
                for port, file in enumerate(files)]

    def packets(self) -> int:
        output = self.say("show port stats all")
        await_true(lambda: len(received_packets(output())) == 2, "testpmd shows its statistics")
        return sum(map(int, received_packets(output())))

    def warm(self) -> None:
        self.prepare()
        await_true(lambda: self.packets() > 0, "testpmd takes the files up")


class ReplayOvs(Ovs):
    device = "pcap"

    def __init__(self, scratch: Path, capture: Capture) -> None:
        super().__init__(scratch, capture.traffic)
        self.capture = capture

    def plugin(self) -> str:
        return ""

    def connect(self) -> None:
        """Learns, then changes the devices; connections made while learning stay. Its first
        frames are lost while it gets to know its ports, so that each has to come several times."""
        sent = self.scratch / "ovs-sent.pcap"
        self.add_port(1, f"net_pcap1,tx_pcap={sent}")
        self.add_port(0, f"net_pcap0,rx_pcap={self.capture.clients},infinite_rx=1")
        await_true(lambda: self.counters()[1] >= 4 * self.traffic.flows, "OVS takes the file up")
        for port in (0, 1):
            self.vsctl("del-port", f"p{port}")
        backends = self.capture.answer(self.who, sent)
        for port, file in enumerate((self.capture.clients, backends)):
            self.add_port(port, f"net_pcap{2 + port},rx_pcap={file},infinite_rx=1")

    def packets(self) -> int:
        return self.counters()[0]

    def warm(self) -> None:
        await_true(lambda: self.packets() > 20 * self.traffic.flows, "OVS carries packets")
