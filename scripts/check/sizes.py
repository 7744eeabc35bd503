#!/usr/bin/python3
"""Sizes and words: file and line length, leftovers, a README in each folder, our vocabulary."""

import re
import sys

import common

FILE_LINES_MAX = 500
LINE_COLUMNS_MAX = 100
TEXT_SUFFIXES = (*common.SOURCE_SUFFIXES, ".py", ".sh", ".build")
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
COMMENTED_CODE = re.compile(r"^\s*//\s*(return\b.*;|(if|for|while) \(.*\) .*[;{]|[\w:.>-]+\(.*\);"
                            r"|(const )?\w+(<.*>)?[&*]? \w+ = .*;)\s*$")
RAW_STRING = re.compile(r'R"(\w*)\(')
# Words for things that have another name here. Whole words of identifiers and comments alike.
OUR_WORD = {
    "vip": "virtual address", "vips": "virtual addresses", "realserver": "backend",
    "upstream": "pool or backend", "frontend": "listener", "virtual_server": "listener",
    "lcore_thread": "worker", "session_table": "conntrack", "blacklist": "deny list",
    "whitelist": "allow list",
}
WORDS = re.compile(r"(?<![a-zA-Z])(" + "|".join(OUR_WORD) + r")(?![a-zA-Z])", re.IGNORECASE)
# Where the words of others are quoted: what kernels, drivers and peers call things.
FOREIGN_WORDS_FINE = {"scripts/check/sizes.py", "tests/style/checks_test.py"}


def outside_raw_strings(text):
    """(line number, line) without the lines of raw string literals, which nobody can wrap."""
    end = None
    for number, line in enumerate(text, 1):
        if end is None:
            match = RAW_STRING.search(line)
            end = f'){match[1]}"' if match else None
            yield number, line
            line = line[match.end():] if match else line
        if end is not None and end in line:
            end = None


def check_file(root, path, report):
    text = common.lines(root, path)
    if path.suffix in common.SOURCE_SUFFIXES and len(text) > FILE_LINES_MAX:
        report.add(path, len(text), f"{len(text)} lines, at most {FILE_LINES_MAX}: split it")
    fine = str(path) in FOREIGN_WORDS_FINE
    if path.suffix in common.SOURCE_SUFFIXES:
        for number, line in outside_raw_strings(text):
            if len(line) > LINE_COLUMNS_MAX:
                report.add(path, number,
                           f"{len(line)} columns, at most {LINE_COLUMNS_MAX}: wrap it")
    for number, line in enumerate(text, 1):
        if "\t" in line:
            report.add(path, number, "a tab: use spaces")
        if fine:
            continue
        if match := LEFTOVER.search(line):
            report.add(path, number, f"{match[1]}: do it, or open an issue and remove the note")
        if path.suffix in common.SOURCE_SUFFIXES and COMMENTED_CODE.match(line):
            report.add(path, number, "looks like code in a comment: delete it, git remembers")
        for match in WORDS.finditer(line):
            ours = OUR_WORD[match[1].lower()]
            report.add(path, number, f'"{match[1]}": our word is {ours}')


def check_readmes(root, report):
    folders = {path.parent for path in common.files(root) if path.parts[0] != "tests"}
    folders |= {folder for folder in map(type(root), ("configs", "scripts", "tests"))
                if (root / folder).is_dir()}
    for folder in sorted(folders):
        if not (root / folder / "README.md").is_file():
            report.add(folder / "README.md", 1,
                       "missing: say in a page what lives here, how data flows through it, and "
                       "where to add what")
    return folders


def main():
    options = common.arguments(__doc__).parse_args()
    report = common.Report()
    paths = common.files(options.root, (*common.SOURCE_FOLDERS, "scripts"), TEXT_SUFFIXES)
    for path in paths:
        check_file(options.root, path, report)
    check_readmes(options.root, report)
    return report.finish("sizes", len(paths))


if __name__ == "__main__":
    sys.exit(main())
