#!/usr/bin/python3
"""Tests of the capture files that perf/run replays."""

import struct
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "perf"), str(ROOT / "scripts" / "lib")]

from sluicelab.shell import LabError  # noqa: E402
from sluiceperf import pcap, replay  # noqa: E402
from sluiceperf.source import Traffic  # noqa: E402


def folded(data: bytes) -> int:
    """RFC 1071: 0xffff when a checksum inside is right."""
    return ~pcap.checksum(data) & 0xFFFF


class Frame:
    """The fields of a frame, taken apart independently of how pcap puts it together."""

    def __init__(self, frame: bytes) -> None:
        self.macs = frame[:6], frame[6:12]
        is_v4 = frame[12:14] == b"\x08\x00"
        self.ip = frame[14:34] if is_v4 else frame[14:54]
        self.addresses = self.ip[12:20] if is_v4 else self.ip[8:40]
        half = len(self.addresses) // 2
        self.source, self.destination = self.addresses[:half], self.addresses[half:]
        self.l4 = frame[14 + len(self.ip):]
        self.ports = struct.unpack("!HH", self.l4[:4])
        self.length = struct.unpack("!H", self.l4[4:6])[0]
        pseudo = self.addresses + struct.pack("!IBBBB", self.length, 0, 0, 0, 17)
        self.l4_sum = folded(pseudo + self.l4)
        self.tuple = (self.source, self.ports[0])


class FramesTest(unittest.TestCase):
    def test_every_flow_is_another_one(self):
        frames = pcap.client_frames(Traffic(flows=1000))
        self.assertEqual(len({Frame(frame).tuple for frame in frames}), 1000)
        self.assertEqual({Frame(frame).ports[1] for frame in frames}, {pcap.LISTENER_PORT})

    def test_lengths(self):
        for family, headers in (("4", 28), ("6", 48)):
            for size in (64, 1500):
                frame, = pcap.client_frames(Traffic(flows=1, family=family, bytes=str(size)))
                self.assertEqual(len(frame), size)
                self.assertEqual(Frame(frame).length, size - 14 - headers + 8)

    def test_imix_is_7_to_4_to_1(self):
        sizes = [len(frame) for frame in pcap.client_frames(Traffic(flows=24, bytes="imix"))]
        self.assertEqual({size: sizes.count(size) for size in sizes}, {64: 14, 570: 8, 1500: 2})

    def test_checksums_are_right_before_and_after_the_answer(self):
        for family in "46":
            for frame in pcap.client_frames(Traffic(flows=300, family=family, bytes="imix")):
                for each in (frame, pcap.answer(frame)):
                    self.assertEqual(Frame(each).l4_sum, 0xFFFF)
                    if family == "4":
                        self.assertEqual(folded(Frame(each).ip), 0xFFFF)

    def test_an_answer_goes_back_to_where_the_frame_came_from(self):
        for family in "46":
            frame, = pcap.client_frames(Traffic(flows=1, family=family))
            there, back = Frame(frame), Frame(pcap.answer(frame))
            self.assertEqual((back.source, back.destination), (there.destination, there.source))
            self.assertEqual(back.ports, there.ports[::-1])
            self.assertEqual(back.macs, there.macs[::-1])
            self.assertEqual(pcap.answer(pcap.answer(frame)), frame)

    def test_what_no_capture_can_hold_is_refused(self):
        for traffic in (Traffic(proto="tcp"), Traffic(zipf=1), Traffic(listeners=2)):
            with self.assertRaises(ValueError):
                pcap.client_frames(traffic)
        with self.assertRaises(ValueError):
            pcap.answer(bytes(12) + b"\x08\x06" + bytes(46))


class FileTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "x.pcap")

    def test_frames_survive(self):
        frames = [bytes([n]) * (60 + n) for n in range(5)]
        pcap.write(self.path, frames)
        self.assertEqual(pcap.read(self.path), frames)

    def test_header_is_that_of_classic_pcap_on_ethernet(self):
        pcap.write(self.path, [])
        self.assertEqual(struct.unpack("=IHHiIII", self.path.read_bytes()),
                         (0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))

    def test_a_file_that_ends_early_is_refused(self):
        pcap.write(self.path, [bytes(64)])
        whole = self.path.read_bytes()
        for length in (10, 30, len(whole) - 1):
            self.path.write_bytes(whole[:length])
            with self.assertRaises(LabError):
                pcap.read(self.path)


class TestpmdOutputTest(unittest.TestCase):
    STOPPED = ("  ------- Forward statistics for port 0  -------\n  RX-packets: 77  RX-dropped: 0\n"
               "  +++ Accumulated forward statistics for all ports+++\n  RX-packets: 99\n")
    PORT = ("  ######## NIC statistics for port {n}  ########\n  RX-packets: {packets} RX-missed: 0\n"
            "  TX-packets: 5\n\n  Throughput (since last show)\n")

    def test_packets_by_port_behind_what_stopping_prints(self):
        text = self.STOPPED + self.PORT.format(n=0, packets=12) + self.PORT.format(n=1, packets=34)
        self.assertEqual(replay.received_packets(text), ["12", "34"])

    def test_half_an_answer_is_not_taken(self):
        whole = self.PORT.format(n=0, packets=12) + self.PORT.format(n=1, packets=34)
        self.assertEqual(replay.received_packets(whole[:whole.rindex("TX-packets")]), ["12"])


if __name__ == "__main__":
    unittest.main()
