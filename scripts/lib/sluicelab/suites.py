"""The suites of scripts/test: each runs somebody else's test runner and counts what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path

from sluicelab.shell import REPOSITORY, LabError

SANITIZED = REPOSITORY / "build-asan"
# Little optimization and only line numbers: it compiles twice as fast. Warnings are the release
# build's business; with sanitizers g++ sees some that are not there.
SANITIZE_OPTIONS = ("-Dbuildtype=custom", "-Doptimization=1", "-Ddebug=false", "-Dcpp_args=-g1",
                    "-Dwerror=false", "-Db_ndebug=false", "-Db_sanitize=address,undefined")


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)  # names of failed tests

    def __add__(self, other: Count) -> Count:
        return Count(self.passed + other.passed, self.failed + other.failed,
                     self.skipped + other.skipped, self.failures + other.failures)

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def _run(command: list[str], environment: dict[str, str] | None = None) -> int:
    """Runs with its output shown as it comes."""
    sys.stdout.flush()
    return subprocess.run(command, cwd=REPOSITORY, check=False,
                          env=os.environ | (environment or {})).returncode


def _count_junit(file: Path, code: int) -> Count:
    """The cases of a JUnit file; a runner that failed without a failed case counts as one."""
    count = Count()
    if file.exists():
        for case in xml.parse(file).getroot().iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                count.failed += 1
                count.failures.append(f'{case.get("classname", "")} {case.get("name", "")}')
            elif case.find("skipped") is not None:
                count.skipped += 1
            else:
                count.passed += 1
    if code != 0 and count.failed == 0:
        count.failed = 1
    return count


def _introspect(build: Path) -> list[dict]:
    told = subprocess.run(["meson", "introspect", str(build), "--tests"], text=True,
                          capture_output=True, check=False)
    if told.returncode != 0:
        raise LabError(f"meson introspect {build}: {told.stdout.strip() or told.stderr.strip()}")
    return json.loads(told.stdout)


def suite_names(build: Path) -> list[str]:
    """The suites of meson, without their "sluice:" prefix."""
    names = {suite.rpartition(":")[2] for test in _introspect(build) for suite in test["suite"]}
    return sorted(names)


def run_meson(build: Path, suite: str, environment: dict[str, str] | None = None,
              patience: int = 4) -> Count:
    """One suite; gtest programs count case by case. `patience` stretches the tests' time limits,
    which are there to end what hangs."""
    junit = build / "meson-logs" / "testlog.junit.xml"
    junit.unlink(missing_ok=True)
    code = _run(["meson", "test", "-C", str(build), "--no-rebuild", "--suite", suite,
                 "--timeout-multiplier", str(patience), "--print-errorlogs"], environment)
    return _count_junit(junit, code)


def run_sanitized() -> Count:
    """The unit tests (free of DPDK) once more, under AddressSanitizer and UBSan."""
    relative = SANITIZED.relative_to(REPOSITORY)
    scripts = REPOSITORY / "scripts"
    # The first call only configures: which programs the suite has is known afterwards.
    if _run([str(scripts / "build"), str(relative), *SANITIZE_OPTIONS],
            {"TARGETS": "build.ninja"}) != 0:
        return Count(failed=1)
    programs = {Path(test["cmd"][0]) for test in _introspect(SANITIZED)
                if any(suite.endswith("unit") for suite in test["suite"])}
    targets = " ".join(sorted(str(program.relative_to(SANITIZED)) for program in programs
                              if program.is_relative_to(SANITIZED)))
    if _run([str(scripts / "build"), str(relative)], {"TARGETS": targets}) != 0:
        return Count(failed=1)
    return run_meson(SANITIZED, "unit", {
        "ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}, patience=20)


def run_fuzz(inputs: int) -> Count:
    """scripts/fuzz: each fuzzer counts as one test. The packet path sees strangers' bytes at line
    rate and gets all `inputs`; what is read less often, or takes longer, gets a part."""
    count = Count()
    for fuzzer, share in (("pipeline_fuzz", 1), ("http_response_fuzz", 5), ("config_fuzz", 200),
                          ("control_fuzz", 200)):
        code = _run([str(REPOSITORY / "scripts" / "fuzz"), "--inputs", str(inputs // share), fuzzer])
        count += Count(passed=1) if code == 0 else Count(failed=1, failures=[fuzzer])
    return count


def run_end_to_end(build: Path, environment: dict[str, str]) -> Count:
    junit = build / "e2e.junit.xml"
    junit.unlink(missing_ok=True)
    code = _run(["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "--durations=10",
                 "-q", f"--junitxml={junit}", "tests/e2e"],
                {"SLUICE_BUILD": str(build)} | environment)
    return _count_junit(junit, code)
