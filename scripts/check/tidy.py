#!/usr/bin/python3
"""clang-tidy over the product's sources and headers, with the checks in .clang-tidy.

Tests are left out: parsing them takes longer than everything else. What passed is remembered in the
build directory until one of its files changes.
"""

import re
import sys

import common

FOLDERS = ("ctrl", "dataplane", "nic")
FINDING = re.compile(r"^(\S+?):(\d+):\d+: (?:warning|error): (.+)$")
# The flags are the build's, which is g++: clang neither knows nor needs all of them.
CLANG = ["-Wno-unknown-warning-option", "-w", "-D_FORTIFY_SOURCE=0"]


def main():
    parser = common.arguments(__doc__, build=True)
    parser.add_argument("--clang-tidy", default="clang-tidy-19")
    options = parser.parse_args()
    root, report = options.root.resolve(), common.Report()
    commands = common.CompileCommands(root, options.build)
    config = (root / ".clang-tidy").read_text()
    stamps = common.Stamps(options.build / "style-tidy", options.clang_tidy + config)

    def check(path):
        flags = commands.flags.get(path)
        if flags is None:
            return f"{path}:1:1: error: no compiler flags known; build it, or remove it"
        key = stamps.key(root, path, flags)
        if stamps.passed(key):
            return ""
        result = common.run([options.clang_tidy, "--quiet", "--use-color=false",
                             f"--header-filter={re.escape(str(root))}/.*", str(root / path), "--",
                             *(f for f in flags if f != "-Werror"), *CLANG], cwd=options.build)
        if result.returncode == 0 and not FINDING.search(result.stdout):
            stamps.store(key)
        return result.stdout

    sources = common.files(root, FOLDERS, (".cc",))
    seen = set()
    for output in common.in_parallel(check, sources):
        for line in output.split("\n"):
            match = FINDING.match(line)
            if match and line not in seen:
                seen.add(line)
                report.add(match[1].removeprefix(f"{root}/"), int(match[2]), match[3])
    return report.finish("tidy", len(sources))


if __name__ == "__main__":
    sys.exit(main())
