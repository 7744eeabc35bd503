"""Network namespaces by name: run `ip` in them, run programs in them, open sockets in them."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from sluicelab.shell import LabError, run

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def exists(name: str) -> bool:
    return Path("/run/netns", name).exists()


def create(name: str) -> None:
    run("ip", "netns", "add", name)


def delete(name: str) -> None:
    if exists(name):
        run("ip", "netns", "del", name)


def ip(name: str, *lines: str) -> None:
    """Runs lines of `ip -batch` in the namespace."""
    run("ip", "-n", name, "-batch", "-", stdin="\n".join(lines) + "\n")


def set_sysctls(name: str, values: dict[str, object]) -> None:
    settings = [f"{key}={value}" for key, value in values.items()]
    run("ip", "netns", "exec", name, "sysctl", "-q", "-w", *settings)


def software_checksums(name: str, *interfaces: str) -> None:
    """veth hands partial checksums and giant segments to its peer; a NIC never would."""
    for interface in interfaces:
        run("ip", "netns", "exec", name, "ethtool", "-K", interface,
            "tx", "off", "tso", "off", "gso", "off", "gro", "off")


@contextlib.contextmanager
def entered(name: str) -> Iterator[None]:
    """Within the block this *thread* is in the namespace; sockets opened here stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(there, name)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _setns(home, "home")
    finally:
        os.close(home)


def _setns(fd: int, name: str) -> None:
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        raise LabError(f"setns {name}: {os.strerror(ctypes.get_errno())}")
