#!/usr/bin/python3
"""The packet generator against Sluice's own packet path, over memif. Needs root."""

import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "perf"), str(ROOT / "scripts" / "lib")]

from sluicelab import hugepages  # noqa: E402
from sluiceperf import latency  # noqa: E402
from sluiceperf.rig import MemifSluice, Rig  # noqa: E402
from sluiceperf.source import Traffic  # noqa: E402


class GeneratorTest(unittest.TestCase):
    def carries(self, traffic: Traffic) -> None:
        """Nothing wrong comes back, and every packet is either back or counted as lost."""
        with tempfile.TemporaryDirectory(prefix="sluice-perf-test-", dir="/run") as scratch:
            rig = Rig(MemifSluice(Path(scratch), traffic))
            with hugepages.reserved(rig.memory_mb() // 2 + 16):
                try:
                    rig.start()
                    rig.warm()
                    self.trials(rig)
                finally:
                    rig.stop()

    def trials(self, rig: Rig) -> None:
        stats = rig.device.ask("stats")["workers"][0]
        self.assertGreaterEqual(stats["verdicts"]["to_backend"], rig.traffic.flows)
        self.assertGreaterEqual(stats["verdicts"]["to_client"], rig.traffic.flows)
        for rate in (20_000, 0):
            done = rig.trial(rate, 0.2, patience=5)  # fails on a wrong packet
            self.assertGreater(done.forwarded, 0)
            self.assertLessEqual(done.forwarded, done.offered)
            self.assertGreaterEqual(done.lost, 0)
            figures = [done.latency_ns[name] for name in latency.PERCENTILES]
            self.assertEqual(figures, sorted(figures))
            self.assertGreater(figures[0], 0)
        woken = rig.generator.ask("wake 10 100")
        self.assertLessEqual(woken["received"], woken["sent"])
        self.assertEqual(woken["wrong"], {})
        self.assertGreater(min(rig.core_round_trip_ns()), 0)
        self.assertIn("unknown command", str(self.refused(rig, "dance")))

    def refused(self, rig: Rig, command: str) -> Exception:
        with self.assertRaises(Exception) as caught:
            rig.generator.ask(command)
        return caught.exception

    def test_udp_over_ipv4(self):
        self.carries(Traffic(flows=3000))

    def test_tcp_over_ipv6_in_mixed_sizes_by_zipf(self):
        self.carries(Traffic(flows=500, proto="tcp", family="6", bytes="imix", zipf=1))


if __name__ == "__main__":
    unittest.main()
