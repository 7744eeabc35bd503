"""scripts/demo after set-up and build: lab, sluiced, load, steps, and always the cleanup."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

from sluicelab import hugepages
from sluicelab.daemon import HUGEPAGES, Sluiced
from sluicelab.demo_load import DemoLoad
from sluicelab.demo_steps import Demo
from sluicelab.lab import Lab
from sluicelab.screen import Screen, split_bar
from sluicelab.shell import LabError, exit_on_signals, uninterrupted
from sluicelab.topology import VIRTUAL_V4, VIRTUAL_V6

SECONDS_PER_STEP = 4.0

_TRY = f"""
Sluice stays up. In another terminal, as root, from this folder:

  scripts/lab exec node sluice status
  scripts/lab exec node sluice weight web web-v1=80 web-v2=20 --reason "my canary"
  scripts/lab exec node sluice switch web --to web-v2 --existing drain:5s
  scripts/lab exec node sluice verify web
  scripts/lab exec node sluice history
  scripts/lab exec node sluice explain tcp 10.0.0.10:12345 {VIRTUAL_V4}:80
  scripts/lab exec node sluice flows --limit 5
  scripts/lab exec node curl -s http://127.0.0.1:9900/metrics
  scripts/lab exec client curl -si http://{VIRTUAL_V4}/
  scripts/lab exec client curl -s 'http://[{VIRTUAL_V6}]/'
  scripts/lab kill blue-1        (and: scripts/lab start blue-1)

The line below shows who answers the clients right now. Ctrl-C ends everything.
"""


@contextlib.contextmanager
def running_lab(screen: Screen) -> Iterator[Sluiced]:
    """Lab and sluiced; everything is gone afterwards, whatever happened."""
    lab = Lab()
    if lab.run_dir.exists() and lab.owner_alive() is not False:
        raise LabError(f"lab {lab.prefix} is up already: end the other demo or run "
                       "scripts/lab down; LAB_PREFIX=NAME gives this one another name")
    try:
        lab.down()
        lab.up()
        lab.claim()
        screen.line(f"demo: lab {lab.prefix} is up: clients, blue (v1), green (v2) behind a router")
        hugepages.reserve(HUGEPAGES)
        sluiced = Sluiced(lab)
        sluiced.start()
        sluiced.wait_all_usable()
        status = sluiced.status()
        screen.line(f"demo: sluiced {status['version']} runs: {len(status['workers'])} worker(s), "
                    f"{len(status['ports'])} AF_XDP ports, every backend is up")
        yield sluiced
    finally:
        uninterrupted()
        lab.down()
        hugepages.release()
        screen.line("demo: cleaned up")


@contextlib.contextmanager
def load(lab: Lab, kept: int, parallel: int, pause_ms: int) -> Iterator[DemoLoad]:
    clients = DemoLoad(lab, kept, parallel, pause_ms)
    try:
        yield clients
    finally:
        clients.stop()


def stay(screen: Screen, clients: DemoLoad) -> None:
    """Until Ctrl-C or a signal."""
    screen.line(_TRY)
    while True:
        recent = clients.recent()
        blue, green = recent.stacks["blue"], recent.stacks["green"]
        screen.live(f"[{split_bar(blue, green)}]  blue {blue * 10:,}/s  green {green * 10:,}/s  "
                    f"failed {recent.failed}")
        clients.total()  # fails when the clients ended
        time.sleep(0.2)


def main(arguments: list[str]) -> int:
    screen = Screen()
    exit_on_signals()
    good = False
    try:
        with running_lab(screen) as sluiced, \
                load(sluiced.lab, kept=0, parallel=8, pause_ms=10) as clients, \
                load(sluiced.lab, kept=4, parallel=0, pause_ms=20) as kept:
            demo = Demo(sluiced, clients, kept, screen, SECONDS_PER_STEP)
            demo.run()
            good = demo.summary()
            if "--once" not in arguments:
                stay(screen, clients)
    except KeyboardInterrupt:
        pass
    except (LabError, OSError, subprocess.SubprocessError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
