#!/usr/bin/python3
"""Who may include whom. The table below is the layer architecture: it is the place to change it."""

import re
import sys
from pathlib import Path

import common

BASE, WIRE, MODEL = "dataplane/base", "dataplane/wire", "dataplane/model"
FLOW, FORWARD, NIC = "dataplane/flow", "dataplane/forward", "nic"
CONFIG, COMPILE, RUNTIME = "ctrl/config", "ctrl/compile", "ctrl/runtime"
AUDIT, GOVERN = "ctrl/audit", "ctrl/govern"
UNIQUE_FD = "ctrl/control/unique_fd.h"  # stands alone
HEALTH = "ctrl/health"
# All that ctrl sees of the packet side. No DPDK header may come in through these.
PACKET_SIDE = ("nic/port_set.h", "dataplane/engine.h", "dataplane/worker_counters.h")

# folder → what its files may include: folders (their own files, not their subfolders) or single files.
MAY_SEE = {
    BASE: (),
    WIRE: (BASE,),
    MODEL: (BASE,),
    NIC: (BASE,),
    FLOW: (BASE, WIRE, MODEL),
    FORWARD: (BASE, WIRE, MODEL, FLOW),
    "dataplane": (BASE, WIRE, MODEL, FLOW, FORWARD, NIC),
    CONFIG: (BASE, WIRE, MODEL),
    AUDIT: (BASE, UNIQUE_FD),
    GOVERN: (BASE, WIRE, MODEL, CONFIG, AUDIT),
    COMPILE: (BASE, WIRE, MODEL, CONFIG),
    RUNTIME: (BASE, WIRE, MODEL, CONFIG, COMPILE, *PACKET_SIDE),
    HEALTH: (BASE, MODEL, CONFIG, COMPILE, RUNTIME),
    "ctrl/control": (BASE, WIRE, MODEL, CONFIG, COMPILE, RUNTIME, HEALTH, AUDIT, GOVERN,
                     *PACKET_SIDE),
    "ctrl/cli": (BASE, CONFIG, AUDIT),
    "perf": (BASE, WIRE, MODEL, FLOW, FORWARD, NIC, "dataplane", CONFIG, COMPILE, RUNTIME, HEALTH),
    # Tests of folder X see what X sees and X; these see more.
    "tests/fuzz": (BASE, WIRE, MODEL, FLOW, FORWARD, "dataplane", CONFIG, COMPILE, HEALTH,
                   "ctrl/control"),
    "tests/dataplane/forward": ("dataplane", "tests/dataplane"),  # golden packets: whole pipeline
    "tests/ctrl/control": (CONFIG, COMPILE, RUNTIME, HEALTH, AUDIT, GOVERN),
}
DPDK = re.compile(r"^(rte_|ethdev_|eal_|cmdline)")
DPDK_FOLDERS = {"nic", "dataplane", "tests/nic", "tests/dataplane", "perf", "tests/perf"}


def visible_from(folder):
    """The folders and files that `folder` may include; None for a folder that nobody declared."""
    if folder in MAY_SEE and not folder.startswith("tests/"):
        return {folder, *MAY_SEE[folder]}
    if folder.startswith("tests/") or folder == "tests":
        tested = folder.removeprefix("tests/")
        seen = {folder, "tests", *MAY_SEE.get(folder, ())}
        if tested in MAY_SEE:
            seen |= {tested, *MAY_SEE[tested]}
        # Helpers of lower layers' tests may be shared: tests/Y for every Y that is visible.
        return seen | {f"tests/{name}" for name in seen if not name.startswith("tests")}
    return None


def check_include(root, folder, seen, text, is_system):
    """What is wrong with one #include; None when nothing is."""
    if is_system or DPDK.match(text):
        if DPDK.match(text) and folder not in DPDK_FOLDERS:
            return (f"<{text}> is DPDK's: only {', '.join(sorted(DPDK_FOLDERS))} may see it; "
                    "pass plain values instead")
        return None
    if not (root / text).is_file():
        return f'"{text}" is not a path from the root of the tree; write it from there'
    if str(Path(text).parent) in seen or text in seen:
        return None
    return (f'"{text}": {folder} may not see {Path(text).parent}; it sees '
            f"{', '.join(sorted(seen - {folder}))} (scripts/check/layers.py)")


def main():
    options = common.arguments(__doc__).parse_args()
    report, sources = common.Report(), common.files(options.root)
    for path in sources:
        folder = str(path.parent)
        seen = visible_from(folder)
        if seen is None:
            report.add(path, 1, f"folder {folder} has no layer; add it to MAY_SEE in layers.py")
            continue
        for number, text, is_system in common.includes(options.root, path):
            if reason := check_include(options.root, folder, seen, text, is_system):
                report.add(path, number, reason)
    for header in PACKET_SIDE:
        for part in common.include_closure(options.root, Path(header)):
            for number, text, _ in common.includes(options.root, part):
                if DPDK.match(text):
                    report.add(part, number, f"<{text}> reaches ctrl through {header}; keep it out")
    return report.finish("layers", len(sources))


if __name__ == "__main__":
    sys.exit(main())
