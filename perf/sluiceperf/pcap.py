"""Capture files of established traffic, for the pcap devices that every DPDK program has.

`client_frames` is what clients send; what a device under test sends to the backends for it goes
through `answers`, and is what the backends send. Classic pcap, microseconds, Ethernet.
"""

from __future__ import annotations

import struct
from pathlib import Path

from sluicelab.shell import LabError

from .source import Traffic

MAGIC = 0xA1B2C3D4
SNAP_BYTES_MAX = 65535
LINK_ETHERNET = 1
FILE_HEADER = struct.Struct("=IHHiIII")
RECORD_HEADER = struct.Struct("=IIII")

FRONT_MAC, CLIENT_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
LISTENER_V4 = bytes((10, 0, 0, 100))
LISTENER_V6 = bytes.fromhex("fd000001000000000000000000000100")
CLIENT_NET_V6 = bytes.fromhex("fd000009") + bytes(8)
LISTENER_PORT = 1000
UDP = 17
IMIX = (64,) * 7 + (570,) * 4 + (1500,)
# Client ports from 1024 up, as many as one address has before the next one is used.
PORTS_PER_CLIENT = 256


def write(path: Path, frames: list[bytes]) -> None:
    with open(path, "wb") as file:
        file.write(FILE_HEADER.pack(MAGIC, 2, 4, 0, 0, SNAP_BYTES_MAX, LINK_ETHERNET))
        for frame in frames:
            file.write(RECORD_HEADER.pack(0, 0, len(frame), len(frame)) + frame)


def read(path: Path) -> list[bytes]:
    """Frames of a file in this machine's byte order; microseconds or nanoseconds."""
    data = path.read_bytes()
    if len(data) < FILE_HEADER.size or FILE_HEADER.unpack_from(data)[0] not in (MAGIC, 0xA1B23C4D):
        raise LabError(f"{path} is not a pcap file")
    frames, at = [], FILE_HEADER.size
    while at < len(data):
        if at + RECORD_HEADER.size > len(data):
            raise LabError(f"{path} ends within a record")
        _, _, kept, sent = RECORD_HEADER.unpack_from(data, at)
        at += RECORD_HEADER.size
        if kept != sent or at + kept > len(data):
            raise LabError(f"{path}: frame {len(frames) + 1} is cut short")
        frames.append(data[at:at + kept])
        at += kept
    return frames


def checksum(data: bytes) -> int:
    """RFC 1071, as it goes into the header."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_frame(family: str, client: int, port: int, bytes_: int) -> bytes:
    """A whole frame of client number `client` to the listener, payload of zeros."""
    headers = 14 + (20 if family == "4" else 40) + 8
    payload = bytes(max(0, bytes_ - headers))
    length = 8 + len(payload)
    if family == "4":
        addresses = struct.pack("!I", 11 << 24 | client) + LISTENER_V4
        start = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, UDP, 0)
        ip = start[:10] + struct.pack("!H", checksum(start + addresses)) + addresses
        kind = 0x0800
    else:
        addresses = CLIENT_NET_V6 + struct.pack("!I", client) + LISTENER_V6
        ip = struct.pack("!IHBB", 6 << 28, length, UDP, 64) + addresses
        kind = 0x86DD
    udp = struct.pack("!HHHH", port, LISTENER_PORT, length, 0)
    pseudo = addresses + struct.pack("!II", length, UDP)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp + payload) or 0xFFFF)
    return FRONT_MAC + CLIENT_MAC + struct.pack("!H", kind) + ip + udp + payload


def client_frames(traffic: Traffic) -> list[bytes]:
    """One frame of each flow, in the order of the flows."""
    if traffic.proto != "udp" or traffic.zipf or traffic.listeners != 1:
        raise ValueError("capture files hold UDP to one listener, every flow once")
    sizes = IMIX if traffic.bytes == "imix" else (int(traffic.bytes),)
    return [udp_frame(traffic.family, 1 + flow // PORTS_PER_CLIENT, 1024 + flow % PORTS_PER_CLIENT,
                      sizes[flow % len(sizes)]) for flow in range(traffic.flows)]


def answers(frames: list[bytes]) -> list[bytes]:
    """What backends answer: source and destination change places on every layer, which leaves
    every checksum as it was."""
    return [answer(frame) for frame in frames]


def answer(frame: bytes) -> bytes:
    kind = frame[12:14]
    if kind == b"\x08\x00" and frame[14] == 0x45:
        at, size = 26, 4
    elif kind == b"\x86\xdd":
        at, size = 22, 16
    else:
        raise ValueError(f"neither IPv4 without options nor IPv6: {frame[:16].hex()}")
    l4 = at + 2 * size
    return (frame[6:12] + frame[:6] + frame[12:at] + frame[at + size:l4] + frame[at:at + size]
            + frame[l4 + 2:l4 + 4] + frame[l4:l4 + 2] + frame[l4 + 4:])
