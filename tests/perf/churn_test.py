#!/usr/bin/python3
"""Tests of how perf/run connections and swaps judge what they measured: what must fail a run does."""

import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "perf"), str(ROOT / "scripts" / "lib")]

from sluicelab.shell import LabError  # noqa: E402
from sluiceperf import compiling, connections, swaps, weights  # noqa: E402
from sluiceperf.churn import Sample  # noqa: E402

WHERE = {"who": "sluice", "device": "null+source", "bytes": "64", "flows": 1000, "workers": 1, "variant": "tcp4"}
CLEAN = dict(completed=100, failed=0, late=0, resets=0)


def sample(verdicts=None, **counts):
    return Sample({**CLEAN, **counts}, {"to_backend": 500, "to_client": 300, **(verdicts or {})}, evicted=0,
                  flows=1000, cpu_ns=3_000, source_ns=1_000.0)


class SampleTest(unittest.TestCase):
    def test_since_is_the_difference(self):
        then = sample()
        now = Sample({**CLEAN, "completed": 150}, {"to_backend": 900, "to_client": 300}, 7, 900, 5_000, 1_500.0)
        found = now.since(then)
        self.assertEqual((found.churn["completed"], found.verdicts, found.evicted), (50, {"to_backend": 400}, 7))
        self.assertEqual((found.cpu_ns, found.own_ns), (2_000, 1_500))

    def test_others_are_packets_that_were_not_forwarded(self):
        found = sample({"no_flow": 2, "flow_table_full": 3})
        self.assertEqual(found.others(), {"no_flow": 2, "flow_table_full": 3})
        self.assertEqual(found.others(("flow_table_full",)), {"no_flow": 2})


class StrictTest(unittest.TestCase):
    def test_a_clean_run_passes(self):
        self.assertEqual(connections.strict(sample()), sample())

    def test_an_unexpected_verdict_fails(self):
        with self.assertRaisesRegex(LabError, "no_flow"):
            connections.strict(sample({"no_flow": 1}))
        with self.assertRaisesRegex(LabError, "no_flow"):
            connections.strict(sample({"no_flow": 1}), expected=("flow_table_full",))

    def test_a_connection_that_did_not_get_through_fails(self):
        for name in ("failed", "late", "resets"):
            with self.assertRaisesRegex(LabError, name):
                connections.strict(sample(**{name: 1}))


class ConnectionRowsTest(unittest.TestCase):
    def test_cost_is_the_slope_inside_each_window(self):
        # 100 ns each up to 70 % of 1,000, then 300 ns each
        samples = [(n, 100 * n if n <= 700 else 70_000 + 300 * (n - 700)) for n in range(0, 1000, 10)]
        self.assertEqual(connections.windows(samples, 1000), {0.1: 100, 0.5: 100, 0.9: 300})

    def test_a_window_without_samples_is_left_out(self):
        self.assertEqual(connections.windows([(0, 0), (950, 5)], 1000), {})

    def test_rates_with_and_without_the_source(self):
        made = connections.rate_rows([sample()], "completed", what="connections", mode="churn", **WHERE)
        # 100 connections in 2 us of its own and 3 us in all
        self.assertEqual([(r.mode, r.median) for r in made],
                         [("churn", 50_000), ("churn", 20), ("churn, source included", 100 / 3_000 * 1e6)])

    def test_no_connection_is_no_rate(self):
        with self.assertRaisesRegex(LabError, "completed"):
            connections.rate_rows([sample(completed=0)], "completed", what="connections", mode="churn", **WHERE)


class SwapsTest(unittest.TestCase):
    def test_swaps_whose_worker_kept_its_core_are_shown_apart(self):
        delays = [float(n) for n in range(1, 101)]
        stolen = [0.0] * 90 + [5.0] * 10
        answer = dict(delays_us=delays, stolen_us=stolen, lost=3, broken=1, mixed=2, packets=4_000_000, cpu_ns=2e9)
        found = {(r.mode, r.unit): r.median for r in swaps.rows_of([answer], **WHERE)}
        self.assertEqual(found["acknowledged p99", "us"], 99)
        self.assertEqual(found["acknowledged max, core kept", "us"], 90)
        self.assertAlmostEqual(found["a worker waited for its core", "% of swaps"], 10)
        self.assertEqual([found["nat", unit] for unit in ("packets lost", "connections broken", "mixed reads")], [3, 1, 2])
        self.assertEqual(found["nat", "Mpps/CPU-second"], 2)

    def test_a_core_that_was_never_kept_makes_no_row(self):
        answer = dict(delays_us=[1.0], stolen_us=[1.0], lost=0, broken=0, mixed=0, packets=1, cpu_ns=1)
        self.assertFalse([r for r in swaps.rows_of([answer], **WHERE) if "core kept" in r.mode])


class CompilingTest(unittest.TestCase):
    def test_rows_of_a_report(self):
        report = dict(full=[3.0, 1.0, 2.0], weights=[1.0], weight=[0.5], down=[0.7], snapshot_bytes=5_000_000,
                      weight_bytes=100_000)
        found = {(r.what, r.mode): (r.median, r.unit) for r in compiling.rows_of(report, 10, 10)}
        self.assertEqual(found["compile", "all tables new"], (2.0, "ms"))
        self.assertEqual(found["snapshot memory", "one weight"], (0.1, "MB"))


class WeightsTest(unittest.TestCase):
    def test_configuration_has_what_was_asked_for(self):
        text = weights.config(Path("/run/x"), Path("/var/y"), listeners=3, pools=2, backends=4)
        counts = [text.count(what) for what in ("[[listener]]", "[[route]]", "[[pool]]", "port = 8080", "[[port]]")]
        self.assertEqual(counts, [3, 3, 2, 8, 2])
        self.assertIn('socket = "/run/x/control.sock"', text)
        self.assertIn('state_dir = "/var/y"', text)


if __name__ == "__main__":
    unittest.main()
