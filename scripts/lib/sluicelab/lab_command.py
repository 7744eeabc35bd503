"""The command line of scripts/lab."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from sluicelab import hugepages
from sluicelab.daemon import HUGEPAGES, Sluiced
from sluicelab.lab import Lab
from sluicelab.shell import LabError, need_root
from sluicelab.topology import BACKENDS, ROLES, VIRTUAL_V4, VIRTUAL_V6

_EPILOG = f"""\
namespaces: {", ".join(ROLES)} (named PREFIX-client, ...)
backends:   {", ".join(backend.name for backend in BACKENDS)}
virtual:    {VIRTUAL_V4} and {VIRTUAL_V6}: tcp 80 (web), udp 53 (dns), tcp 9000 (bulk)

examples:
  scripts/lab up --sluiced
  scripts/lab exec client curl -s http://{VIRTUAL_V4}/
  scripts/lab exec node sluice status
  scripts/lab kill blue-1
  scripts/lab down

environment: LAB_PREFIX (default sl) allows several labs at once; LAB_QUEUES (default 1) is the
number of queues of the node's ports; SLUICE_BUILD is the build directory (default build).
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/lab", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="A network of namespaces: clients, two versions of a service, a node.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="build it, start the servers (nothing to do: nothing done)")
    up.add_argument("--sluiced", action="store_true", help="start sluiced in the node too")
    commands.add_parser("down", help="end everything that was started and remove it")
    commands.add_parser("status", help="what runs")
    for name, text in (("kill", "kill a backend's servers (SIGKILL)"),
                       ("start", "start a backend's servers again")):
        commands.add_parser(name, help=text).add_argument("backend")
    execute = commands.add_parser("exec", help="run a command in a namespace")
    execute.add_argument("namespace")
    execute.add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD...")
    return parser


def _up(lab: Lab, with_sluiced: bool) -> None:
    try:
        lab.up()
        if with_sluiced:
            sluiced = Sluiced(lab)
            if sluiced.pid is None:
                hugepages.reserve(HUGEPAGES)
                try:
                    sluiced.start()
                    hugepages.hand_over(sluiced.pid)
                except BaseException:
                    hugepages.release()
                    raise
                sluiced.wait_all_usable()
    except BaseException:
        lab.down()
        raise
    hint = (f"; try: scripts/lab exec client curl -s http://{VIRTUAL_V4}/" if with_sluiced
            else ", without sluiced (scripts/lab up --sluiced)")
    print(f"lab {lab.prefix} is up{hint}")


def _status(lab: Lab) -> int:
    if not lab.is_up():
        print(f"lab {lab.prefix} is down")
        return 1
    print(f"lab {lab.prefix} is up: {lab.queues} queue(s) per port, files in {lab.run_dir}")
    for name in lab.processes.names():
        pid = lab.processes.pid(name)
        print(f"  {name:<16} {'pid ' + str(pid) if pid else 'not running'}")
    return 0


def _execute(lab: Lab, role: str, argv: list[str]) -> int:
    if not argv:
        raise LabError("exec: a command is missing, for example: scripts/lab exec client bash")
    namespace = lab.namespace(role)
    if not lab.is_up():
        raise LabError(f"lab {lab.prefix} is down: run scripts/lab up first")
    os.execvpe("ip", ["ip", "netns", "exec", namespace, *argv], lab.environment())


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        need_root()
        lab = Lab()
        if options.command == "up":
            _up(lab, options.sluiced)
        elif options.command == "down":
            lab.down()
        elif options.command == "status":
            return _status(lab)
        elif options.command == "exec":
            return _execute(lab, options.namespace, options.argv)
        elif not lab.is_up():
            raise LabError(f"lab {lab.prefix} is down: run scripts/lab up first")
        elif options.command == "kill":
            lab.kill_backend(options.backend)
        else:
            lab.start_backend(options.backend)
    except (LabError, OSError, subprocess.SubprocessError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0
