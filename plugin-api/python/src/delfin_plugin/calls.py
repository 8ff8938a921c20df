"""What the calls of exporters and of drivers have in common."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, ClassVar, NamedTuple, Sequence, Union

from .call import Call
from .frames import Frame
from .outcome import Failure

#: Adds to a counter.
Count = Callable[[str, int], None]


class Result(NamedTuple):
    """What a call returns in addition to its success."""

    value: Any = None
    payload: bytes = b""


#: `None` for success without a result.
Answer = Union[Result, Failure, None]


class Received:
    """A message that has arrived."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.message = frame.message
        self.name: str = frame.message["type"]
        #: Set when the host wants the call to return soon.
        self.cancelled = threading.Event()
        self._at = time.monotonic()

    def seconds(self) -> float:
        """The time until the deadline."""
        return float(self.message["deadline_ms"] / 1000 - (time.monotonic() - self._at))

    def context(self) -> Call:
        return Call(seconds=self.seconds(), cancelled=self.cancelled)


class Calls:
    """The calls to one kind of class."""

    #: The types of the messages.
    NAMES: ClassVar[Sequence[str]]

    @property
    def has_instance(self) -> bool:
        """Whether there is an instance. A process has one at most."""
        raise NotImplementedError

    def call(self, received: Received) -> Answer:
        """Makes a call."""
        raise NotImplementedError
