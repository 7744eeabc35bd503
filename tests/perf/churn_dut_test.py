#!/usr/bin/python3
"""ChurnSource and the device under test, with a real worker on null ports: needs root, reserves hugepages by itself."""

import os
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "perf"), str(ROOT / "scripts" / "lib")]

from sluiceperf import connections, swaps  # noqa: E402
from sluiceperf.churn import ChurnSluice  # noqa: E402

SECONDS = 0.05  # of CPU time


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class ChurnTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="sluice-churn-test-", dir="/run")
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)

    def test_every_connection_gets_through(self):
        for proto, family in (("tcp", "4"), ("udp", "6")):
            with self.subTest(proto=proto, family=family), connections.Case(
                    ChurnSluice(self.scratch, 2000, 1 << 18, proto, family, ending_ticks=1, pings=4)) as subject:
                subject.fill()
                found = connections.strict(subject.churn(SECONDS))
                self.assertGreater(found.churn["completed"], 0)
                self.assertGreater(found.churn["pongs"], 0)
                end = subject.settle()
                self.assertEqual(end.churn["started"], end.churn["completed"])
                self.assertEqual(end.churn["packets"], end.churn["seen"])
                self.assertEqual(subject.harmed(), 0)

    def test_a_full_table_refuses_and_harms_nobody(self):
        rows = connections.full(self.scratch, 4096, runs=1, seconds=SECONDS)
        refused, = (r.median for r in rows if r.unit == "refused (flow_table_full)")
        self.assertGreater(refused, 0)

    def test_a_flood_is_not_answered(self):
        with connections.Case(ChurnSluice(self.scratch, 1000, 1 << 16, ending_ticks=1)) as subject:
            subject.fill()
            found = subject.churn(SECONDS, flood=16)
            self.assertGreater(found.churn["flooded"], 0)
            self.assertGreater(found.churn["flood_passed"], 0)
            self.assertEqual(subject.harmed(), 0)

    def test_swaps_lose_break_and_mix_nothing(self):
        with connections.Case(ChurnSluice(self.scratch, 2000, 1 << 18, ending_ticks=1, listeners=10, pings=8)) as subject:
            subject.fill()
            answer = swaps.one_run(subject, 100)
        self.assertEqual([answer[name] for name in ("lost", "broken", "mixed", "timeouts")], [0, 0, 0, 0])
        self.assertEqual(len(answer["delays_us"]), 100)
        self.assertTrue(all(delay > 0 for delay in answer["delays_us"]))


if __name__ == "__main__":
    unittest.main()
