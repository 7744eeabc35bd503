#!/usr/bin/python3
"""The archives of the packet path call nothing that allocates, locks, throws or prints.

Looks at every call in the machine code (objdump), so a finding names the function that makes it.
Exceptions stand in hot_symbols.allow, each with its reason. Only meaningful on a release build.
"""

import argparse
import re
import sys
from pathlib import Path

import common

FORBIDDEN = {
    "allocates": r"operator (new|delete).*|malloc|calloc|realloc|free|posix_memalign|aligned_alloc",
    "locks": r"pthread_\w+|sem_\w+|std::(mutex|condition_variable).*|__cxa_guard_\w+",
    "throws": r"__cxa_\w*throw|__cxa_allocate_exception|std::__throw_\w+.*|_Unwind_Resume",
    "prints": r"(v?(f|s|sn|d)?printf|f?put[sc]|perror|__(v?f?s?n?printf|vfprintf)_chk)|std::cout.*",
    "calls the kernel": r"syscall|read|write|sendto?|recv(from|msg)?|ioctl|mmap|munmap|open(at)?|poll",
    "uses run-time types": r"(vtable|typeinfo).* for .*|__dynamic_cast|__cxa_pure_virtual",
}
FORBIDDEN = {what: re.compile(rf"^({pattern})(\(|$)") for what, pattern in FORBIDDEN.items()}
MEMBER = re.compile(r"^(\S+?):\s+file format")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
RELOCATION = re.compile(r"R_X86_64_\w+\s+(.+?)([-+]0x[0-9a-f]+)?$")


def calls(archive):
    """{(source, calling function): the symbols it refers to}, demangled."""
    found = {}
    text = common.run(["objdump", "-drwC", "--no-show-raw-insn", str(archive)])
    if text.returncode != 0:
        raise SystemExit(f"{archive}: {text.stderr.strip()}")
    member = function = ""
    for line in text.stdout.split("\n"):
        if match := MEMBER.match(line):
            member = Path(match[1]).name.removesuffix(".o")
        elif match := FUNCTION.match(line):
            function = match[1]
            found[member, function] = set()
        elif match := RELOCATION.search(line):
            symbol = match[1].strip().split("@")[0]
            found[member, function].add(symbol)
    if not found:
        raise SystemExit(f"{archive}: no code in it; is it built?")
    return found


def forbidden(symbols):
    """(symbol, what its call does that the packet path must not) of one function."""
    for symbol in sorted(symbols):
        what = next((what for what, pattern in FORBIDDEN.items() if pattern.match(symbol)), None)
        # SLUICE_ASSERT, inlined: prints its last words and aborts.
        if what and not (what == "prints" and "abort" in symbols):
            yield symbol, what


def read_allowed(path):
    """[(function pattern, symbol pattern, line number)]; a line without a reason is an error."""
    allowed = []
    for number, line in enumerate(path.read_text().split("\n"), 1):
        entry, _, reason = line.partition("#")
        if not entry.strip():
            continue
        words = entry.split()
        if len(words) != 2 or not reason.strip():
            raise SystemExit(f"{path}:{number}: write FUNCTION-REGEX SYMBOL-REGEX # reason")
        allowed.append((re.compile(words[0]), re.compile(words[1]), number))
    return allowed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--allow", type=Path, default=Path(__file__).with_suffix(".allow"))
    parser.add_argument("archives", nargs="+", type=Path)
    options = parser.parse_args()
    report, allowed, used = common.Report(), read_allowed(options.allow), set()
    for archive in options.archives:
        for (source, function), symbols in calls(archive).items():
            for symbol, what in forbidden(symbols):
                entries = {number for caller, callee, number in allowed
                           if caller.search(function) and callee.search(symbol)}
                used |= entries
                if not entries:
                    report.add(f"{archive.name}({source})", 0,
                               f"{function} {what} ({symbol}): move it off the packet path, or "
                               f"give the reason in {options.allow.name}")
    for _, _, number in allowed:
        if number not in used:
            report.add(options.allow, number, "allows what nobody does any more; remove the line")
    return report.finish("hot symbols", len(options.archives))


if __name__ == "__main__":
    sys.exit(main())
