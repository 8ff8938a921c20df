"""The process of an exporter: answers the calls of the host until it closes the connection.

The main thread makes the calls. Another thread reads the connection, so that a call can be
cancelled and the host never waits to send.
"""

from __future__ import annotations

import io
import logging
import os
import queue
import signal
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple, Type

from . import logs, settings
from .batch import Batch
from .call import Call, Part
from .exporter import Exporter, Host
from .frames import Connection, Frame, FrameError, Message, map_shared
from .outcome import Crashed, Failure, Misconfigured, Outcome, Retry

VERSION = [1, 0]

_log = logging.getLogger("delfin_plugin")


def run(*exporters: Type[Exporter[Any]]) -> None:
    """Runs the process. The plugin offers these exporters.

    What the process prints goes to the log of the host.
    """
    connection = _take_connection()
    if connection is None:
        sys.exit("this program is for delfin-host, which starts it (see `delfin-host plugins list`)")
    # The host tells the process when it should end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Program(connection, exporters).run()
    except FrameError as error:
        sys.exit(f"the connection to the host failed: {error}")
    except (BrokenPipeError, ConnectionResetError):
        # The host has ended.
        pass


def _take_connection() -> Optional[Connection]:
    """Takes the connection from the standard descriptors, so that prints cannot disturb it."""
    mode = os.fstat(0).st_mode
    is_socket = stat.S_ISSOCK(mode)
    if not is_socket and not stat.S_ISFIFO(mode):
        return None
    input = os.dup(0)
    output = input if is_socket else os.dup(1)
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    return Connection(input, output, is_socket)


class Program:
    """Answers the calls of one connection."""

    def __init__(self, connection: Connection, exporters: Tuple[Type[Exporter[Any]], ...]) -> None:
        self._connection = connection
        self._offered = {exporter.NAME: exporter for exporter in exporters}
        self._exporter: Optional[Exporter[Any]] = None
        self._frames: queue.Queue[Optional[Tuple[Frame, float]]] = queue.Queue()
        self._cancelled = threading.Event()
        self._broken: Optional[Exception] = None

    def run(self) -> None:
        """Returns when the host has closed the connection."""
        logs.install(self._connection.write)
        program = f"delfin-plugin for Python {sys.version_info[0]}.{sys.version_info[1]}"
        self._connection.write({"type": "hello", "protocol": VERSION, "program": program})
        threading.Thread(target=self._read, name="connection", daemon=True).start()
        while True:
            received = self._frames.get()
            if received is None:
                break
            self._on_frame(*received)
            # The columns keep a mapping. Do not keep the last one while nothing is to do.
            del received
        if self._broken is not None:
            raise self._broken

    def _read(self) -> None:
        try:
            while True:
                frame = self._connection.read()
                if frame is None:
                    break
                if frame.message["type"] == "cancel":
                    self._cancelled.set()
                else:
                    self._frames.put((frame, time.monotonic()))
        except (FrameError, OSError) as error:
            self._broken = error
        finally:
            self._frames.put(None)

    def _on_frame(self, frame: Frame, at: float) -> None:
        message = frame.message
        kind = message["type"]
        if kind == "hello":
            major = message["protocol"][0]
            if major != VERSION[0]:
                raise FrameError(f"the host speaks version {major} of the protocol")
            return
        function = self._functions().get(kind)
        if function is None:
            answer: Message = {"type": "unsupported", "message": f"unknown message `{kind}`"}
            if "id" in message:
                answer["id"] = message["id"]
        else:
            outcome = self._call(kind, lambda: function(frame, at))
            header = {"class": "delivered"} if outcome is None else outcome.header()
            answer = {"type": "outcome", "id": message["id"], **header}
        self._connection.write(answer)

    def _functions(self) -> Dict[str, Callable[[Frame, float], Outcome]]:
        return {
            "check": lambda frame, at: self._check(frame.message)[2],
            "create": self._create,
            "export": self._export,
            "flush": lambda frame, at: self._instance().flush(self._context(frame.message, at)),
            "health": lambda frame, at: self._instance().health(self._context(frame.message, at)),
            "tick": lambda frame, at: self._instance().tick(self._context(frame.message, at)),
            "close": lambda frame, at: self._instance().close(self._context(frame.message, at)),
        }

    def _call(self, name: str, function: Callable[[], Outcome]) -> Outcome:
        try:
            outcome = function()
        except Failure as failure:
            outcome = failure
        except Exception as error:
            _log.exception("exception in `%s`", name)
            outcome = Crashed(f"exception in `{name}`: {type(error).__name__}: {error}")
        if outcome is not None and not isinstance(outcome, Failure):
            outcome = Crashed(f"`{name}` returned {outcome!r}, not None or a Failure")
        return outcome

    def _check(self, message: Message) -> Tuple[Optional[Type[Exporter[Any]]], Any, Outcome]:
        """The class of an exporter and its settings, or why they are wrong."""
        exporter = self._offered.get(message["exporter"])
        if exporter is None:
            offered = ", ".join(f"`{name}`" for name in self._offered)
            failure = Misconfigured(
                f"the program does not offer the exporter `{message['exporter']}` "
                f"(it offers {offered}; correct `plugin.toml`)"
            )
            return None, None, failure
        try:
            return exporter, settings.read(exporter.SETTINGS, message["config"]), None
        except settings.SettingsError as error:
            return None, None, Misconfigured(error)

    def _create(self, frame: Frame, at: float) -> Outcome:
        message = frame.message
        logs.set_level(message["level"])
        exporter, values, failure = self._check(message)
        if exporter is None:
            return failure
        host = Host(
            name=message["name"],
            state_dir=Path(message["state_dir"]),
            instance=message.get("instance", 0),
            count=self._count,
        )
        self._exporter = exporter(values, host)
        return None

    def _export(self, frame: Frame, at: float) -> Outcome:
        exporter = self._instance()
        try:
            batch = self._batch(exporter.BATCH, frame, at)
        except (FrameError, OSError, ValueError) as error:
            return Retry(f"cannot read the rows: {error}")
        outcome: Outcome = exporter.export(batch)
        return outcome

    def _batch(self, batch: Type[Batch], frame: Frame, at: float) -> Batch:
        message, payload = frame.message, frame.payload
        if "shared" in message:
            if frame.descriptor is None:
                raise FrameError("the descriptor of a shared payload is missing")
            payload = map_shared(frame.descriptor, message["shared"]["len"])
        rows = message.get("rows")
        return batch(payload, self._context(message, at), (rows[0], rows[1]) if rows else None)

    def _context(self, message: Message, at: float) -> Call:
        elapsed = time.monotonic() - at
        return Call(
            seconds=message["deadline_ms"] / 1000 - elapsed,
            attempt=message.get("attempt", 1),
            origin=message.get("origin", ""),
            parts=_parts(message.get("parts", [])),
            cancelled=self._cancelled,
        )

    def _instance(self) -> Exporter[Any]:
        if self._exporter is None:
            raise RuntimeError("there is no instance")
        return self._exporter

    def _count(self, name: str, by: int) -> None:
        self._connection.write({"type": "count", "name": name, "by": by})


def _parts(parts: List[Dict[str, Any]]) -> List[Part]:
    return [
        Part(
            batch_id=part["batch_id"],
            first_row=part["first_row"],
            rows=part["rows"],
            accepted_ms=part["accepted_ms"],
            storage_id=part.get("storage_id"),
            complete=part.get("complete", False),
        )
        for part in parts
    ]
