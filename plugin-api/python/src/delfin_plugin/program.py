"""The process of a plugin: answers the calls of the host until it closes the connection.

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
from typing import Any, List, Optional, Tuple, Type, Union

from . import logs
from .calls import Answer, Calls, Received
from .driver import Driver
from .driver_calls import DriverCalls
from .exporter import Exporter
from .exporter_calls import ExporterCalls
from .frames import Connection, FrameError, Message, share
from .outcome import Crashed, Failure, Unsupported

VERSION = [1, 0]

_log = logging.getLogger("delfin_plugin")


#: A class that a plugin offers.
Offered = Union[Type[Exporter[Any]], Type[Driver]]

#: The largest payload that follows its message; a larger one is shared.
_MAX_INLINE = 32 << 10


def run(*offered: Offered) -> None:
    """Runs the process. The plugin offers these exporters and drivers.

    What the process prints goes to the log of the host.
    """
    connection = _take_connection()
    if connection is None:
        sys.exit("this program is for delfin-host, which starts it (see `delfin-host plugins list`)")
    # The host tells the process when it should end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Program(connection, offered).run()
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

    def __init__(self, connection: Connection, offered: Tuple[Offered, ...]) -> None:
        self._connection = connection
        self._queue: queue.Queue[Optional[Received]] = queue.Queue()
        self._broken: Optional[Exception] = None
        exporters = [one for one in offered if issubclass(one, Exporter)]
        drivers = [one for one in offered if issubclass(one, Driver)]
        self._calls: List[Calls] = [
            ExporterCalls(exporters, self._count),
            DriverCalls(drivers, self._count),
        ]

    def run(self) -> None:
        """Returns when the host has closed the connection."""
        logs.install(self._connection.write)
        program = f"delfin-plugin for Python {sys.version_info[0]}.{sys.version_info[1]}"
        self._connection.write({"type": "hello", "protocol": VERSION, "program": program})
        threading.Thread(target=self._read, name="connection", daemon=True).start()
        while True:
            received = self._queue.get()
            if received is None:
                break
            self._on_message(received)
            # The columns keep a mapping. Do not keep the last one while nothing is to do.
            del received
        if self._broken is not None:
            raise self._broken

    def _read(self) -> None:
        last: Optional[threading.Event] = None
        try:
            while True:
                frame = self._connection.read()
                if frame is None:
                    break
                if frame.message["type"] != "cancel":
                    received = Received(frame)
                    last = received.cancelled
                    self._queue.put(received)
                    del frame, received
                elif last is not None:
                    # The host makes one call at a time.
                    last.set()
        except (FrameError, OSError) as error:
            self._broken = error
        finally:
            self._queue.put(None)

    def _on_message(self, received: Received) -> None:
        message = received.message
        if received.name == "hello":
            major = message["protocol"][0]
            if major != VERSION[0]:
                raise FrameError(f"the host speaks version {major} of the protocol")
            return
        known = [calls for calls in self._calls if received.name in calls.NAMES]
        if not known:
            text = f"unknown message `{received.name}`"
            answer: Message = {"type": "unsupported", "message": text}
            if "id" in message:
                answer["id"] = message["id"]
            self._connection.write(answer)
            return
        calls = next((calls for calls in known if calls.has_instance), known[0])
        # What was refused when it was created or opened has nothing to close.
        is_needless = received.name == "close" and not calls.has_instance
        self._answer(message["id"], None if is_needless else _call(calls, received))

    def _answer(self, id: int, answer: Answer) -> None:
        if isinstance(answer, Unsupported):
            self._connection.write({"type": "unsupported", "id": id, "message": answer.message})
        elif isinstance(answer, Failure):
            self._connection.write({"type": "outcome", "id": id, **answer.header()})
        elif answer is None:
            self._connection.write({"type": "outcome", "id": id, "class": "delivered"})
        else:
            self._send_result(id, answer.value, answer.payload)

    def _send_result(self, id: int, value: Any, payload: bytes) -> None:
        message: Message = {"type": "result", "id": id}
        if value is not None:
            message["value"] = value
        if len(payload) <= _MAX_INLINE or not self._connection.is_socket:
            self._connection.write(message, payload)
            return
        descriptor = share(payload)
        try:
            message["shared"] = {"len": len(payload)}
            self._connection.write(message, b"", descriptor)
        finally:
            os.close(descriptor)

    def _count(self, name: str, by: int) -> None:
        self._connection.write({"type": "count", "name": name, "by": by})


def _call(calls: Calls, received: Received) -> Answer:
    name = received.name
    try:
        return calls.call(received)
    except Failure as failure:
        return failure
    except NotImplementedError as error:
        return Unsupported(str(error) or f"`{name}` is not implemented")
    except Exception as error:
        _log.exception("exception in `%s`", name)
        return Crashed(f"exception in `{name}`: {type(error).__name__}: {error}")
