"""A minimal host: starts the command of a plugin and speaks the protocol."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from ..arrow import Payload
from ..batch import Batch
from ..frames import Connection, Frame, FrameError, Message, map_shared, share
from ..manifest import Manifest

#: The longest time that the suite waits for an answer, in seconds.
TIMEOUT = 120


class Failed(AssertionError):
    """A check has failed."""


class Outcome:
    """The answer to a call."""

    def __init__(self, message: Message) -> None:
        self.kind: str = str(message.get("class", message["type"]))
        self.detail: int = message.get("detail", 0)
        self.message: str = message.get("message", "")
        #: What a driver has returned, unless it is a batch.
        self.value: Any = message.get("value")

    def __str__(self) -> str:
        return f"`{self.kind}` ({self.message})" if self.message else f"`{self.kind}`"


class Process:
    """A process of the plugin. Its connection is closed at the end of a `with` block."""

    def __init__(self, manifest: Manifest) -> None:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", TIMEOUT, 0))
        self._is_stdio = manifest.transport == "stdio"
        self._output = tempfile.TemporaryFile()
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            manifest.command,
            cwd=manifest.folder,
            # As the host does: the folder stays as it is.
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=theirs.fileno(),
            stdout=theirs.fileno() if self._is_stdio else self._output.fileno(),
            stderr=self._output.fileno(),
        )
        theirs.close()
        descriptor = ours.detach()
        self._connection = Connection(descriptor, descriptor, is_socket=True)
        self._last = 0
        self._folders: List[tempfile.TemporaryDirectory[str]] = []
        #: The answer to the last call, and its payload.
        self.answer: Message = {}
        self.payload: Payload = b""

    def __enter__(self) -> Process:
        self._write({"type": "hello", "protocol": [1, 0], "host": "delfin_plugin.test"})
        hello = self._read("`hello`").message
        if hello["type"] != "hello" or hello.get("protocol", [0])[0] != 1:
            raise Failed(f"the first message is not `hello` of protocol 1: {hello}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()
        self._output.close()
        for folder in self._folders:
            folder.cleanup()

    @property
    def pid(self) -> int:
        return self._process.pid

    def create(self, exporter: str, settings: Dict[str, Any]) -> Outcome:
        folder = tempfile.TemporaryDirectory()
        self._folders.append(folder)
        return self.call(
            "create",
            exporter=exporter,
            name="test",
            instance=0,
            state_dir=folder.name,
            level="trace",
            config=settings,
        )

    def open_driver(self, vendor: str, model: str, options: Dict[str, Any]) -> Outcome:
        """Opens the driver of a storage."""
        folder = tempfile.TemporaryDirectory()
        self._folders.append(folder)
        return self.call(
            "open",
            vendor=vendor,
            model=model,
            storage_id="test",
            state_dir=folder.name,
            level="trace",
            options=options,
        )

    def export(
        self,
        batch: Batch,
        seconds: float = TIMEOUT,
        inline: bool = False,
        rows: Optional[Tuple[int, int]] = None,
    ) -> Outcome:
        """Sends a batch, or some of its rows: the first one, and how many."""
        if inline or self._is_stdio:
            message = _export_message(batch, rows)
            return self.call("export", seconds, batch.payload, **message)
        descriptor = share(batch.payload)
        try:
            return self.export_shared(batch, descriptor, seconds, rows)
        finally:
            os.close(descriptor)

    def export_shared(
        self,
        batch: Batch,
        descriptor: int,
        seconds: float = TIMEOUT,
        rows: Optional[Tuple[int, int]] = None,
    ) -> Outcome:
        """Sends a batch whose payload is already shared."""
        message = _export_message(batch, rows)
        message["shared"] = {"len": len(batch.payload)}
        return self.call("export", seconds, descriptor=descriptor, **message)

    def call(
        self,
        kind: str,
        /,
        seconds: float = TIMEOUT,
        payload: Payload = b"",
        descriptor: Optional[int] = None,
        **fields: Any,
    ) -> Outcome:
        """Makes a call and waits for its outcome."""
        self._last += 1
        message = {"type": kind, "id": self._last, "deadline_ms": int(seconds * 1000), **fields}
        self._write(message, payload, descriptor)
        while True:
            frame = self._read(f"`{kind}`")
            answer = frame.message
            answers = ("outcome", "result", "unsupported")
            if answer["type"] in answers and answer.get("id") == self._last:
                self.answer, self.payload = answer, _payload(frame)
                return Outcome(answer)
            if answer["type"] not in ("log", "count", "unsupported"):
                raise Failed(f"an answer to `{kind}` does not belong there: {answer}")

    def cancel(self) -> None:
        self._write({"type": "cancel"})

    def exit_code(self) -> int:
        """Closes the connection, and waits for the process to exit."""
        self._connection.shutdown()
        try:
            return self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Failed("does not exit after the host has closed the connection") from None

    def _write(
        self,
        message: Message,
        payload: Payload = b"",
        descriptor: Optional[int] = None,
    ) -> None:
        try:
            self._connection.write(message, payload, descriptor)
        except OSError:
            raise self._ended(f"`{message['type']}`") from None

    def _read(self, what: str) -> Frame:
        try:
            frame = self._connection.read()
        except BlockingIOError:
            raise Failed(f"{what} is not answered within {TIMEOUT} s") from None
        except ConnectionResetError:
            raise self._ended(what) from None
        except FrameError as error:
            raise Failed(f"the answer to {what} is not a frame: {error}") from None
        if frame is None:
            raise self._ended(what)
        return frame

    def _ended(self, what: str) -> Failed:
        try:
            code = f"exit code {self._process.wait(5)}"
        except subprocess.TimeoutExpired:
            code = "it still runs"
        self._output.seek(0)
        output = self._output.read().decode("utf-8", "replace").strip()
        return Failed(f"the connection ended in {what} ({code}); output: {output or 'none'}")


def _payload(frame: Frame) -> Payload:
    shared = frame.message.get("shared")
    if shared is None:
        return frame.payload
    if frame.descriptor is None:
        raise Failed("the descriptor of a shared payload is missing")
    return map_shared(frame.descriptor, shared["len"])


def _export_message(batch: Batch, rows: Optional[Tuple[int, int]]) -> Message:
    count = rows[1] if rows else batch.rows
    part = {"batch_id": "01980000-0000-7000-8000-000000000001", "first_row": 0, "rows": count}
    message: Message = {"attempt": 1, "origin": "ingest"}
    message["parts"] = [{**part, "accepted_ms": 1_700_000_000_000}]
    if rows:
        message["rows"] = list(rows)
    return message
