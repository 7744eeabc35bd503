#!/usr/bin/python3
"""Tests of what perf/ works out from measurements: rows, comparison, report, parsing of benchmarks."""

import contextlib
import io
import re
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "perf"), str(ROOT / "scripts" / "lib")]

from sluicelab.processes import start_time  # noqa: E402
from sluicelab.shell import LabError  # noqa: E402
from sluiceperf import (  # noqa: E402
    budgets, cli, compare, compare_command, cost, profile, report, rows, sections, stages,
    svg, veth, veth_lab)
from sluiceperf.source import Traffic, read_status  # noqa: E402

WHERE = {"device": "null+source", "bytes": "64", "flows": 1000, "variant": "udp4"}


def cost_row(values, who="sluice", mode="nat", unit="cycles/packet", what="cost"):
    return rows.row(values, unit, what=what, who=who, mode=mode, workers=1, **WHERE)


class RowsTest(unittest.TestCase):
    def test_row_is_the_median_with_its_spread(self):
        made = cost_row([30.0, 10.0, 20.0])
        self.assertEqual((made.median, made.min, made.max, made.runs), (20, 10, 30, 3))

    def test_no_values_is_no_row(self):
        with self.assertRaises(ValueError):
            cost_row([])

    def test_percentile_is_the_nearest_rank(self):
        values = [float(n) for n in range(1, 101)]
        self.assertEqual([rows.percentile(values, share) for share in (0.5, 0.99, 1.0, 0.0)], [50, 99, 100, 1])

    def test_rows_survive_json(self):
        with tempfile.TemporaryDirectory() as folder:
            made = [cost_row([1.5, 2.5])]
            report.write(Path(folder), {"cpu": "x"}, made, Path(folder, "scratch"))
            self.assertEqual(report.load(Path(folder)), made)

    def test_table_lines_up(self):
        lines = rows.table([cost_row([1.0]), cost_row([123456.0])]).splitlines()
        self.assertEqual(lines[0].split()[-2:], ["unit", "runs"])
        self.assertIn("123,456", lines[2])


class CostTest(unittest.TestCase):
    def setUp(self):
        # Two turns at 2 GHz, the second one with the machine twice as slow for everybody.
        turns = lambda ns: [cost.Sample(1000, 1000 * ns), cost.Sample(1000, 2000 * ns)]
        self.samples = {("sluice", "nat"): turns(100), ("testpmd", "rxonly"): turns(20),
                        ("testpmd", "5tswap"): turns(50)}

    def test_cycles_and_rate_per_cpu_second(self):
        made = cost.cost_rows(self.samples, 2e9, **WHERE)
        ours = {r.unit: (r.min, r.max) for r in made if r.who == "sluice"}
        self.assertEqual(ours, {"cycles/packet": (200, 400), "Mpps/CPU-second": (5, 10)})

    def test_turns_are_compared_with_themselves(self):
        made = {r.what: r for r in cost.paired_rows(self.samples, ("sluice", "nat"), 2e9, **WHERE)}
        self.assertEqual(set(made), {"own cost", "rate beside testpmd 5tswap"})
        ratio, own = made["rate beside testpmd 5tswap"], made["own cost"]
        self.assertEqual((ratio.min, ratio.max), (0.5, 0.5))
        self.assertEqual((own.min, own.max), (160, 320))

    def test_cases_hold_what_was_promised(self):
        traffics = [case.traffic for case in cost.cases(quick=False)]
        self.assertEqual({t.flows for t in traffics}, {1, 10_000, 100_000, 1_000_000, 8_000_000})
        self.assertEqual({t.bytes for t in traffics}, {"64", "imix", "1500"})
        self.assertEqual({(t.proto, t.family) for t in traffics},
                         {("udp", "4"), ("udp", "6"), ("tcp", "4"), ("tcp", "6")})
        self.assertLess(len(cost.cases(quick=True)), len(traffics))


class ProfileTest(unittest.TestCase):
    REPORT = ("# Overhead  Shared Object  Symbol\n"
              "    60.50%  dut          [.] sluice::run<a, b>\n"
              "     1.50%  librte.so.23 [.] 0x0000000000004467\n"
              "     2.00%  librte.so.23 [.] 0x000000000000448a\n"
              "     0.10%  [kernel]     [k] schedule\n")

    def test_functions_with_objects_without_symbols_summed_up(self):
        found = profile.functions(self.REPORT)
        self.assertEqual([(f.symbol, round(f.share, 2)) for f in found],
                         [("sluice::run<a, b>", 60.5), ("(no symbols)", 3.5), ("schedule", 0.1)])

    def test_instructions(self):
        text = "    0.08 :   6b2a9:  push   %r14\n         :   6b2ab:  nop\n         : 3  text\n"
        self.assertEqual(profile.instructions(text), [(0.08, "6b2a9  push   %r14"), (0, "6b2ab  nop")])

    def test_page_escapes_and_sums_up_the_rest(self):
        page = profile.page("<title>", profile.functions(self.REPORT), {"f": [(50.0, "mov <b>")]})
        for text in ("sluice::run&lt;a, b&gt;", "mov &lt;b&gt;", "36.0 %"):
            self.assertIn(text, page)
        self.assertNotIn("schedule", page)


class CompareTest(unittest.TestCase):
    def verdict(self, before, after, unit="cycles/packet"):
        return compare.verdict(cost_row(before, unit=unit), cost_row(after, unit=unit))

    def test_overlapping_spreads_say_nothing(self):
        self.assertEqual(self.verdict([100, 120], [110, 130]), "within the spread")

    def test_which_way_is_better(self):
        for unit in ("cycles/packet", "cycles", "ns", "us", "ms", "MB", "packets lost", "flows broken",
                     "ns/packet", "ns/connection", "% of swaps"):
            self.assertEqual(self.verdict([100, 110, 120], [80, 85, 90], unit), "better", unit)
            self.assertEqual(self.verdict([100, 110, 120], [130, 135, 140], unit), "worse", unit)
        for unit in ("Mpps", "Mpps/CPU-second", "k connections/CPU-second", "calls/s", "ratio",
                     "% of connections complete"):
            self.assertEqual(self.verdict([10, 11, 12], [20, 21, 22], unit), "better", unit)
            self.assertEqual(self.verdict([10, 11, 12], [7, 8, 9], unit), "worse", unit)

    def test_few_runs_differ_by_chance(self):
        self.assertEqual(self.verdict([100], [50]), "too few runs")
        self.assertEqual(self.verdict([100, 101], [50, 51]), "too few runs")
        self.assertEqual(self.verdict([0], [0]), "within the spread")
        self.assertEqual(compare.chance(3, 3), 0.1)

    def test_text_shows_what_is_beyond_the_spread_and_counts_the_rest(self):
        before = [cost_row([100, 101, 102]), cost_row([10, 12], mode="io"), cost_row([1, 1], mode="old")]
        after = [cost_row([50, 51, 52]), cost_row([11, 13], mode="io"), cost_row([1], who="ovs-dpdk")]
        shown = compare.text(before, after)
        self.assertIn("-49.5 %", shown)
        self.assertNotIn("sluice io", shown)
        self.assertIn("1 better, 1 within the spread; 2 in one report only", shown)
        self.assertIn("sluice io", compare.text(before, after, shows_all=True))

    def test_from_nothing_is_no_percentage(self):
        change, = compare.compare([cost_row([0, 0, 0])], [cost_row([1, 2, 3])])
        self.assertEqual((change.percent, change.verdict), ("from 0", "worse"))

    def test_reports_of_single_runs_become_one(self):
        made, other = rows.merged([[cost_row([3.0]), cost_row([7.0], mode="io")], [cost_row([1.0])],
                                   [cost_row([8.0])]])
        self.assertEqual((made.median, made.min, made.max, made.runs), (3, 1, 8, 3))
        self.assertEqual((other.mode, other.runs), ("io", 1))

    def test_what_is_no_report_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "report.json")
            for text in ("", "[1]", '[{"what": 1}]', "{}x"):
                file.write_text(text)
                with self.assertRaisesRegex(LabError, "report.json is not a report"):
                    report.load(file)
            with self.assertRaisesRegex(LabError, "is not a report"):
                report.load(Path(folder, "none"))

    def test_a_report_and_a_commit_are_not_compared(self):
        with tempfile.TemporaryDirectory() as folder:
            report.write(Path(folder), {}, [cost_row([1.0])], Path(folder, "scratch"))
            with self.assertRaisesRegex(LabError, "not one with the other"):
                compare_command.sides(compare_command.parse([folder, "HEAD"]))


class StagesTest(unittest.TestCase):
    def test_pipeline_bench(self):
        found = stages.parse("10000 flows (2 MB pages), 1048576 packets:\n"
                             "  rewrite (nat)                        median    50.6   best    48.6\n")
        self.assertEqual(found, {("IPv4", 10_000, "rewrite (nat)"): (50.6, 48.6, None)})

    def test_flow_bench(self):
        found = stages.parse("IPv6, 1000000 flows of 1048576: 148.0 bytes a flow, 2 MiB pages\n"
                             "  lookup, one by one                         median    75.0 ns    195 cycles"
                             "   best    61.0 ns    158 cycles\n")
        self.assertEqual(found, {("IPv6", 1_000_000, "lookup, one by one"): (195, 158, 75)})


    def test_instructions_are_per_operation(self):
        found = stages.parse_counts("collect_a 4 parse\ncollect_b 2 arm a timer\n",
                                    "PROGRAM TOTALS\n 1,000 (90.0%)  ???:collect_a\n   300 ( 9.0%)  x.cc:collect_b [y]\n")
        self.assertEqual(found, {"parse": 250, "arm a timer": 150})

    def test_a_step_that_was_not_counted_is_an_error(self):
        with self.assertRaisesRegex(LabError, "collect_b"):
            stages.parse_counts("collect_a 4 parse\ncollect_b 2 b\n", "1,000 (90.0%)  ???:collect_a\n")

    def test_rows_have_nanoseconds_where_the_benchmark_prints_them(self):
        repeats = [{("IPv4", 10, "lookup"): stages.Cost(80.0, 70.0, 30.0)},
                   {("IPv4", 10, "lookup"): stages.Cost(90.0, 75.0, 36.0)}]
        self.assertEqual([(r.unit, r.median) for r in stages.rows_of("flow_bench", repeats)],
                         [("cycles", 85), ("ns", 33)])


class BudgetsTest(unittest.TestCase):
    def verdicts(self, *made):
        return {each.text: each.verdict for each in budgets.judge(list(made))}

    def own(self, flows, values):
        where = {**WHERE, "flows": flows}
        return rows.row(values, "cycles/packet", what="own cost", who="sluice", mode="nat", workers=1, **where)

    def test_only_what_was_measured_is_judged_by_its_median(self):
        for values, verdict in (([100, 149, 900], "met"), ([10, 151, 152], "missed")):
            found = self.verdicts(self.own(1_000_000, values))
            self.assertEqual(list(found.values()), [verdict])

    def test_limits_are_written_out(self):
        wanted = {b.wanted for b in budgets.judge([
            rows.row([1.0], "ns", what="stage", who="sluice", mode="Maglev table, 1,000 backends",
                     workers=1, **WHERE), self.own(1_000_000, [100.0])])}
        self.assertEqual(wanted, {"≤ 2,000,000", "≤ 150"})

    def test_growth_pairs_few_with_many_flows(self):
        growth, = (each for each in budgets.judge([self.own(10_000, [100.0, 110.0, 120.0]),
                                                   self.own(8_000_000, [220.0, 231.0, 240.0])])
                   if "8 M" in each.text)
        self.assertEqual((growth.verdict, growth.row.median), ("missed", 2.1))
        self.assertEqual((growth.row.min, growth.row.max), (220 / 120, 240 / 100))

    def test_one_lost_packet_in_one_run_is_missed(self):
        lost = lambda values: rows.row(values, "packets lost", what="swap", who="sluice", mode="nat",
                                       workers=1, **WHERE)
        self.assertEqual(list(self.verdicts(lost([0.0, 0.0]), lost([0.0, 0.0, 1.0])).values()), ["missed"])
        self.assertEqual(list(self.verdicts(lost([0.0, 0.0])).values()), ["met"])


class VethTest(unittest.TestCase):
    WRK = ("  2562 requests in 1.10s, 402.81KB read\n"
           "  Socket errors: connect 0, read {read}, write 0, timeout {timeout}\n")

    def test_requests_of_wrk(self):
        self.assertEqual(veth_lab.answered_requests("  2562 requests in 1.10s, 402.81KB read\n"), 2562)
        self.assertEqual(veth_lab.answered_requests(self.WRK.format(read=20, timeout=5)), 2562)

    def test_failed_requests_are_an_error(self):
        for text in ("", "  0 requests in 1.10s", self.WRK.format(read=20, timeout=6)):
            with self.assertRaises(LabError):
                veth_lab.answered_requests(text)

    def test_ratio_is_above_one_where_the_peer_costs_more(self):
        costs = {("sluice", "nat", "veth af_xdp"): [100.0, 200.0],
                 ("nftables", "dnat+snat", "veth kernel"): [300.0, 400.0]}
        made = veth.rows_of(costs, "ns/packet", "CPU", bytes="64", variant="udp4", flows=1)
        self.assertEqual([(r.who, r.unit, r.median) for r in made],
                         [("sluice", "ns/packet", 150), ("nftables", "ns/packet", 350),
                          ("sluice", "ratio", 2.5)])
        self.assertTrue(all("not like for like" in r.note for r in made))


class PlotsTest(unittest.TestCase):
    def test_what_no_section_knows_is_drawn_as_bars(self):
        made = sections.make([cost_row([2.0], what="new thing", unit="things/s")])
        self.assertEqual([heading for heading, _, _ in made], ["New thing, things/s"])
        self.assertIn("<rect", made[0][2])

    def test_bars_are_as_long_as_their_values(self):
        widths = re.findall(r'<rect [^>]*width="([0-9.]+)"', svg.bars("t", [("a", 10, 10, 10), ("b", 5, 4, 6)], "x"))
        self.assertAlmostEqual(float(widths[0]) / float(widths[1]), 2, places=1)

    def test_one_run_far_beyond_the_others_does_not_shorten_the_bars(self):
        plot = svg.bars("t", [("a", 10, 10, 1000), ("b", 10, 9, 11)], "x")
        wide = (svg.WIDTH - svg.NAMES - svg.FIGURES) / 2
        self.assertEqual(re.findall(r'<rect [^>]*width="([0-9.]+)"', plot), [f"{wide:.1f}"] * 2)
        ends = [float(x) for x in re.findall(r'x2="([0-9.]+)"', plot)]
        self.assertLessEqual(max(ends), svg.WIDTH - svg.FIGURES)

    def test_more_is_higher_on_both_kinds_of_axes(self):
        for is_log in (False, True):
            heights = re.findall(r'cy="([0-9.]+)"', svg.lines("t", {"a": [(1, 10, 9, 11), (10, 20, 19, 21)]},
                                                             "x", "y", y_log=is_log))
            self.assertGreater(float(heights[0]), float(heights[1]))

    def test_labels_keep_apart_and_inside(self):
        placed = svg._spread_out([280.0, 281.0, 282.0, 20.0], 17)
        self.assertTrue(all(b - a >= 17 for a, b in zip(sorted(placed), sorted(placed)[1:])))
        self.assertLessEqual(max(placed), svg.HEIGHT - svg.BOTTOM)
        self.assertEqual(placed[3], 20)

    def test_plots_survive_zeros(self):
        self.assertIn("<rect", svg.bars("t", [("a", 0.0, 0.0, 0.0)], "x"))
        self.assertIn("<circle", svg.ratios("t", [("a", 0.0, 0.0, 0.0)]))

    def test_spread_is_half_the_range(self):
        self.assertEqual(report.spread(cost_row([90.0, 100.0, 110.0])), "±10 %")
        self.assertEqual(report.spread(cost_row([90.0])), "")


class CommandTest(unittest.TestCase):
    def test_help_says_what_each_scenario_measures(self):
        shown = cli.scenario_help()
        for name in cli.scenario_names():
            self.assertRegex(shown, rf"(?m)^  {name} +\w+ \w+")

    def test_unknown_peers_are_refused(self):
        self.assertEqual(cli.parse(["cost", "--peers", "none"]).peers, set())
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit):
            cli.parse(["cost", "--peers", "testpmd,nope"])
        self.assertIn("nope", said.getvalue())


class MachineTest(unittest.TestCase):
    def test_programs_end_when_perf_run_is_killed_even_paused_ones(self):
        code = (f"import sys; sys.path[:0] = {sys.path[:2]!r}\n"
                "import os, signal, time\nfrom sluiceperf import machine\n"
                "child = machine.start(['sleep', '100'])\nos.kill(child.pid, signal.SIGSTOP)\n"
                "print(child.pid, flush=True)\ntime.sleep(100)\n")
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
            child = int(parent.stdout.readline())
            self.assertIsNotNone(start_time(child))
            parent.kill()
        deadline = time.monotonic() + 60  # ends a test that hangs
        while start_time(child) is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertIsNone(start_time(child))


class ReportTest(unittest.TestCase):
    def test_page_is_whole_and_escapes(self):
        page = report.html({"cpu": "<fast>"}, [cost_row([1, 2])])
        self.assertIn("&lt;fast&gt;", page)
        self.assertIn("<polyline", page)
        for outside in ("http://", "https://", "src=", "<script", 'href="p'):
            self.assertNotIn(outside, page)

    def test_profile_is_linked_only_when_this_run_took_one(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as scratch:
            profile_page = Path(scratch, profile.PAGE)
            profile_page.write_text("profile")
            page = report.write(Path(folder), {}, [cost_row([1])], Path(scratch))
            self.assertIn(f'href="{profile.PAGE}"', page.read_text())
            self.assertEqual(Path(folder, profile.PAGE).read_text(), "profile")
            profile_page.unlink()
            report.write(Path(folder), {}, [cost_row([1])], Path(scratch))
            self.assertNotIn(profile.PAGE, page.read_text())
            self.assertFalse(Path(folder, profile.PAGE).exists())


class SourceTest(unittest.TestCase):
    def test_status_of_a_source_that_has_not_written_yet(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "status")
            self.assertIsNone(read_status(path))
            path.write_bytes(bytes(4096))
            self.assertIsNone(read_status(path))

    def test_variant_names_what_differs(self):
        self.assertEqual(Traffic(proto="tcp", family="6", zipf=1).variant, "tcp6 zipf 1")


if __name__ == "__main__":
    unittest.main()
