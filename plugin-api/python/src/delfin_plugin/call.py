"""What is known of a call in addition to its rows."""

from __future__ import annotations

import threading
import time
from typing import List, NamedTuple, Optional, Sequence


class Part(NamedTuple):
    """Consecutive rows of a call that belong to one accepted batch."""

    #: UUID.
    batch_id: str
    #: The number of the first row in the accepted batch, from 0.
    first_row: int
    rows: int
    #: When the batch was accepted, in milliseconds since the Unix epoch.
    accepted_ms: int
    #: The storage of all rows; `None` if they are of several, or of none.
    storage_id: Optional[str] = None
    #: The batch contains every active alert of its storage: an absent one has ended.
    complete: bool = False


class Call:
    """One call of the host: its deadline, and for `export` where the rows come from."""

    def __init__(
        self,
        seconds: float = 60.0,
        attempt: int = 1,
        origin: str = "ingest",
        parts: Sequence[Part] = (),
        cancelled: Optional[threading.Event] = None,
    ) -> None:
        self._deadline = time.monotonic() + seconds
        #: The number of the attempt with these rows, from 1.
        self.attempt = attempt
        #: `collection`, `sync`, `trap`, `ingest`, `resend` or `replay`; more can be added.
        self.origin = origin
        #: The accepted batches of the rows, in the order of the rows.
        self.parts: List[Part] = list(parts)
        self._cancelled = cancelled or threading.Event()

    def remaining(self) -> float:
        """Seconds until the deadline, at least 0. After the deadline the host ends the process."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def cancelled(self) -> bool:
        """Whether the call should return soon, with or without success."""
        return self._cancelled.is_set()
