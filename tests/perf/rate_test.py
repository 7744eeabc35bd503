#!/usr/bin/python3
"""Tests of what perf/ works out from the generator's trials and from several workers."""

import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "perf"), str(ROOT / "scripts" / "lib")]

from sluiceperf import workers  # noqa: E402

WHERE = {"device": "null+source", "bytes": "64", "flows": 1000, "variant": "udp4"}


class WorkersTest(unittest.TestCase):
    ONE, TWO = [(1000, 100_000)], [(1000, 100_000), (800, 100_000)]  # (packets, nanoseconds)

    def rows(self, samples):
        lost = {cores: [0] * len(runs) for cores, runs in samples.items()}
        return workers.rows_of(samples, lost, 2e9, who="sluice", mode="nat", **WHERE)

    def test_rates_of_workers_add_up_and_cycles_are_their_mean(self):
        found = {(r.what, r.workers): r.median for r in self.rows({(1,): [self.ONE], (0, 1): [self.TWO]})}
        self.assertAlmostEqual(found["rate of all workers", 2], 18)
        self.assertAlmostEqual(found["cost", 2], 2e9 * 200e-6 / 1800)
        self.assertAlmostEqual(found["two workers beside one", 2], 1.8)

    def test_workers_that_share_cores_have_no_common_rate(self):
        whats = {r.what for r in self.rows({(0, 1, 0, 1): [self.TWO * 2]})}
        self.assertEqual(whats, {"cost", "workers"})

    def test_every_other_verdict_is_a_loss(self):
        stats = lambda dropped: {"workers": [{"verdicts": {"to_backend": 5, "tx_full": dropped}}] * 2}
        self.assertEqual(workers.not_forwarded(stats(1), stats(3)), 4)


if __name__ == "__main__":
    unittest.main()
