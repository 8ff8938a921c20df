"""Frames of the protocol, over a Unix stream socket or over two pipes.

Promises: a reader allocates at most a small multiple of what has arrived; it never reads past the
end of a frame; a shared payload is mapped only after its seals and its size were checked.
"""

from __future__ import annotations

import array
import fcntl
import json
import mmap
import os
import socket
import struct
import threading
from typing import Any, Dict, NamedTuple, Optional, Tuple

from .arrow import Payload

MAX_HEADER = 16 << 20
_CHUNK = 4 << 20

#: `F_SEAL_SEAL`, `F_SEAL_SHRINK`, `F_SEAL_GROW` and `F_SEAL_WRITE`.
SEALS = 0x1 | 0x2 | 0x4 | 0x8

Message = Dict[str, Any]


class FrameError(Exception):
    """The connection cannot be used any more."""


class Frame(NamedTuple):
    message: Message
    payload: memoryview
    #: The descriptor that came with the first byte. The reader owns it.
    descriptor: Optional[int] = None


class Connection:
    """Both directions of a connection. One thread reads; any thread can write."""

    def __init__(self, input: int, output: int, is_socket: bool) -> None:
        """The descriptors belong to the connection. They can be the same socket."""
        self._input = input
        self._output = output
        self._socket = socket.socket(fileno=input) if is_socket else None
        self._lock = threading.Lock()

    def read(self) -> Optional[Frame]:
        """Waits for the next frame; `None` if the other side has closed the connection."""
        prefix = bytearray(8)
        descriptor = None
        got = 0
        while got < 8:
            if got == 0 and self._socket is not None:
                count, descriptor = self._receive_first(memoryview(prefix))
            else:
                count = self._read_some(memoryview(prefix)[got:])
            if count == 0:
                if got == 0:
                    return None
                raise FrameError("a frame is cut off")
            got += count
        header, payload = struct.unpack("<II", prefix)
        if not 1 <= header <= MAX_HEADER:
            raise FrameError(f"a frame has a header of {header} bytes")
        try:
            message = json.loads(bytes(self._read_exactly(header)))
        except ValueError as error:
            raise FrameError(f"a message is not valid: {error}") from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise FrameError("a message is not valid: it has no type")
        return Frame(message, self._read_exactly(payload), descriptor)

    def write(
        self,
        message: Message,
        payload: Payload = b"",
        descriptor: Optional[int] = None,
    ) -> None:
        """Writes a frame. The descriptor goes with its first byte."""
        header = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
        # A lone surrogate is no text, and no reason to fail.
        text = header.encode("utf-8", "replace")
        start = struct.pack("<II", len(text), len(payload)) + text
        with self._lock:
            rest = memoryview(start)
            if descriptor is not None and self._socket is not None:
                rights = array.array("i", [descriptor])
                ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights.tobytes())]
                rest = rest[self._socket.sendmsg([rest], ancillary) :]
            for part in (rest, memoryview(payload)):
                while part:
                    part = part[os.write(self._output, part) :]

    @property
    def is_socket(self) -> bool:
        """Whether descriptors can be sent."""
        return self._socket is not None

    def shutdown(self) -> None:
        """Tells the other side that no frame follows."""
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _receive_first(self, buffer: memoryview) -> Tuple[int, Optional[int]]:
        assert self._socket is not None
        # One more descriptor than a frame may have, so that none is lost and stays open.
        space = socket.CMSG_SPACE(2 * 4)
        count, ancillary, _, _ = self._socket.recvmsg_into([buffer], space, socket.MSG_CMSG_CLOEXEC)
        numbers = array.array("i")
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers.frombytes(data[: len(data) - len(data) % 4])
        for number in numbers[1:]:
            os.close(number)
        return count, numbers[0] if numbers else None

    def _read_some(self, buffer: memoryview) -> int:
        return os.readv(self._input, [buffer])

    def _read_exactly(self, size: int) -> memoryview:
        buffer = bytearray()
        got = 0
        while got < size:
            if got == len(buffer):
                buffer.extend(bytes(min(size - got, max(_CHUNK, got))))
            with memoryview(buffer) as view:
                count = self._read_some(view[got:])
            if count == 0:
                raise FrameError("a frame is cut off")
            got += count
        return memoryview(buffer)


def map_shared(descriptor: int, size: int) -> memoryview:
    """Maps a shared payload for reading, and closes the descriptor."""
    try:
        try:
            seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
        except OSError:
            seals = 0
        if seals & SEALS != SEALS:
            raise FrameError("the descriptor of a shared payload is not a sealed memfd")
        found = os.fstat(descriptor).st_size
        if found != size:
            raise FrameError(f"a shared payload has {found} bytes, its message says {size}")
        if size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ))
    finally:
        os.close(descriptor)


def share(payload: Payload) -> int:
    """A sealed memfd with these bytes."""
    descriptor = os.memfd_create("delfin-batch", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    rest = memoryview(payload)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
    return descriptor
