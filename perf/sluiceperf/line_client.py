"""The other end of perf/line_server.h: commands in, a line of JSON out for each."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

from sluicelab.shell import LabError


def ask(process: subprocess.Popen, command: str, who: str, last_words: Callable[[], str]) -> dict:
    """The answer of `who`; LabError when it refuses, or has ended."""
    process.stdin.write(command + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise LabError(f"{who} ended: {last_words()}")
    answer = json.loads(line)
    if "error" in answer:
        raise LabError(f"{who}: {answer['error']}")
    return answer
