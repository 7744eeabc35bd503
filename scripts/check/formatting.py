#!/usr/bin/python3
"""The sources are formatted as .clang-format says. To fix: clang-format-19 -i FILE."""

import re
import sys

import common

FINDING = re.compile(r"^(.+?):(\d+):\d+: (?:error|warning): ")


def main():
    parser = common.arguments(__doc__)
    parser.add_argument("--clang-format", default="clang-format-19")
    options = parser.parse_args()
    report, sources = common.Report(), common.files(options.root)

    def check(path):
        return common.run([options.clang_format, "--dry-run", "-Werror", "--ferror-limit=1",
                           "--fno-color-diagnostics", str(path)], cwd=options.root)

    for path, result in zip(sources, common.in_parallel(check, sources)):
        if result.returncode != 0:
            match = FINDING.match(result.stderr)
            report.add(path, match[2] if match else 1,
                       f"not formatted; run: {options.clang_format} -i {path}")
    return report.finish("formatting", len(sources))


if __name__ == "__main__":
    sys.exit(main())
