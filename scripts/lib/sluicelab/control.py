"""Control: a client of sluiced's control socket (JSON-RPC 2.0, one object a line)."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any


class ControlError(Exception):
    """An error answer: code, message and, where the server gave one, data."""

    def __init__(self, error: dict) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.data: Any = error.get("data")


class Control:
    def __init__(self, path: Path | str, timeout_s: float = 30.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")
        self._last_id = 0

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def call(self, method: str, **params: Any) -> Any:
        """The result; ControlError when sluiced refused. Events that come between are skipped."""
        self._last_id += 1
        request = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self.read_message()
            if answer.get("id") != self._last_id:
                continue
            if "error" in answer:
                raise ControlError(answer["error"])
            return answer["result"]

    def read_message(self) -> dict:
        """The next line of the server: an answer, or an event after call("watch")."""
        line = self._lines.readline()
        if not line:
            raise ConnectionError("sluiced closed the control connection")
        return json.loads(line)
