"""A backend that misbehaves as a test tells it to: TCP, HTTP, TLS and UDP on one port."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from pathlib import Path

from sluicelab import namespaces
from sluicelab.lab import Lab

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"is\": \"up\"}\n"


class Responder:
    """Listens at `address`:`port` of a lab namespace until close(); `mode` says what it does:
    ok, busy (503), slow (the body never ends), hang (no answer), rst, silent (UDP)."""

    def __init__(self, lab: Lab, role: str, address: str, port: int,
                 certificate: Path | None = None) -> None:
        self.mode = "ok"
        self.asked: list[float] = []  # when, monotonic
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        with namespaces.entered(lab.namespace(role)):
            self._tcp = socket.create_server((address, port), backlog=64)
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._udp.bind((address, port))
        self._open = True
        for serve in (self._serve_tcp, self._serve_udp):
            threading.Thread(target=serve, daemon=True).start()

    def close(self) -> None:
        self._open = False
        for end in (self._tcp, self._udp):
            try:
                end.shutdown(socket.SHUT_RDWR)  # wakes whoever waits in it
            except OSError:
                pass
            end.close()

    def _serve_tcp(self) -> None:
        while self._open:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            self.asked.append(time.monotonic())
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            connection.recv(4096)
            if self.mode == "rst":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack("ii", 1, 0))
            elif self.mode == "busy":
                connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
            elif self.mode == "slow":
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nwait")
                connection.recv(1)
            elif self.mode == "hang":
                connection.recv(1)
            else:
                connection.sendall(OK)
        except OSError:
            pass  # the probe has gone: what most of these modes provoke
        finally:
            connection.close()

    def _serve_udp(self) -> None:
        while self._open:
            try:
                data, sender = self._udp.recvfrom(4096)
                if self.mode != "silent" and sender is not None:  # None: shut down
                    self._udp.sendto(b"PONG " + data, sender)
            except OSError:
                return
