#!/usr/bin/python3
"""Every header compiles alone, with the flags of a source that includes it.

A header that some source includes first was compiled alone by the build already; the others are
compiled here. What passed is remembered in the build directory until one of its files changes.
"""

import sys
import tempfile
from pathlib import Path

import common


def main():
    parser = common.arguments(__doc__, build=True)
    parser.add_argument("--compiler", default="g++")
    options = parser.parse_args()
    root, report = options.root.resolve(), common.Report()
    commands = common.CompileCommands(root, options.build)
    stamps = common.Stamps(options.build / "style-headers", options.compiler)

    def check(path):
        flags = commands.for_header(path)
        key = stamps.key(root, path, flags)
        if stamps.passed(key):
            return None
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch, "alone.cc")
            # Twice: a header without #pragma once is found as well.
            source.write_text(f'#include "{path}"\n#include "{path}"\n')
            # -O0 last: only the front end matters here.
            result = common.run([options.compiler, *flags, "-fdiagnostics-color=never", "-O0",
                                 "-fsyntax-only", str(source)], cwd=options.build)
        if result.returncode == 0:
            stamps.store(key)
            return None
        return next((line for line in result.stderr.split("\n") if "error" in line), result.stderr)

    def included_first(source):
        return next((Path(text) for _, text, _ in common.includes(root, source)), None)

    proven = {included_first(source) for source in commands.flags}
    headers = common.files(root, suffixes=(".h",))
    commands.for_header(headers[0])  # looks through the tree once, before the threads do
    rest = [path for path in headers if path not in proven]
    for path, error in zip(rest, common.in_parallel(check, rest)):
        if error:
            report.add(path, 1, f"does not compile alone; let it include what it uses: {error}")
    return report.finish("headers", len(headers))


if __name__ == "__main__":
    sys.exit(main())
