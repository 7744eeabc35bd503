#!/usr/bin/python3
"""The style checks find what they are for: each gets a small tree with one mistake of every kind."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "check"))

import hot_symbols  # noqa: E402
import layers  # noqa: E402


class Tree(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def check(self, script, *arguments):
        """(exit code, output lines) of a check over the tree."""
        result = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "check" / script), "--root", str(self.root),
             *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(result.stderr, "")
        return result.returncode, result.stdout.split("\n")

    def assert_finds(self, output, start, reason):
        hits = [line for line in output if line.startswith(start) and reason in line]
        self.assertEqual(len(hits), 1, f"{start} {reason} in {output}")


class Layers(Tree):
    def setUp(self):
        super().setUp()
        for path in layers.PACKET_SIDE:
            self.write(path, "#pragma once\n")
        self.write("dataplane/base/a.h", "#pragma once\n")

    def test_a_clean_tree_passes(self):
        self.write("dataplane/wire/w.h", '#include <vector>\n\n#include "dataplane/base/a.h"\n')
        self.write("ctrl/runtime/r.cc", '#include "nic/port_set.h"\n')
        self.write("nic/n.cc", "#include <rte_eal.h>\n")
        self.write("tests/dataplane/wire/w_test.cc", '#include "dataplane/wire/w.h"\n')
        self.assertEqual(self.check("layers.py")[0], 0)

    def test_it_finds_each_kind(self):
        self.write("dataplane/base/up.h", '#include "dataplane/wire/w.h"\n')
        self.write("dataplane/wire/w.h", "\n#include <rte_mbuf.h>\n")
        self.write("dataplane/wire/near.cc", '#include "w.h"\n')
        self.write("dataplane/flow/f.cc", '#include "ctrl/config/c.h"\n')
        self.write("ctrl/config/c.h", "")
        self.write("ctrl/control/x.cc", '#include "dataplane/worker.h"\n')
        self.write("dataplane/worker.h", "")
        self.write("dataplane/new/thing.h", "")
        self.write("dataplane/engine.h", '#include "nic/port.h"\n')
        self.write("nic/port.h", "#include <rte_ethdev.h>\n")
        self.write("tests/dataplane/wire/t.cc", '#include "dataplane/worker.h"\n')
        status, output = self.check("layers.py")
        self.assertEqual(status, 1)
        self.assert_finds(output, "dataplane/base/up.h:1:", "may not see dataplane/wire")
        self.assert_finds(output, "dataplane/wire/w.h:2:", "is DPDK's")
        self.assert_finds(output, "dataplane/wire/near.cc:1:", "not a path from the root")
        self.assert_finds(output, "dataplane/flow/f.cc:1:", "may not see ctrl/config")
        self.assert_finds(output, "ctrl/control/x.cc:1:", "may not see dataplane;")
        self.assert_finds(output, "dataplane/new/thing.h:1:", "has no layer")
        self.assert_finds(output, "nic/port.h:1:", "reaches ctrl through dataplane/engine.h")
        self.assert_finds(output, "tests/dataplane/wire/t.cc:1:", "may not see dataplane;")


class Sizes(Tree):
    def test_it_finds_each_kind(self):
        self.write("nic/README.md", "")
        self.write("nic/long.cc", "\n" * 501)
        self.write("nic/wide.cc", "x" * 101 + '\nauto s = R"(\n' + "y" * 101 + '\n)";\n')
        self.write("nic/left.cc", "// TO" + "DO later\n// return x + 1;\n// a sentence; fine\n\tint a;\n")
        self.write("nic/words.cc", "int vip_count;\nint pvip;\n// the Upstream\n")
        self.write("perf/bench.cc", "")
        status, output = self.check("sizes.py")
        self.assertEqual(status, 1)
        self.assert_finds(output, "nic/long.cc:502:", "split it")
        self.assert_finds(output, "nic/wide.cc:1:", "wrap it")
        self.assert_finds(output, "nic/left.cc:1:", "do it")
        self.assert_finds(output, "nic/left.cc:2:", "code in a comment")
        self.assert_finds(output, "nic/left.cc:4:", "a tab")
        self.assert_finds(output, "nic/words.cc:1:", "our word is virtual address")
        self.assert_finds(output, "nic/words.cc:3:", "our word is pool or backend")
        self.assert_finds(output, "perf/README.md:1:", "missing")
        self.assertIn("8 findings", output[-2])


class HotSymbols(unittest.TestCase):
    def test_it_knows_what_calls_do(self):
        for symbol, what in [
                ("operator new(unsigned long)", "allocates"), ("malloc", "allocates"),
                ("operator delete(void*, unsigned long)", "allocates"),
                ("pthread_mutex_lock", "locks"), ("__cxa_throw", "throws"),
                ("std::__throw_length_error(char const*)", "throws"), ("snprintf", "prints"),
                ("sendto", "calls the kernel"), ("vtable for sluice::X", "uses run-time types")]:
            self.assertEqual(list(hot_symbols.forbidden({symbol})), [(symbol, what)])
        for symbol in ("memcpy", "sluice::free_slots(int)", "sluice::flow::Table::reader()",
                       "std::__printer", "abort"):
            self.assertEqual(list(hot_symbols.forbidden({symbol})), [], symbol)
        self.assertEqual(list(hot_symbols.forbidden({"fprintf", "abort"})), [])

    def test_it_names_the_function(self):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "hot.cc")
            source.write_text("int* make() { return new int; }\nvoid idle() {}\n")
            subprocess.run(["g++", "-O2", "-c", str(source), "-o", f"{folder}/hot.o"], check=True)
            allow = Path(folder, "allow")
            script = ROOT / "scripts" / "check" / "hot_symbols.py"

            def check(entries):
                allow.write_text(entries)
                return subprocess.run([sys.executable, str(script), "--allow", str(allow),
                                       f"{folder}/hot.o"],
                                      capture_output=True, text=True, check=False)

            found = check("")
            self.assertEqual(found.returncode, 1)
            self.assertIn("make() allocates (operator new(unsigned long))", found.stdout)
            self.assertEqual(check("^make operator.new # because\n").returncode, 0)
            self.assertEqual(check("^idle malloc # nobody does\n^make . # because\n").returncode, 1)
            self.assertIn("# reason", check("^make operator.new\n").stderr)


class Headers(Tree):
    def test_it_finds_a_header_that_needs_another(self):
        self.write("nic/a.cc", '#include "nic/good.h"\n#include "nic/bad.h"\n')
        self.write("nic/good.h", "#pragma once\n#include <string>\n")
        self.write("nic/bad.h", "#pragma once\ninline std::string name;\n")
        self.write("nic/twice.h", "int twice;\n")
        self.write("build/compile_commands.json",
                   f'[{{"directory": "{self.root}/build", "file": "../nic/a.cc", '
                   '"command": "g++ -I.. -std=c++23 -MD -MF a.d -o a.o -c ../nic/a.cc"}]')
        build = ["--build", str(self.root / "build")]
        status, output = self.check("headers.py", *build)
        self.assertEqual(status, 1)
        self.assert_finds(output, "nic/bad.h:1:", "std")
        self.assert_finds(output, "nic/twice.h:1:", "redefinition")
        self.assertIn("2 findings", output[-2])
        self.write("nic/bad.h", "#pragma once\n#include <string>\ninline std::string name;\n")
        self.write("nic/twice.h", "#pragma once\n")
        self.assertEqual(self.check("headers.py", *build)[0], 0)


if __name__ == "__main__":
    unittest.main()
