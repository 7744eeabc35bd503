"""scripts/test after set-up: build, run the suites, add up."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

from sluicelab import hugepages, suites
from sluicelab.shell import LabError, build_dir, exit_on_signals
from sluicelab.suites import Count

HUGEPAGES = 256  # the suites on virtual devices; the end-to-end tests reserve their own
FUZZ_INPUTS, FUZZ_INPUTS_QUICK = 10_000_000, 200_000
BULK_BYTES_QUICK = 64 << 20


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/test", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Installs and builds what is missing, runs every test, puts everything back.",
        epilog="suites: those of meson (unit, nic, style, ...), then sanitize (the unit tests\n"
               "under ASan and UBSan), fuzz, e2e (real clients and servers in namespaces).\n"
               "The last line is \"N passed, N failed\".")
    parser.add_argument("--quick", action="store_true",
                        help="no sanitizer build, fewer fuzzer inputs, smaller transfers")
    parser.add_argument("--suite", action="append", metavar="NAME",
                        help="only this one (repeatable)")
    return parser.parse_args(arguments)


def _plan(quick: bool) -> dict[str, Callable[[], Count]]:
    build = build_dir()
    plan: dict[str, Callable[[], Count]] = {}
    for name in suites.suite_names(build):
        plan[name] = lambda name=name: suites.run_meson(build, name)
    if not quick:
        plan["sanitize"] = suites.run_sanitized
    plan["fuzz"] = lambda: suites.run_fuzz(FUZZ_INPUTS_QUICK if quick else FUZZ_INPUTS)
    smaller = {"SLUICE_BULK_BYTES": str(BULK_BYTES_QUICK)} if quick else {}
    plan["e2e"] = lambda: suites.run_end_to_end(build, smaller)
    return plan


def _run_all(plan: dict[str, Callable[[], Count]]) -> dict[str, Count]:
    counts: dict[str, Count] = {}
    for name, suite in plan.items():
        print(f"\n=== {name}", flush=True)
        begin = time.monotonic()
        if name in ("e2e", "sanitize", "fuzz"):
            counts[name] = suite()
        else:
            with hugepages.reserved(HUGEPAGES):
                counts[name] = suite()
        print(f"=== {name}: {counts[name]} in {time.monotonic() - begin:.0f} s", flush=True)
    return counts


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    exit_on_signals()
    try:
        plan = _plan(options.quick)
        unknown = [name for name in options.suite or [] if name not in plan]
        if unknown:
            print(f"test: no suite \"{unknown[0]}\"; there are: {', '.join(plan)}", file=sys.stderr)
            return 2
        if options.suite:
            plan = {name: plan[name] for name in options.suite}
        counts = _run_all(plan)
    except (LabError, OSError, subprocess.SubprocessError) as error:
        print(f"test: {error}", file=sys.stderr)
        return 1
    print()
    for name, count in counts.items():
        print(f"{name:<12} {count}")
    total = sum(counts.values(), Count())
    for name in total.failures:
        print(f"failed: {name}")
    print(f"\n{total.passed} passed, {total.failed} failed", flush=True)
    return 0 if total.failed == 0 and total.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
