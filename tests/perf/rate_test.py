#!/usr/bin/python3
"""Tests of what perf/ works out from the generator's trials and from several workers."""

import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "perf"), str(ROOT / "scripts" / "lib")]

from sluiceperf import control, latency, rate, report, search, workers  # noqa: E402

WHERE = {"device": "null+source", "bytes": "64", "flows": 1000, "variant": "udp4"}


class ControlTest(unittest.TestCase):
    def test_cost_is_compared_within_pairs(self):
        reports = [{"rate": 1990.0 + n, "p50_ms": 1.0, "p99_ms": 2.0} for n in range(3)]
        rows = control.rows_of([(50, 0.01), (100, 0.01), (60, 0.01)], [(51, 0.3), (101, 0.25), (60, 0.2)], reports)
        found = {(r.what, r.unit, r.mode.rpartition(", ")[2]): r.median for r in rows}
        self.assertAlmostEqual(found["worker's cost beside a quiet socket", "ratio", "200 watchers"], 1.01)
        self.assertAlmostEqual(found["control thread", "% of a core", "200 watchers"], 25)
        self.assertEqual(found["control socket", "requests/s", "answered"], 1991)
        self.assertEqual(found["control socket", "ns/packet", "quiet"], 60)


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


def answer(**changes) -> dict:
    """What the generator says of a trial in which nothing was lost."""
    return {"seconds": 0.5, "sent": 1000, "refused": 0, "skipped": 0, "received": 1000, "late": 0, "bursts": 100, "blocked": 0, "wrong": {},
            "longest_gap_ns": 5000, "latency_ns": {name: 1000.0 for name in latency.PERCENTILES}, **changes}


class OutcomeTest(unittest.TestCase):
    def test_rates_are_per_second_of_sending(self):
        done = search.outcome(answer(received=900))
        self.assertEqual((done.offered, done.forwarded, done.lost), (2000, 1800, 100))
        self.assertFalse(done.passes)

    def test_a_full_ring_is_a_loss_and_counts_as_offered(self):
        done = search.outcome(answer(refused=100))
        self.assertEqual((done.offered, done.lost, done.passes), (2200, 100, False))

    def test_a_generator_that_falls_behind_passes_nothing(self):
        self.assertTrue(search.outcome(answer(skipped=9)).passes)
        self.assertFalse(search.outcome(answer(skipped=20)).passes)

    def test_gaps_of_either_side_and_stolen_time_disturb(self):
        self.assertFalse(search.outcome(answer()).is_disturbed)
        self.assertTrue(search.outcome(answer(longest_gap_ns=2_000_000)).is_disturbed)
        self.assertTrue(search.outcome(answer(), device_waited_ns=2_000_000).is_disturbed)
        self.assertTrue(search.outcome(answer(), stolen=True).is_disturbed)


class Device:
    """Forwards up to `limit` packets per second without loss; the first `disturbances` trials lose some."""

    def __init__(self, limit: float, disturbances: int = 0) -> None:
        self.limit, self.disturbances, self.rates = limit, disturbances, []

    def trial(self, rate: float) -> search.Outcome:
        self.rates.append(rate)
        disturbed = len(self.rates) <= self.disturbances
        over = max(0.0, rate - self.limit) + (7 if disturbed else 0)
        return search.outcome(answer(seconds=1.0, sent=round(rate), received=round(rate - over),
                                     longest_gap_ns=5_000_000 if disturbed else 5_000))


class ZeroLossTest(unittest.TestCase):
    def test_finds_every_limit_within_the_resolution(self):
        for limit in range(50_000, 1_000_000, 50_000):
            found = search.zero_loss(Device(limit).trial, 1_000_000, resolution=0.01)
            self.assertLessEqual(found.rate, limit)
            self.assertGreater(found.rate, limit - 10_000 - 1)
            self.assertEqual(found.best.lost, 0)

    def test_a_device_without_losses_is_tried_at_the_ceiling_only(self):
        device = Device(2_000_000)
        self.assertEqual(search.zero_loss(device.trial, 1_000_000).rate, 1_000_000)
        self.assertEqual(device.rates, [1_000_000])

    def test_disturbed_losses_are_tried_again(self):
        device = Device(2_000_000, disturbances=2)
        found = search.zero_loss(device.trial, 1_000_000, attempts=3)
        self.assertEqual((found.rate, found.trials, found.disturbed), (1_000_000, 3, 2))

    def test_losses_of_the_device_are_not_tried_again(self):
        device = Device(400_000)
        found = search.zero_loss(device.trial, 1_000_000, resolution=0.25)
        self.assertEqual(device.rates, [1_000_000, 500_000, 250_000])
        self.assertEqual(found.disturbed, 0)

    def test_a_device_that_always_loses_ends_at_nothing(self):
        found = search.zero_loss(Device(-1).trial, 1_000_000)
        self.assertEqual((found.best, found.rate), (None, 0))
        self.assertLess(found.trials, 12)


class RateTest(unittest.TestCase):
    def sample(self, maximum, zero_loss, blocked=0.5):
        return rate.Sample(maximum, maximum, zero_loss, trials=8, disturbed=2, blocked=blocked,
                           core_round_trip_ns=[90.0, 95.0, 400.0])

    def rows(self, samples):
        found = rate.rows_of(samples, 0.5, **dict(WHERE, device="memif"), workers=1)
        return {(r.what, r.who): r for r in found}

    def test_ratios_pair_the_runs(self):
        found = self.rows({("sluice", "nat"): [self.sample(4, 3), self.sample(8, 6)],
                           ("testpmd", "io"): [self.sample(5, 6), self.sample(10, 0)]})
        self.assertEqual(found["zero-loss rate beside testpmd io", "sluice"].median, 0.5)
        self.assertAlmostEqual(found["maximum rate beside testpmd io", "sluice"].min, 0.8)
        self.assertEqual(found["maximum rate", "testpmd"].max, 10)

    def test_core_distance_and_the_limit_are_told(self):
        found = self.rows({("sluice", "nat"): [self.sample(4, 3)], ("testpmd", "io"): [self.sample(4, 3, 0.02)]})
        self.assertEqual(found["core round trip", "machine"].median, 95)
        note = found["maximum rate", "sluice"].note
        for told in ("the device was the limit", "seed", "8 trials", "2 lost packets"):
            self.assertIn(told, note)
        self.assertIn("2% of the bursts met a full ring: the generator", found["maximum rate", "testpmd"].note)

    def test_quick_is_a_part_of_the_whole(self):
        whole = [case.traffic for case in rate.cases(False)]
        self.assertTrue(all(case.traffic in whole for case in rate.cases(True)))


class LatencyTest(unittest.TestCase):
    def test_added_latency_is_the_difference_of_each_run(self):
        slow = [search.outcome(answer(latency_ns={name: us * 1e3 for name in latency.PERCENTILES})) for us in (5, 9)]
        fast = [search.outcome(answer(latency_ns={name: us * 1e3 for name in latency.PERCENTILES})) for us in (4, 1)]
        made = latency.rows_of({("sluice", "nat"): slow, ("testpmd", "io"): fast}, "note", workers=1, **WHERE)
        added = next(r for r in made if r.what == "added latency" and r.mode == "nat p99")
        self.assertEqual((added.min, added.max, added.unit), (1, 8, "us"))
        self.assertEqual(len(made), 3 * len(latency.PERCENTILES))

    def test_percentiles_are_plotted(self):
        runs = [search.outcome(answer(latency_ns={"p50": 700, "p90": 900, "p99": 5e3, "p99.9": 4e4, "max": 4e6}))]
        page = report.html({}, latency.rows_of({("sluice", "nat"): runs}, "note", workers=1,
                                               **{**WHERE, "variant": "udp4 at 50%"}))
        for shown in ("sluice nat at 50%", "p99.9", ">1 k<", ">0.5<"):
            self.assertIn(shown, page)

    def test_without_a_peer_nothing_is_added(self):
        made = latency.rows_of({("sluice", "nat"): [search.outcome(answer())]}, "note", workers=1, **WHERE)
        self.assertEqual({r.what for r in made}, {"latency"})


if __name__ == "__main__":
    unittest.main()
